"""Exported networks, run without PyTorch: manifest, ONNX Runtime, and the part of the host."""
