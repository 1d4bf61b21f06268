"""The trained network as one graph a step, for runtimes without PyTorch."""
