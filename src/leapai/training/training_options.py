"""What a user asks of a training in addition to its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leapai.config import TaskConfig

LAST = "last.ckpt"
"""The training as it stands, in its output folder."""
AUTO = "auto"
"""`--resume auto`: resumes where the output folder has something to resume from."""


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a run, next to its configuration."""

    output: Path
    checkpoint: Path | None = None
    """Weights to begin from, such as those of Step 1."""
    resume: str | None = None
    """A training's checkpoint, or `auto`."""
    data: str | None = None
    """Replaces `data.train` of the configuration."""
    steps: int | None = None
    """Replaces `max_steps`: a short run with the same schedules in small."""
    workers: int | None = None
    """Replaces `training.workers`."""

    def resume_from(self) -> Path | None:
        """Returns the checkpoint to resume from, if any.

        Raises ValueError where the run would overwrite another one.
        """
        last = self.output / LAST
        if self.resume == AUTO:
            return last if last.is_file() else None
        if self.resume is None and last.is_file():
            raise ValueError(
                f"{last} exists: there has been a training in this folder; say --resume auto to go "
                "on with it, or name another folder with --output"
            )
        return Path(self.resume) if self.resume else None

    def make_output(self) -> None:
        """Makes the output folder and tries to write there, before anything takes time. Raises
        OSError."""
        self.output.mkdir(parents=True, exist_ok=True)
        probe = self.output / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)


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
        name: -(-step * steps // before)  # rounded up: what is frozen never still is
        for name, step in values["freeze_module_schedules"].items()
    }
