"""The official splits of nuScenes' scenes (nuscenes-devkit, `utils/splits.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

Split = Literal["train", "val"]
_VAL = (
    "3 12-18 35-36 38-39 92-110 221 268-278 329-332 344-346 519-524 552-565 625-627 629-630 "
    "632-638 770-771 775 777-778 780-784 794-800 802 904-917 919-931 962-963 966-969 971-972 "
    "1059-1073"
)
"""Numbers of the 150 scenes of `v1.0-trainval` that are its val split; the other 700 are train."""
_MINI_VAL = "103 916"
"""The same of `v1.0-mini`, which has ten scenes."""


def scenes_of_split(split: str, version: str, scenes: Sequence[str]) -> list[str]:
    """Returns those of `scenes` that a split of a version has, in their order.

    Raises ValueError for a split that there is not, and where none of the scenes is of it.
    """
    if split not in get_args(Split):
        raise ValueError(
            f"nuscenes: split={split[:40]} is none; splits are {', '.join(get_args(Split))}"
        )
    val = _names(_MINI_VAL if version == "v1.0-mini" else _VAL)
    found = [name for name in scenes if (name in val) == (split == "val")]
    if not found:
        raise ValueError(
            f"nuscenes: {version} has none of the scenes of split={split}; use `scenes=FILE` for "
            "scenes of your own"
        )
    return found


def _names(numbers: str) -> set[str]:
    """Returns the names of scenes by numbers and ranges of them."""
    ranges = [word.split("-") for word in numbers.split()]
    return {
        f"scene-{number:04d}"
        for ends in ranges
        for number in range(int(ends[0]), int(ends[-1]) + 1)
    }
