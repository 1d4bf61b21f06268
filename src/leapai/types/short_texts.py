"""Short descriptions of frames and detections, which their `repr`s are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from leapai.types.vocabulary import CLASS_NAMES, IntArray


def counted(names: Iterable[str]) -> str:
    """Returns the names with their numbers, the most frequent first: `3 car, 1 bus`, or `none`."""
    counts = Counter(names).most_common()
    return ", ".join(f"{count} {name}" for name, count in counts) or "none"


def classes_counted(class_id: IntArray) -> str:
    """Returns the classes [N] with their numbers, the most frequent first."""
    return counted(CLASS_NAMES[i] for i in class_id.tolist())
