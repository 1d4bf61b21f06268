"""Map metrics: segmentation by cells, lines, flicker, and which ground is visible."""
