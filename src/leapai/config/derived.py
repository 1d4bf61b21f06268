"""Variables that follow from others, where a configuration leaves them out.

Derived values count as not set: `replace` and `--set` derive them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leapai.config.checks import ALL_MODULES

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig
    from leapai.config.section import Section

CANVAS = ("coords", "label_h", "label_w")
"""Variables of `draw_dynamic_cfg` that follow from the BEV."""
FEWEST_CELLS = 16
"""Cells that a canvas has at least along each axis."""
TASKS = ("dynamic", "static")


def derive(config: TaskConfig) -> None:
    """Fills in what follows from other variables of a configuration that has been checked."""
    frozen = {name for name, step in config.freeze_module_schedules.items() if step == 0}
    if not config.freeze_modules:
        _fill(config, "freeze_modules", tuple(n for n in ALL_MODULES if n in frozen))
    if not config.trainable_modules:
        trained = tuple(n for n in config.active_modules() if n not in frozen)
        _fill(config, "trainable_modules", trained)
    _derive_canvas(config)


def _derive_canvas(config: TaskConfig) -> None:
    """Derives the canvas from the BEV: the whole of it in its own cells; a given area in cells of
    that size."""
    left_out = set(CANVAS) - config.draw_dynamic_cfg.model_fields_set
    if not left_out:
        return
    bev, draw = config.bev, config.draw_dynamic_cfg.model_copy()
    if "coords" in left_out:
        _fill(draw, "coords", (*bev.x_range_m, *bev.y_range_m))
    x_low, x_high, y_low, y_high = draw.coords
    for name, extent_m in (("label_h", y_high - y_low), ("label_w", x_high - x_low)):
        if name in left_out:
            _fill(draw, name, max(FEWEST_CELLS, round(extent_m / bev.cell_m)))
    # The section keeps whether it was set: only the values in it are derived.
    object.__setattr__(config, "draw_dynamic_cfg", draw)


def _fill(section: Section, name: str, value: object) -> None:
    """Sets a derived value of a section, which a user could not change any more."""
    object.__setattr__(section, name, value)
    section.model_fields_set.discard(name)


def common_batch_sizes(sizes: object, tasks: Sequence[str]) -> object:
    """Returns the one `batch_sizes` of a configuration that gives them for each task.

    All tasks run on one batch, so `tasks`, those that are on, must agree. What is not in this form
    is returned as it is, for the schema to check. Raises ValueError where tasks that are on differ
    or are left out.
    """
    if not isinstance(sizes, Mapping) or not tasks:
        return sizes
    by_task = {name: sizes[name] for name in TASKS if name in sizes}
    if not by_task or not all(isinstance(each, Mapping) for each in by_task.values()):
        return sizes
    for task in tasks:
        if task not in by_task:
            raise ValueError(
                f"{dict(sizes)} names no {task}, but {task}_task = True: give the sizes of every "
                "task that is on, or one for all: {'train': 16, 'val': 1}"
            )
        if by_task[task] != by_task[tasks[0]]:
            raise ValueError(
                f"{dict(sizes)} must agree over the tasks that are on ({', '.join(tasks)}): they "
                "share one batch"
            )
    common = {name: value for name, value in sizes.items() if name not in TASKS}
    return {**common, **by_task[tasks[0]]}
