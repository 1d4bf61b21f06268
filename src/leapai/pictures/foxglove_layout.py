"""The layout of Foxglove for a recording: the scene, every camera, metrics and faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LAYOUT = "foxglove_layout.json"
"""Name of the file; import it in Foxglove once."""
_SCENE, _PLOT, _LOG = "3D!scene", "Plot!metrics", "RosOut!health"
_TOPICS = ("/lidar", "/objects", "/map", "/map/given", "/trails", "/vehicle")
METRICS = ("objects", "memory_slots", "points", "faults")
"""Numbers of each frame under the topic `/metrics`."""
_DISTANCE_M = 40.0


def foxglove_layout(cameras: Sequence[str]) -> dict[str, Any]:
    """Returns the layout for a recording with these cameras."""
    images = [f"Image!{name}" for name in cameras]
    panels: dict[str, Any] = {
        _SCENE: {
            "followTf": "ego",
            "cameraState": {
                "distance": _DISTANCE_M,
                "perspective": True,
                "phi": 55,
                "thetaOffset": 90,
            },
            "topics": {topic: {"visible": True} for topic in _TOPICS},
        },
        _PLOT: {
            "paths": [
                {"value": f"/metrics.{name}", "enabled": True, "timestampMethod": "receiveTime"}
                for name in METRICS
                if name != "points"  # thousands would flatten the others
            ]
        },
        _LOG: {"topicToRender": "/health", "minLogLevel": 1},
    }
    for panel, name in zip(images, cameras, strict=True):
        topic = f"/camera/{name}"
        mode = {"imageTopic": f"{topic}/image", "calibrationTopic": f"{topic}/calibration"}
        shown = {"/objects": {"visible": True}, "/map": {"visible": True}}
        panels[panel] = {"imageMode": mode, "topics": shown}
    side = _stacked([_PLOT, _LOG], "column")
    below = _stacked([*images, side], "row")
    return {
        "configById": panels,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1.0},
        "layout": {
            "direction": "column",
            "first": _SCENE,
            "second": below,
            "splitPercentage": 65,
        },
    }


def _stacked(panels: Sequence[Any], direction: str) -> Any:
    """Returns panels next to each other, all of one size, as a tree of splits in two."""
    if len(panels) == 1:
        return panels[0]
    return {
        "direction": direction,
        "first": panels[0],
        "second": _stacked(panels[1:], direction),
        "splitPercentage": 100 / len(panels),
    }
