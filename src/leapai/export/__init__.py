"""The trained network as one graph, or the trunk and each task as graphs, for runtimes without
PyTorch."""
