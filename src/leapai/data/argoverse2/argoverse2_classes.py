"""Argoverse 2's categories in the classes of a vocabulary, and back into the names of its task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leapai.data.argoverse2.argoverse2_tables import CLASS_OF, NO_COUNTERPART
from leapai.types import ARGOVERSE2, CLASS_NAMES, DESIGN, IntArray, Vocabulary
from leapai.types.vocabulary import listed

OTHER_NAMES = {"MOBILE_PEDESTRIAN_SIGN": "MOBILE_PEDESTRIAN_CROSSING_SIGN"}
"""Names of categories in some releases -> that of the detection task."""
CATEGORIES: dict[str, str] = {
    "car": "REGULAR_VEHICLE",
    "truck": "BOX_TRUCK",
    "bus": "BUS",
    "person": "PEDESTRIAN",
    "non_motor": "BICYCLIST",  # the rider's box; the machine below has one of its own
    "riderless_non_motor": "BICYCLE",
    "barrier": "CONSTRUCTION_CONE",
    "pillar": "BOLLARD",
}
"""The design's eight classes in Argoverse's words. `CLASS_OF` reads several words as one class,
which cannot be separated again: here stands the most frequent of them in log 7fab2350, else the
plainest."""


def class_ids(words: Sequence[str], design_id: IntArray, vocabulary: Vocabulary) -> IntArray:
    """Returns the class [N] of boxes by their category, or else by their class [N] among the
    design's; -1: the vocabulary has neither name."""
    if vocabulary.names == DESIGN.names:
        return design_id
    number = {name: i for i, name in enumerate(vocabulary.names)}
    found = np.full(len(words), -1, np.int64)
    for i, (word, of_design) in enumerate(zip(words, design_id.tolist(), strict=True)):
        names = (word, OTHER_NAMES.get(word, ""), CLASS_NAMES[of_design] if of_design >= 0 else "")
        found[i] = next((number[name] for name in names if name in number), -1)
    return found


def check_vocabulary(vocabulary: Vocabulary) -> None:
    """Raises ValueError where Argoverse 2 has none of the classes."""
    known = {*CLASS_OF, *NO_COUNTERPART, *ARGOVERSE2.names, *DESIGN.names}
    if not known & set(vocabulary.names):
        raise ValueError(
            f"argoverse2: has none of the classes {listed(vocabulary.names)}; its own are "
            f"{listed(ARGOVERSE2.names)} (vocabulary = 'argoverse2')"
        )


def categories(vocabulary: Vocabulary) -> list[str]:
    """Returns the category of each class in the detection task; "": it has none."""
    return [
        name if name in ARGOVERSE2.names else CATEGORIES.get(name, "") for name in vocabulary.names
    ]
