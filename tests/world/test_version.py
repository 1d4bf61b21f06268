"""Version of the world: what a seed gives may change only together with it.

`world_signature.json` holds numbers of one frame of every place. They are compared within a
tolerance and not as a checksum of the bytes, because sines (numpy) and hits of rays (Embree) may
differ in their last digits between processors. Within one machine bytes are equal: `test_sequence`
and `test_access`.

After a change raise WORLD_VERSION and run `python tests/world/test_version.py`. While a version has
not been released, delete the file instead and run the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from leapai.data.log import OpenOptions
from leapai.types import Frame, VectorMap
from leapai_world import open_logs
from leapai_world.sequence import WORLD_VERSION

PINNED = Path(__file__).with_name("world_signature.json")
LOCATION = "split=val,drives=5,frames=3,rate_hz=2,beams=8"
"""Five seeds in a row show every place."""
SIZE_PX = (64, 120)
GREY_LEVELS, METRES = 3.0, 0.05
"""Tolerances of means over an image block or a sweep."""
REMEDY = (
    "what a seed gives has changed: raise WORLD_VERSION in leapai_world/sequence.py and run "
    "python tests/world/test_version.py"
)


def signature(frame: Frame, vector_map: VectorMap) -> dict[str, Any]:
    """Returns fine numbers of labels, pose and map, coarse ones of images and points."""
    labels, points = frame.labels, frame.points
    weight = np.cos(np.arange(len(labels)))  # every box counts with a weight of its own
    motion = np.concatenate([labels.boxes, labels.velocity_mps, labels.acceleration_mps2], 1)
    return {
        "timestamp_us": frame.timestamp_us,
        "track_id": labels.track_id.tolist(),
        "class_id": labels.class_id.tolist(),
        "motion": (weight @ motion).round(6).tolist(),
        "ego2global": frame.ego2global.ravel().round(6).tolist(),
        "map": sorted((line.kind, len(line.points_m)) for line in vector_map),
        "visible": round(float(labels.visible_fraction.sum()), 2),
        "points": len(points),
        "mean_point": points[:, :4].mean(0, dtype=np.float64).round(4).tolist(),
        "images": [
            cv2.resize(camera.image.mean(-1), (4, 2), interpolation=cv2.INTER_AREA).round().tolist()
            for camera in frame.cameras
        ],
    }


def signatures() -> dict[str, Any]:
    """Returns the signature of the last frame of each sequence, by its name."""
    logs = open_logs(LOCATION, OpenOptions(SIZE_PX))
    drives = {log.name: signature(log[2], log.vector_map()) for log in logs}
    return dict(json.loads(json.dumps(drives)))


@pytest.fixture(scope="module")
def drives():
    pinned = json.loads(PINNED.read_text())["drives"]
    return [(pinned[name], now) for name, now in signatures().items()]


def test_the_pinned_world_is_of_this_version():
    assert json.loads(PINNED.read_text())["version"] == WORLD_VERSION, REMEDY


def test_truth_is_that_of_this_version(drives):
    for pinned, now in drives:
        for field in ("timestamp_us", "track_id", "class_id", "map"):
            assert now[field] == pinned[field], REMEDY
        for field in ("motion", "ego2global"):
            assert np.allclose(now[field], pinned[field], rtol=1e-9, atol=1e-4), REMEDY


def test_sensors_give_what_this_version_gives(drives):
    for pinned, now in drives:
        assert now["visible"] == pytest.approx(pinned["visible"], abs=0.2), REMEDY
        assert now["points"] == pytest.approx(pinned["points"], rel=0.005), REMEDY
        assert np.allclose(now["mean_point"], pinned["mean_point"], atol=METRES), REMEDY
        assert np.allclose(now["images"], pinned["images"], atol=GREY_LEVELS), REMEDY


def pin() -> None:
    """Writes the file; refuses to pin other numbers for a version that has some."""
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {"version": None}
    drives = signatures()
    if pinned["version"] == WORLD_VERSION and pinned["drives"] != drives:
        sys.exit(f"{PINNED} holds other numbers of version {WORLD_VERSION}: {REMEDY}")
    PINNED.write_text(json.dumps({"version": WORLD_VERSION, "drives": drives}) + "\n")


if __name__ == "__main__":
    pin()
