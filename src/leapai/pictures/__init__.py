"""Pictures: BEV canvas, camera overlays, one composed frame, video."""
