"""Validation during training: metrics and a picture, without any effect on the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from leapai.config.schema import TaskConfig
from leapai.data.log import DrivingLog
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.evaluation.metrics import headline, scalars
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.pictures.frame_painter import painter_of
from leapai.pictures.video import write_png
from leapai.streaming.session import StreamSession
from leapai.training.loggers import RunOutput
from leapai.training.train_step import TrainStep
from leapai.types import ImageArray

if TYPE_CHECKING:
    from leapai.training.kept_checkpoints import BestCheckpoint

PICTURED_FRAME = 5
"""Number of frames of the first sequence up to the pictured one: by then the memory is full."""


class Validator:
    """Validates every `training.validate_every` steps, and at the end."""

    def __init__(self, logs: Sequence[DrivingLog], output: RunOutput, best: BestCheckpoint) -> None:
        self.logs, self.output, self.best = logs, output, best
        self.metrics: dict[str, float] = {}

    def is_due(self, step: TrainStep) -> bool:
        """Returns whether this step is one after which a validation follows."""
        done, every = step.progress.step, step.config.training.validate_every
        return done == step.config.max_steps or bool(every and done % every == 0)

    def after(self, step: TrainStep) -> None:
        """Validates where it is due after a step. All ranks must call."""
        if self.is_due(step):
            self.validate(step)

    def validate(self, step: TrainStep) -> None:
        """Finds metrics and a picture of the network as it is now; the first rank shows them."""
        config, ranks = step.config, step.ranks
        with torch.random.fork_rng():
            # A network of its own, so that neither modes nor what modules keep reach training.
            model = build_model(config)
            model.load_state_dict(step.weights())
            self.metrics = validate_now(model, config, self.logs, ranks.device)
            picture = picture_of(model, config, self.logs, ranks.device) if ranks.is_first else None
        if ranks.is_first:
            self._show(picture, step.progress.step)
            if self.best.offer(step, self.metrics):
                line = f"best {step.config.training.best_metric} so far: {self.best.path}"
                self.output.console.print(line, highlight=False)

    def _show(self, picture: ImageArray | None, done: int) -> None:
        """Prints the headline, and passes metrics and picture on."""
        line = f"validation at step {done}: {headline(self.metrics)}"
        self.output.console.print(line, highlight=False)
        self.output.loggers.scalars({f"val/{n}": v for n, v in self.metrics.items()}, done)
        if picture is not None:
            folder = self.output.folder / "pictures"
            folder.mkdir(exist_ok=True)
            write_png(folder / f"step_{done:06d}.png", picture)
            self.output.loggers.image("val", picture, done)


def validate_now(
    model: Perception, config: TaskConfig, logs: Sequence[DrivingLog], device: torch.device
) -> dict[str, float]:
    """Returns the scalars of `model` on the first `training.validation_frames` of each drive. All
    ranks must call: they share the drives."""
    frames = config.training.validation_frames
    return scalars(evaluate_stream(model, config, logs, frames, device))


def picture_of(
    model: Perception, config: TaskConfig, logs: Sequence[DrivingLog], device: torch.device
) -> ImageArray | None:
    """Returns a picture of the detections in an early frame of the first sequence; None without
    data."""
    if not logs:
        return None
    session = StreamSession(model, config, device)
    for index in range(min(PICTURED_FRAME, len(logs[0]))):
        given = logs[0][index]
        stepped = session.try_step(given)
        if stepped is not None:
            frame, result = given, stepped
    dots, vector_map = result.memory_slots, logs[0].vector_map()
    picture = painter_of(config).paint(frame, result.detections, dots, vector_map, result.map)
    return np.ascontiguousarray(picture)
