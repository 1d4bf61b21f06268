"""The static task: neck, head, memory of features."""
