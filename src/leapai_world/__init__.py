"""The embedded world: streets with exact ground truth, made from a seed, nothing to download."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what makes a world is imported when one is made: its command needs none of it
    from leapai.data.log import OpenOptions
    from leapai_world.sensors.rig import Rig
    from leapai_world.sequence import WORLD_VERSION, SyntheticSequence

__all__ = ["SPLITS", "WORLD_VERSION", "open_logs"]


def __getattr__(name: str) -> object:
    """Imports the version of the world where it is asked for."""
    if name != "WORLD_VERSION":
        raise AttributeError(f"module 'leapai_world' has no attribute '{name}'")
    from leapai_world.sequence import WORLD_VERSION

    return WORLD_VERSION


@dataclass(frozen=True)
class _Options:
    """The options of a location, with their defaults."""

    seed: int = 0
    drives: int = 1
    frames: int = 40
    rate_hz: float = 10.0
    beams: int = 32
    split: str = ""
    place: str = ""
    rig: str = "seven"
    blur: bool = False


SPLITS = {"train": 2_000_000, "val": 3_000_000, "test": 4_000_000}
"""First seed of a named split, which has as many as `drives` may count; a user's own seeds, 0 to
1 100 000, meet neither."""
_LEAST = {"seed": 0, "drives": 1, "frames": 1, "rate_hz": 0.1, "beams": 2}
_MOST = {"seed": 1_000_000, "drives": 100_000, "frames": 100_000, "rate_hz": 1000.0, "beams": 256}


def open_logs(location: str, options: OpenOptions) -> list[SyntheticSequence]:
    """Drives of the embedded world; `location` is "" or options such as
    `seed=3,drives=2,frames=40`.

    Seeds count up from `seed` or from the first of `split`, one a drive; each draws its place, or
    all are at `place`. Cameras render at `options.image_size_px` directly. Raises ValueError for an
    option or a value that does not exist.
    """
    from leapai_world.sensors.rig_files import VARIED, open_rig
    from leapai_world.sensors.varied_rigs import varied_rig
    from leapai_world.sequence import SyntheticSequence

    chosen = _parse(location)
    size_px, first = options.image_size_px, SPLITS.get(chosen.split, chosen.seed)
    if chosen.rig == VARIED:
        rig_of = partial(varied_rig, image_size_px=size_px)
    else:
        rig = replace(open_rig(chosen.rig, size_px, chosen.beams), blur=chosen.blur)
        rig_of = partial(_same, rig)
    return [
        SyntheticSequence(
            seed, chosen.frames, chosen.rate_hz, rig_of, chosen.place, options.label_range_m
        )
        for seed in range(first, first + chosen.drives)
    ]


def _same(rig: Rig, seed: int) -> Rig:
    """Returns the rig of every drive."""
    del seed
    return rig


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


_KIND_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", _switch: "true or false"}


def _parse(location: str) -> _Options:
    kinds: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": _switch}
    valid = {field.name: kinds[str(field.type)] for field in fields(_Options)}
    values: dict[str, Any] = {}
    for part in filter(None, location.split(",")):
        name, _, text = (word.strip() for word in part.partition("="))
        if name not in valid:
            known = ", ".join(valid)
            raise ValueError(
                f"synthetic: {part!r:.80}: there is no option {name!r:.80}; use: {known}"
            )
        try:
            values[name] = valid[name](text)
        except ValueError:
            kind = _KIND_WORDS[valid[name]]
            raise ValueError(f"synthetic: {name} = {text!r:.80} must be {kind}") from None
        if name in _LEAST and not _LEAST[name] <= values[name] <= _MOST[name]:
            raise ValueError(
                f"synthetic: {name} = {text:.80} must be in {_LEAST[name]} to {_MOST[name]}"
            )
    _check_split(values)
    from leapai_world.places.place import PLACES

    if values.get("place", PLACES[0]) not in PLACES:
        known = ", ".join(PLACES)
        place = values["place"]
        raise ValueError(f"synthetic: there is no place {place!r:.80}; use one of: {known}")
    return _Options(**values)


def _check_split(values: dict[str, Any]) -> None:
    if "split" not in values:
        return
    if values["split"] not in SPLITS:
        known = ", ".join(SPLITS)
        split = values["split"]
        raise ValueError(f"synthetic: there is no split {split!r:.80}; use one of: {known}")
    if "seed" in values:
        raise ValueError(
            "synthetic: split and seed contradict each other, as a split has seeds of its own; "
            "leave one out"
        )
