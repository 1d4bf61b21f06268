"""The parts of a step that are graphs of their own: the trunk and each task."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

from leapai.config.checks import (
    DYNAMIC_MODULES,
    STATIC_MODULES,
    STATIC_TEMPORAL_MODULES,
    TRUNK_MODULES,
)
from leapai.config.schema import TaskConfig
from leapai.models.perception import Perception
from leapai.runtime.manifest import GraphName

Division = Literal["step", "parts"]
"""One graph a step, or the trunk and each task as graphs of their own."""
_MODULES: dict[GraphName, tuple[str, ...]] = {
    "trunk": TRUNK_MODULES,
    "dynamic": DYNAMIC_MODULES,
    "static": (*STATIC_MODULES, *STATIC_TEMPORAL_MODULES),
}
"""Modules of each part."""


def graph_names(config: TaskConfig, division: Division) -> tuple[GraphName, ...]:
    """Returns the graphs of a network, in the order in which they run: the tasks that are on."""
    if division == "step":
        return ("step",)
    tasks: dict[GraphName, bool] = {"dynamic": config.dynamic_task, "static": config.static_task}
    return ("trunk", *(name for name, is_on in tasks.items() if is_on))


def part_of(model: Perception, name: GraphName) -> Perception:
    """Returns a copy of a network with the modules of one part alone; for a step, the network."""
    if name == "step":
        return model
    kept = deepcopy(model)
    for module, _ in model.named_children():
        if module not in _MODULES[name]:
            setattr(kept, module, None)
    return kept
