"""nuScenes' categories in the classes of a vocabulary, and back into the names of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leapai.data.nuscenes.nuscenes_annotations import CLASS_OF
from leapai.types import CLASS_NAMES, DESIGN, NUSCENES, FloatArray, IntArray, Vocabulary
from leapai.types.vocabulary import listed

DETECTION_NAME_OF = {
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}
"""Category -> name in the detection task, for those that the task has (nuscenes-devkit,
`category_to_detection_name` of `eval/detection/utils.py`)."""
TRACKING_NAMES = ("car", "truck", "bus", "trailer", "pedestrian", "motorcycle", "bicycle")
"""Names of the detection task that the tracking task has, too."""
MOVING_MPS = 0.2
"""Speed from which the attribute of an object is that of a moving one; submissions commonly draw
the line here."""
_AT_REST = {
    **dict.fromkeys(("car", "truck", "trailer", "construction_vehicle"), "vehicle.parked"),
    "bus": "vehicle.stopped",
    "pedestrian": "pedestrian.standing",
    **dict.fromkeys(("motorcycle", "bicycle"), "cycle.without_rider"),
}
"""Name in the detection task -> attribute of what stands; the other names have no attribute."""
_MOVING = {
    "vehicle": "vehicle.moving",
    "pedestrian": "pedestrian.moving",
    "cycle": "cycle.with_rider",
}


class Counterpart(NamedTuple):
    """Names of a class in nuScenes; "": the task does not have it."""

    detection: str
    tracking: str
    attribute: str = ""
    """Attribute of the class at any speed; "": it depends on that."""


COUNTERPARTS: dict[str, Counterpart] = {
    "car": Counterpart("car", "car"),
    "truck": Counterpart("truck", "truck"),  # trailers and construction vehicles are trucks here
    "bus": Counterpart("bus", "bus"),
    "person": Counterpart("pedestrian", "pedestrian"),
    # Our classes separate ridden from parked, not bicycle from motorcycle.
    "non_motor": Counterpart("bicycle", "bicycle", "cycle.with_rider"),
    "riderless_non_motor": Counterpart("bicycle", "bicycle", "cycle.without_rider"),
    "barrier": Counterpart("barrier", ""),  # cones are barriers here
    "pillar": Counterpart("", ""),
}
"""The design's eight classes in nuScenes' ten detection and seven tracking names. Names that never
occur: construction_vehicle, trailer, motorcycle, traffic_cone."""


def class_ids(words: Sequence[str], design_id: IntArray, vocabulary: Vocabulary) -> IntArray:
    """Returns the class [N] of boxes by their category and, as attributes count there, by their
    class [N] among the design's; -1: the vocabulary has none.

    Where all names of the vocabulary are those of the detection task, they mean what they mean
    there. Else a name is that of a category, of the detection task, or of the design.
    """
    if vocabulary.names == DESIGN.names:
        return design_id
    number = {name: i for i, name in enumerate(vocabulary.names)}
    is_official = set(vocabulary.names) <= set(NUSCENES.names)
    found = np.full(len(words), -1, np.int64)
    for i, (word, of_design) in enumerate(zip(words, design_id.tolist(), strict=True)):
        official = DETECTION_NAME_OF.get(word, "")
        ours = CLASS_NAMES[of_design] if of_design >= 0 else ""
        names = (official,) if is_official else (word, official, ours)
        found[i] = next((number[name] for name in names if name in number), -1)
    return found


def check_vocabulary(vocabulary: Vocabulary) -> None:
    """Raises ValueError where nuScenes has none of the classes."""
    known = {*DETECTION_NAME_OF, *CLASS_OF, *NUSCENES.names, *DESIGN.names}
    if not known & set(vocabulary.names):
        raise ValueError(
            f"nuscenes: has none of the classes {listed(vocabulary.names)}; its own are "
            f"{listed(NUSCENES.names)} (vocabulary = 'nuscenes'), or name its categories, such as "
            "vehicle.car"
        )


def counterparts(vocabulary: Vocabulary) -> list[Counterpart]:
    """Returns the names of each class in nuScenes' tasks."""
    return [_counterpart(name) for name in vocabulary.names]


def _counterpart(name: str) -> Counterpart:
    official = name if name in NUSCENES.names else DETECTION_NAME_OF.get(name)
    if official is None:
        return COUNTERPARTS.get(name, Counterpart("", ""))
    return Counterpart(official, official if official in TRACKING_NAMES else "")


def attribute_of(counterpart: Counterpart, velocity_mps: FloatArray) -> str:
    """Returns the attribute of an object with a velocity [3]; "" where its name has none.

    Nobody is `pedestrian.sitting_lying_down`: neither class nor velocity shows it.
    """
    at_rest = _AT_REST.get(counterpart.detection, "")
    if counterpart.attribute or not at_rest:
        return counterpart.attribute
    if np.hypot(*velocity_mps[:2]) <= MOVING_MPS:
        return at_rest
    return _MOVING[at_rest.partition(".")[0]]
