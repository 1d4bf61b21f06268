"""LeapAI Perception: seven cameras and a LiDAR in; 3D objects with memory and identity out."""

__version__ = "0.1.0"
