"""The version of the package: that of the tag it was built from, which its installation records."""

from importlib.metadata import PackageNotFoundError, version

NOT_INSTALLED = "0+unknown"
"""Version of a copy of the package that was not installed."""
try:
    __version__ = version("leapai")
except PackageNotFoundError:
    __version__ = NOT_INSTALLED
