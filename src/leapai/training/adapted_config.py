"""A configuration as the options of a training change it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from leapai.config.options import TrainingOptions
from leapai.config.problems import ConfigError, one_line
from leapai.config.schema import TaskConfig


def adapted(config: TaskConfig, options: TrainingOptions) -> TaskConfig:
    """Returns the configuration with the values that the options replace.

    Raises ConfigError for a source of data with a wrong weight.
    """
    values = config.model_dump()
    if options.data:
        values["data"]["train"] = options.data if len(options.data) > 1 else options.data[0]
    if options.val_data is not None:
        values["data"]["val"] = options.val_data
    if options.workers is not None:
        values["training"]["workers"] = options.workers
    if options.steps is not None:
        _shorten(values, options.steps)
    try:
        return TaskConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(one_line(error, TaskConfig)) from None


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
