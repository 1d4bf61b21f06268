"""Inspection of a data set: checks of its geometry, statistics, pictures."""
