"""Bounds that keep recordings small, in whichever format they are."""

IMAGE_WIDTH_PX = 640
"""Wider images are reduced to this."""
JPEG_QUALITY = 85
POINT_STEP_M = 1 / 128
"""Coordinates of points are rounded to this, below the noise of the sensor."""
TRAIL_POINTS = 40
"""Past positions that a track's trail shows."""
