"""Validation in the middle of training: figures and a picture, without a trace in the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console

from leapai.config import TaskConfig
from leapai.data.log import DrivingLog
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.evaluation.metrics import headline, scalars
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.pictures.frame_painter import painter_of
from leapai.pictures.video import write_png
from leapai.streaming.session import StreamSession, memory_slots_of
from leapai.training.module import TrainingModule
from leapai.types import ImageArray

PICTURED_FRAME = 5
"""Of the first drive: by then the memory is full."""


class Validator(pl.Callback):
    """Validates every `training.validate_every` steps, and at the end."""

    def __init__(
        self,
        logs: Sequence[DrivingLog],
        output: Path,
        events: TensorBoardLogger | None,
        console: Console,
    ) -> None:
        self.logs, self.output, self.events, self.console = logs, output, events, console
        self.metrics: dict[str, float] = {}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """After each window; between two steps only."""
        assert isinstance(pl_module, TrainingModule)
        config, step = pl_module.config, pl_module.progress.step
        every = config.training.validate_every
        if (batch_idx + 1) % config.accumulate_grad_batches:
            return
        if step == config.max_steps or (every and step % every == 0):
            self.validate(pl_module, step)

    def validate(self, module: TrainingModule, step: int) -> None:
        """Figures and a picture of the network as it is now; the first rank shows them."""
        config, device = module.config, module.ranks.device
        with torch.random.fork_rng():
            # A network of its own, so that neither modes nor what modules keep reach training.
            model = build_model(config)
            model.load_state_dict(module.model.state_dict())
            self.metrics = validate_now(model, config, self.logs, device)
            first = module.ranks.is_first
            picture = picture_of(model, config, self.logs, device) if first else None
        if not first:
            return
        self.console.print(f"validation at step {step}: {headline(self.metrics)}", highlight=False)
        if picture is not None:
            folder = self.output / "pictures"
            folder.mkdir(exist_ok=True)
            write_png(folder / f"step_{step:06d}.png", picture)
        if self.events:
            self.events.log_metrics({f"val/{n}": v for n, v in self.metrics.items()}, step)
            if picture is not None:
                self.events.experiment.add_image("val", picture, step, dataformats="HWC")


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
    """What the network says of an early frame of the first drive."""
    if not logs:
        return None
    session = StreamSession(model, config, device)
    for index in range(min(PICTURED_FRAME, len(logs[0]))):
        frame = logs[0][index]
        result = session.step(frame)
    dots, vector_map = memory_slots_of(result), logs[0].vector_map()
    picture = painter_of(config).paint(frame, result.detections, dots, vector_map, result.road)
    return np.ascontiguousarray(picture)
