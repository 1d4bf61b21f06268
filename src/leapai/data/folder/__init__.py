"""A folder of sensor files with a small calibration file as a source of frames."""
