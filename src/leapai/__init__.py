"""LeapAI Perception: seven cameras and a LiDAR in; 3D objects with memory and identity out.

import leapai

stream = leapai.load()
for frame in drive:
    detections = stream.step(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from leapai.streaming.stream import Stream

__version__ = "0.1.0"


def load(checkpoint: str | Path | None = None, device: torch.device | str | None = None) -> Stream:
    """A trained network as a stream, `stream.step(frame)`; see `leapai.streaming.stream.load`.

    Without a `checkpoint` it is the one that ships; `device` None is the GPU where there is one.
    """
    from leapai.streaming import stream  # PyTorch takes seconds: only who loads a network pays

    return stream.load(checkpoint, device)
