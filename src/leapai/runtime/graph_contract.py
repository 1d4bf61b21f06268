"""Checks, before the first frame, that a graph has what its configuration needs.

Manifest and graph may agree with each other, and the configuration in the manifest with neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from leapai.config.checkpoint_names import MANIFEST
from leapai.config.schema import TaskConfig
from leapai.runtime.host_memory import MEMORY_READOUT, MEMORY_SLOTS
from leapai.runtime.manifest import Manifest, TensorFacts

_OF_OBJECTS = ("class_logits", "boxes", "occlusion_score", "occlusion_thresholds")
_OF_RING = ("next_bev", "next_bev_is_finite")


def slot_names(config: TaskConfig) -> tuple[str, ...]:
    """Returns the fields of the memory of objects; none where the network has none."""
    return MEMORY_SLOTS if config.dynamic_task and config.history_slots else ()


def check_slots(folder: Path, manifest: Manifest, config: TaskConfig) -> None:
    """Raises ValueError where the memory of objects is not one of as many slots as configured, or
    comes out of a step in another shape than it goes in."""
    after = {tensor.name: tensor for tensor in manifest.outputs}
    for fact in manifest.inputs:
        if fact.name not in slot_names(config):
            continue
        if fact.shape[:2] != (1, config.history_slots) or "P" in fact.shape or "M" in fact.shape:
            raise _differs(folder, fact, f"1 stream of {config.history_slots} slots")
        following = after.get(f"next_{fact.name}")
        if following and (following.type, following.shape) != (fact.type, fact.shape):
            raise _differs(folder, following, f"{fact.type} of {list(fact.shape)}, as it goes in")


def check_inputs(folder: Path, manifest: Manifest, given: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError where the graph does not take what the host gives it in a frame."""
    facts = {tensor.name: tensor for tensor in manifest.inputs}
    _check_names(folder, "inputs", facts, given)
    for name, array in given.items():
        fact = facts[name]
        lengths = zip(fact.shape, array.shape, strict=False)
        same = all(isinstance(stated, str) or stated == length for stated, length in lengths)
        if not same or len(fact.shape) != array.ndim or fact.type != array.dtype.name:
            raise _differs(folder, fact, f"{array.dtype.name} of {list(array.shape)}")


def check_outputs(folder: Path, manifest: Manifest, config: TaskConfig) -> None:
    """Raises ValueError where the graph does not give what the tasks of the configuration need."""
    names = [*_OF_OBJECTS] if config.dynamic_task else []
    if slot_names(config):
        names += [f"memory_{name}" for name in MEMORY_READOUT]
        names += [f"next_{name}" for name in MEMORY_SLOTS]
    if config.static_task:
        names += ["map_logits", *(_OF_RING if config.enable_static_temporal else ())]
    facts = {tensor.name: tensor for tensor in manifest.outputs}
    _check_names(folder, "outputs", facts, names)
    classes = config.vocabulary.names
    if config.dynamic_task and facts["class_logits"].shape[-1:] != (len(classes),):
        raise _differs(folder, facts["class_logits"], f"{len(classes)} classes")


def _check_names(folder: Path, field: str, has: Iterable[str], needs: Iterable[str]) -> None:
    more, missing = sorted({*has} - {*needs}), sorted({*needs} - {*has})
    if more or missing:
        parts = [f"has {', '.join(more)}"] * bool(more)
        parts += [f"lacks {', '.join(missing)}"] * bool(missing)
        raise ValueError(
            f"{folder / MANIFEST}: {field} {' and '.join(parts)}, unlike a network of its config; "
            "export again"
        )


def _differs(folder: Path, fact: TensorFacts, needed: str) -> ValueError:
    return ValueError(
        f"{folder / MANIFEST}: {fact.name} is {fact.type} of {list(fact.shape)}, and its config "
        f"needs {needed}; export again"
    )
