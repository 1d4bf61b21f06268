"""Checks of the ground truth of a frame: its form, and rows that no object can have."""

from __future__ import annotations

import numpy as np

from leapai.data.frame_errors import FrameError, check_array
from leapai.types import Labels, Vocabulary
from leapai.types.frames import LABEL_ARRAYS

SIZES_M = (0.01, 100.0)
"""Sides of a box: a cone's foot is thicker, and a tram is shorter. Metres, not millimetres."""
MAX_OBJECT_SPEED_MPS = 100.0
"""Speed of an object: 360 km/h, which nothing on a road reaches."""
MAX_DISTANCE_M = 10_000.0
"""Coordinates of a box in the ego frame; those of a global frame lie beyond."""
MAX_YAW_RAD = 1e3
"""An angle that was never wrapped; beyond, float32 no longer resolves a degree."""
MAX_ACCELERATION_MPS2 = 1e4
"""Acceleration of an object, with the noise of two differences in time; NaN where unknown."""
_FORM: dict[str, tuple[tuple[int, ...], str]] = {
    "boxes": ((7,), "f"),
    "class_id": ((), "iu"),
    "velocity_mps": ((3,), "f"),
    "velocity_valid": ((), "b"),
    "occlusion_level": ((), "iu"),
    "track_id": ((), "iu"),
    "num_lidar_points": ((), "iu"),
    "visible_fraction": ((), "f"),
    "acceleration_mps2": ((3,), "f"),
    "num_radar_points": ((), "iu"),
}
"""Columns and kinds of the fields of `Labels`."""
_MAY_LACK = ("num_radar_points",)


def checked_labels(labels: object) -> tuple[Labels, str]:
    """Returns the labels whose values an object can have, and how many were dropped in words; "":
    none was. Raises FrameError where the form or a class is wrong."""
    if not isinstance(labels, Labels):
        raise FrameError(f"labels are a {type(labels).__name__}; give leapai.Labels, or None")
    vocabulary: object = labels.vocabulary
    if not isinstance(vocabulary, Vocabulary):
        kind = type(vocabulary).__name__
        raise FrameError(f"labels.vocabulary is a {kind}; give a Vocabulary, or leave it out")
    count = len(labels.boxes) if isinstance(labels.boxes, np.ndarray) else 0
    for name in LABEL_ARRAYS:
        array = getattr(labels, name)
        if array is None and name in _MAY_LACK:
            continue
        columns, kinds = _FORM[name]
        remedy = "give every field one row for each box, as Labels.unlabelled does"
        check_array(f"labels.{name}", array, (count, *columns), kinds, remedy)
    tracks = labels.track_id
    if count and tracks.max() > np.iinfo(np.int64).max:
        raise FrameError(f"labels.track_id is {tracks.max()}; give ids of 63 bits, as int64")
    classes, levels = labels.class_id, labels.occlusion_level
    for name, values, low, high in (
        ("class_id", classes, 0, len(labels.vocabulary) - 1),
        ("occlusion_level", levels, -1, 3),
    ):
        if count and not low <= int(values.min()) <= int(values.max()) <= high:
            found = f"{values.min()} to {values.max()}"
            raise FrameError(f"labels.{name} runs from {found}; give {low} to {high}")
    sizes, visible = labels.boxes[:, 3:6], labels.visible_fraction
    kept = (
        (np.abs(labels.boxes[:, :3]) <= MAX_DISTANCE_M).all(1)
        & (np.abs(labels.boxes[:, 6]) <= MAX_YAW_RAD)
        & ((sizes >= SIZES_M[0]) & (sizes <= SIZES_M[1])).all(1)
        & (np.abs(labels.velocity_mps) <= MAX_OBJECT_SPEED_MPS).all(1)
        & ~(np.abs(labels.acceleration_mps2) > MAX_ACCELERATION_MPS2).any(1)
        & (np.isnan(visible) | ((visible >= 0) & (visible <= 1)))
    )
    if kept.all():
        return labels, ""
    dropped = count - int(kept.sum())
    words = f"{dropped} of {count} boxes dropped (a place, a size outside {SIZES_M[0]:g} to "
    return labels.select(kept), f"{words}{SIZES_M[1]:g} m, a motion, or a visible fraction)"
