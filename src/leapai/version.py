"""The version of the package, which imports nothing and is therefore at hand everywhere."""

__version__ = "0.1.0"
