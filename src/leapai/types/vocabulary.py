"""The vocabulary of the package: array types, classes, their groups, occlusion levels, camera
groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]
StringArray = npt.NDArray[np.str_]

CLASS_NAMES = (
    "car", "truck", "bus", "person", "non_motor", "riderless_non_motor", "barrier", "pillar",
)  # fmt: skip
CLASS_GROUPS = ("MOD", "MOD", "MOD", "VRU", "VRU", "SOD", "SOD", "SOD")
"""MOD: motor vehicles. VRU: vulnerable road users. SOD: static obstacles, which never move."""
STATIC_CLASS_IDS = tuple(i for i, group in enumerate(CLASS_GROUPS) if group == "SOD")

OCCLUSION_NAMES = ("NoOccluded", "SlightlyOccluded", "PartlyOccluded", "HeavilyOccluded")
OCCLUSION_MIN_VISIBLE = (0.8, 0.6, 0.4)
"""Visible fraction from which an object is of level 0, 1, 2; below the last it is of level 3."""

CAMERA_GROUPS = ("front_narrow", "front_wide", "back", "side")
"""Groups of cameras in the order of their backbones and necks, `stage1_backbone0` ..
`stage1_backbone3`."""

LANE_MARKINGS = (
    "SolidLine",
    "DoubleSolidLine",
    "DashedLine",
    "DoubleDashedLine",
    "RightSolidLeftDashed",
    "LeftSolidRightDashed",
    "WideSolidLine",
    "WideDashedLine",
    "ShortDashedLine",
)
"""Planes of the static task's first raster (docs/design.md, section 11)."""
ROAD_ELEMENTS = ("Wall", "Curb", "Lane", "SpeedBump", "GroundSigns")
"""Planes of its second raster; `Lane` is the centre line of a lane."""
STATIC_CLASSES = (*LANE_MARKINGS, *ROAD_ELEMENTS)
"""All planes, in the order of the network's logits."""


def occlusion_level_of(visible_fraction: FloatArray) -> IntArray:
    """Returns the occlusion levels [N] (0..3) of visible fractions [N] in [0, 1]
    (docs/design.md, section 2)."""
    thresholds = np.asarray(OCCLUSION_MIN_VISIBLE)
    below = np.asarray(visible_fraction)[..., None] < thresholds
    return np.asarray(below.sum(-1), np.int64)


def counted(names: Iterable[str]) -> str:
    """Returns the names with their numbers, the most frequent first: `3 car, 1 bus`, or `none`."""
    counts = Counter(names).most_common()
    return ", ".join(f"{count} {name}" for name, count in counts) or "none"


def classes_counted(class_id: IntArray) -> str:
    """Returns the classes [N] with their numbers, the most frequent first."""
    return counted(CLASS_NAMES[i] for i in class_id.tolist())
