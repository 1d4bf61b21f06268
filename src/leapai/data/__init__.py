"""Drives become frames: the `DrivingLog` protocol, one file a data set, and the embedded world."""
