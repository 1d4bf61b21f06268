"""Evaluation: metrics of detections, tracks, maps and temporal consistency, and their registry."""
