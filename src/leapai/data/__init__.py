"""Data sets: logs of frames, readers, transforms, augmentation, samplers, caches, labels."""
