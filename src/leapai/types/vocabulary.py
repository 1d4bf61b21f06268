"""The vocabulary of the package: array types, classes of objects and of the map, occlusion levels,
camera groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]
StringArray = npt.NDArray[np.str_]

GROUPS = ("MOD", "VRU", "SOD")
"""MOD: motor vehicles. VRU: vulnerable road users. SOD: static obstacles."""

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


MOST_CLASSES = 64
"""Classes of a vocabulary at most; Argoverse 2 has 26."""
ALL = "all"
"""Key of what metrics have for all classes together."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}")


@dataclass(frozen=True)
class Vocabulary:
    """The classes of objects that a network detects, in the order of its logits, with what sets
    them apart, and the classes of the map.

    Each of `still`, `half_turn`, `round` and `on_foot` names some of the classes. Raises ValueError
    where a name cannot be one, is there twice, or is none of the classes.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """One of `GROUPS` for each name."""
    still: tuple[str, ...] = ()
    """Classes that never move."""
    half_turn: tuple[str, ...] = ()
    """Classes whose front and back look the same: their yaw counts modulo pi."""
    round: tuple[str, ...] = ()
    """Classes without any heading."""
    on_foot: tuple[str, ...] = ()
    """Classes that can turn on the spot."""
    map_classes: tuple[str, ...] = STATIC_CLASSES
    """Some of `STATIC_CLASSES`, in their order."""

    def __post_init__(self) -> None:
        check_class_names(self.names)
        if len(self.groups) != len(self.names) or not all(g in GROUPS for g in self.groups):
            raise ValueError(f"every class needs one of the groups {', '.join(GROUPS)}")
        for field in ("still", "half_turn", "round", "on_foot"):
            unknown = [name for name in getattr(self, field) if name not in self.names]
            if unknown:
                raise ValueError(
                    f"{field} names {unknown[0]!r:.80}, which is none of the classes "
                    f"{listed(self.names)}"
                )
        if self.map_classes != tuple(c for c in STATIC_CLASSES if c in self.map_classes):
            raise ValueError(
                f"map = {self.map_classes!r:.200} must be some of {', '.join(STATIC_CLASSES)}, in "
                "this order, each once"
            )

    def __len__(self) -> int:
        return len(self.names)

    def ids(self, names: Iterable[str]) -> tuple[int, ...]:
        """Returns the numbers of classes by name, in the order of the vocabulary."""
        chosen = set(names)
        return tuple(i for i, name in enumerate(self.names) if name in chosen)

    @cached_property
    def still_ids(self) -> tuple[int, ...]:
        """Numbers of the classes that never move."""
        return self.ids(self.still)

    @cached_property
    def half_turn_ids(self) -> tuple[int, ...]:
        """Numbers of the classes whose yaw counts modulo pi."""
        return self.ids(self.half_turn)

    @cached_property
    def round_ids(self) -> tuple[int, ...]:
        """Numbers of the classes without any heading."""
        return self.ids(self.round)

    def named(self, class_id: IntArray) -> list[str]:
        """Returns the names of classes [N] by number."""
        return [self.names[i] for i in class_id.tolist()]

    def counted(self, class_id: IntArray) -> str:
        """Returns the classes [N] with their numbers, the most frequent first."""
        return counted(self.named(class_id))


def check_class_names(names: Iterable[str]) -> None:
    """Raises ValueError where names are none, too many, or cannot stand in tables, pages and names
    of columns next to each other."""
    names = tuple(names)
    if not 1 <= len(names) <= MOST_CLASSES:
        raise ValueError(f"{len(names)} classes are given; a network has 1 to {MOST_CLASSES}")
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == ALL:
            raise ValueError(
                f"class name {name!r:.80} must begin with a letter, have at most 48 letters, "
                f"digits, _, - and ., and not be '{ALL}'"
            )
        key = re.sub("[.-]", "_", name).lower()
        if key in seen:
            raise ValueError(f"class names {seen[key]!r} and {name!r} are too much alike")
        seen[key] = name


def listed(names: Iterable[str]) -> str:
    """Returns names as one line of at most 200 letters."""
    return f"{', '.join(names):.200}"


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


DESIGN = Vocabulary(
    names=(
        "car", "truck", "bus", "person", "non_motor", "riderless_non_motor", "barrier", "pillar",
    ),
    groups=("MOD", "MOD", "MOD", "VRU", "VRU", "SOD", "SOD", "SOD"),
    still=("riderless_non_motor", "barrier", "pillar"),
    half_turn=("barrier",),
    round=("pillar",),
    on_foot=("person",),
)  # fmt: skip
"""The design's classes (docs/design.md, section 2): the default, and the embedded world's."""
CLASS_NAMES = DESIGN.names

NUSCENES = Vocabulary(
    names=(
        "car", "truck", "bus", "trailer", "construction_vehicle", "pedestrian", "motorcycle",
        "bicycle", "traffic_cone", "barrier",
    ),
    groups=("MOD", "MOD", "MOD", "MOD", "MOD", "VRU", "VRU", "VRU", "SOD", "SOD"),
    still=("traffic_cone", "barrier"),
    half_turn=("barrier",),
    round=("traffic_cone",),
    on_foot=("pedestrian",),
    map_classes=(
        "SolidLine", "DoubleSolidLine", "DashedLine", "DoubleDashedLine", "Curb", "Lane",
        "GroundSigns",
    ),
)  # fmt: skip
"""The ten classes of nuScenes' detection task (nuscenes-devkit, `eval/detection/constants.py`). The
official evaluation has no orientation of cones, and that of barriers modulo pi."""

ARGOVERSE2 = Vocabulary(
    names=(
        "REGULAR_VEHICLE", "LARGE_VEHICLE", "BOX_TRUCK", "TRUCK", "TRUCK_CAB", "VEHICULAR_TRAILER",
        "BUS", "SCHOOL_BUS", "ARTICULATED_BUS", "PEDESTRIAN", "BICYCLIST", "MOTORCYCLIST",
        "WHEELED_RIDER", "WHEELCHAIR", "STROLLER", "DOG", "BICYCLE", "MOTORCYCLE", "WHEELED_DEVICE",
        "MESSAGE_BOARD_TRAILER", "BOLLARD", "CONSTRUCTION_BARREL", "CONSTRUCTION_CONE",
        "MOBILE_PEDESTRIAN_CROSSING_SIGN", "SIGN", "STOP_SIGN",
    ),
    groups=(
        *("MOD",) * 9,
        *("VRU",) * 7,
        *("SOD",) * 10,
    ),
    still=(
        "BOLLARD", "CONSTRUCTION_BARREL", "CONSTRUCTION_CONE", "MOBILE_PEDESTRIAN_CROSSING_SIGN",
        "SIGN", "STOP_SIGN",
    ),
    round=("BOLLARD", "CONSTRUCTION_BARREL", "CONSTRUCTION_CONE"),
    on_foot=("PEDESTRIAN", "WHEELCHAIR", "DOG"),
    map_classes=(
        "SolidLine", "DoubleSolidLine", "DashedLine", "DoubleDashedLine", "RightSolidLeftDashed",
        "LeftSolidRightDashed", "Curb", "Lane", "GroundSigns",
    ),
)  # fmt: skip
"""The 26 categories of Argoverse 2's detection task (av2-api, `CompetitionCategories` of
`evaluation/detection/constants.py`). A parked bicycle may be pushed, and a trailer towed, so they
may move."""

VOCABULARIES = {"design": DESIGN, "nuscenes": NUSCENES, "argoverse2": ARGOVERSE2}
"""The vocabularies by the names that configurations use."""
