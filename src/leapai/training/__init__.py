"""Training: targets, losses, the trainer and what it keeps."""
