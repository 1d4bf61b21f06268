"""A configuration as the options of a training change it."""

from __future__ import annotations

from typing import Any

from leapai.config.options import TrainingOptions
from leapai.config.schema import TaskConfig


def adapted(config: TaskConfig, options: TrainingOptions) -> TaskConfig:
    """Returns the configuration with the values that the options replace."""
    values = config.model_dump()
    if options.data is not None:
        values["data"]["train"] = options.data
    if options.workers is not None:
        values["training"]["workers"] = options.workers
    if options.steps is not None:
        _shorten(values, options.steps)
    return TaskConfig.model_validate(values)


def _shorten(values: dict[str, Any], steps: int) -> None:
    """Scales whatever counts steps; milestones are fractions already."""
    before = values["max_steps"]
    values["max_steps"] = steps
    values["train_steps"] = round(values["train_steps"] * steps / before)
    values["finetune_steps"] = steps - values["train_steps"]
    warmup = values["optimizer"]["warmup_steps"]
    values["optimizer"]["warmup_steps"] = round(warmup * steps / before)
    values["freeze_module_schedules"] = {
        name: -(-step * steps // before)  # rounded up: a step above 0 stays above 0
        for name, step in values["freeze_module_schedules"].items()
    }
