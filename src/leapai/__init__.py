"""LeapAI Perception: seven cameras and a LiDAR in; 3D objects with memory and identity out.

import leapai

stream = leapai.load()
for frame in leapai.open_logs("synthetic:frames=40", image_size_px=(256, 480))[0]:
    detections = stream.step(frame)

The names of `__all__` are the public API. They are imported when first asked for, so that
`import leapai` itself takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leapai.data.frame_check import check_frame
    from leapai.data.log import open_logs
    from leapai.evaluation.evaluate_logs import evaluate_logs as evaluate
    from leapai.streaming.stream import load
    from leapai.types import CameraFrame, Detections, Frame, Labels, Map
    from leapai.version import __version__

__all__ = [
    "CameraFrame",
    "Detections",
    "Frame",
    "Labels",
    "Map",
    "__version__",
    "check_frame",
    "evaluate",
    "load",
    "open_logs",
]

_DEFINED_IN = {
    "CameraFrame": "leapai.types:CameraFrame",
    "Detections": "leapai.types:Detections",
    "Frame": "leapai.types:Frame",
    "Labels": "leapai.types:Labels",
    "Map": "leapai.types:Map",
    "__version__": "leapai.version:__version__",
    "check_frame": "leapai.data.frame_check:check_frame",
    "evaluate": "leapai.evaluation.evaluate_logs:evaluate_logs",
    "load": "leapai.streaming.stream:load",
    "open_logs": "leapai.data.log:open_logs",
}
"""Public name -> module and the name there."""


def __getattr__(name: str) -> object:
    """Imports a public name where it is first asked for."""
    if name not in _DEFINED_IN:
        raise AttributeError(f"module 'leapai' has no attribute '{name}'")
    module, _, attribute = _DEFINED_IN[name].partition(":")
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    """Lists the public names together with what is loaded already."""
    return sorted({*globals(), *__all__})
