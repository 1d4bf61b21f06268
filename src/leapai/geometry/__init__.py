"""Poses, cameras, boxes, angle bins, the BEV grid: pure functions, no state."""
