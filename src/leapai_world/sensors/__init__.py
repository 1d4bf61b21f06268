"""The sensors of the embedded world: cameras and a LiDAR, simulated by ray casting."""
