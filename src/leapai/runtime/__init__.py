"""What runtimes without PyTorch read of an exported network."""
