"""`--state train`: trains the network of a configuration.

Into the output folder go `last.ckpt` (to go on from), `model.ckpt` (the trained weights),
`train.jsonl`, TensorBoard's events, and pictures of validation.
"""

from __future__ import annotations

import logging
import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from rich.console import Console
from torch.utils.data import DataLoader

from leapai.checkpoints import save_checkpoint
from leapai.config import TaskConfig
from leapai.data.frame_cache import open_cached_logs
from leapai.data.log import DrivingLog
from leapai.data.samplers import StreamingDataset, window_loader
from leapai.distributed import Ranks, connect, ranks_of_launch
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.training.feature_cache import cached_features
from leapai.training.freezing import FreezeSchedule
from leapai.training.initialise import initialise_from
from leapai.training.module import TrainingModule
from leapai.training.reporting import Reporter, forget_lines_after
from leapai.training.resume import (
    LAST,
    KeepCheckpoint,
    StopOnSignal,
    read_training,
    restore_training,
)
from leapai.training.synced_norm import synchronise
from leapai.training.validating import Validator

FINAL = "model.ckpt"
AUTO = "auto"
"""`--resume auto`: go on where the output folder has something to go on from."""
EXIT_OF_SIGNAL = 128


@dataclass(frozen=True)
class TrainingOptions:
    """What a run is told beside its configuration."""

    output: Path
    checkpoint: Path | None = None
    """Weights to begin from, such as those of Step 1."""
    resume: str | None = None
    """A training's checkpoint, or `auto`."""
    data: str | None = None
    """Instead of `data.train` of the configuration."""
    steps: int | None = None
    """Instead of `max_steps`: a short run with the same schedules in small."""
    workers: int | None = None

    def resume_from(self) -> Path | None:
        """The checkpoint to go on from, if any.

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


def run_training(
    config: TaskConfig, options: TrainingOptions, console: Console | None = None
) -> Path | None:
    """Trains until the end, or until a signal; returns where the trained weights are.

    Raises ValueError and OSError for what a user can mend, KeyboardInterrupt after Ctrl-C, and
    SystemExit(143) after SIGTERM, both with `last.ckpt` written.
    """
    ranks = ranks_of_launch()
    console = (console or Console()) if ranks.is_first else Console(quiet=True)
    config = adapted(config, options)
    resume = options.resume_from()
    make_writable(options.output)
    connected = connect(ranks)
    try:
        return _Run(config, options, ranks, console).train(resume)
    finally:
        if connected:
            dist.destroy_process_group()


def adapted(config: TaskConfig, options: TrainingOptions) -> TaskConfig:
    """The configuration with what the options say instead."""
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


def make_writable(folder: Path) -> None:
    """Makes the output folder and tries it, before anything takes time. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".writable"
    probe.touch()
    probe.unlink(missing_ok=True)


class _Run:
    """One training, from the weights it begins with to those it leaves."""

    def __init__(
        self, config: TaskConfig, options: TrainingOptions, ranks: Ranks, console: Console
    ) -> None:
        self.config, self.options, self.ranks, self.console = config, options, ranks, console
        self.output = options.output

    def train(self, resume: Path | None) -> Path | None:
        """All of it."""
        config, ranks = self.config, self.ranks
        content = read_training(resume, config, ranks) if resume else None
        torch.manual_seed(config.training.seed)
        module = TrainingModule(config, self._network(content, resume), ranks)
        begun = content["training"] if content else {"step": 0, "skipped": 0, "skipped_in_row": 0}
        for name in ("step", "skipped", "skipped_in_row"):
            setattr(module.progress, name, begun[name])
        torch.manual_seed(config.training.seed + ranks.rank)  # each rank draws its own
        first = module.progress.step
        events = None
        if ranks.is_first:
            forget_lines_after(self.output / "train.jsonl", first)
            purge = first + 1 if first else None
            events = TensorBoardLogger(self.output, name="", version="events", purge_step=purge)
        stop = StopOnSignal()
        keep = KeepCheckpoint(self.output / LAST, stop)
        validator = Validator(self._logs(config.data.val), self.output, events, self.console)
        freezing = FreezeSchedule(module.model, config)
        freezing.advance(first)
        if ranks.count > 1:
            synchronise(module.model)
        loader = self._windows(module.model, first)
        callbacks: list[pl.Callback] = [_Restore(content), freezing, stop, keep]
        if ranks.is_first:
            reporter = Reporter(self.output / "train.jsonl", events, self.console, first)
            callbacks.append(reporter)
        self._fit(module, loader, [*callbacks, validator])
        if keep.stopped_by:
            self._say_stopped(keep.saved_at)
            _leave(keep.stopped_by)
        final = self.output / FINAL
        if ranks.is_first:
            save_checkpoint(final, module.model, config, metrics=validator.metrics)
            self.console.print(f"  -> [bold]{final}[/]", highlight=False)
        return final

    def _network(self, content: dict[str, Any] | None, resume: Path | None) -> Perception:
        """Built, and with the weights it begins with."""
        config, model = self.config, build_model(self.config)
        self.console.print(
            f"[bold]{config.job_name}[/] on {config.data.train}, {self.ranks.count} x "
            f"{config.batch_sizes.train} streams, {self.ranks.device.type}",
            highlight=False,
        )
        if content is not None:
            model.load_state_dict(content["state_dict"])
            self.console.print(f"goes on from step {content['training']['step']} of {resume}")
        elif self.options.checkpoint:
            report = initialise_from(self.options.checkpoint, model, config)
            self.console.print(str(report), highlight=False)
        return model

    def _logs(self, data: str) -> list[DrivingLog]:
        size = self.config.camera.image_size_px
        return open_cached_logs(data, image_size_px=size, cache=self.config.cache)

    def _windows(self, model: Perception, first: int) -> DataLoader[list[FrameBatch]]:
        """The windows from optimiser step `first` on."""
        config, ranks = self.config, self.ranks
        logs = self._logs(config.data.train)
        dataset: StreamingDataset
        if config.cache.features_gb:
            dataset = cached_features(
                model, logs, config, ranks, self.console, config.cache.feature_variants
            )
        else:
            dataset = StreamingDataset(logs, config, rank=ranks.rank, world_size=ranks.count)
        parts = config.accumulate_grad_batches
        steps = range(first * parts, config.max_steps * parts)
        return window_loader(dataset, steps, config.training.workers)

    def _fit(
        self,
        module: TrainingModule,
        loader: DataLoader[list[FrameBatch]],
        callbacks: list[pl.Callback],
    ) -> None:
        ranks = self.ranks
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            trainer = pl.Trainer(
                accelerator=ranks.device.type,
                devices=ranks.local_count if ranks.count > 1 else 1,
                num_nodes=ranks.count // ranks.local_count,
                strategy=_joint() if ranks.count > 1 else "auto",
                max_epochs=1,
                limit_val_batches=0,
                logger=False,
                callbacks=callbacks,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                default_root_dir=self.output,
            )
            trainer.fit(module, loader)

    def _say_stopped(self, saved_at: int | None) -> None:
        self.console.print(
            f"stopped after step {saved_at} of {self.config.max_steps}; go on with --resume auto "
            f"--output {self.output}",
            highlight=False,
        )


class _Restore(pl.Callback):
    """Puts back what a checkpoint holds beside the weights, once the optimiser is there."""

    def __init__(self, content: dict[str, Any] | None) -> None:
        self.content = content

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Just before the first step; before that, the loader draws from the random state."""
        assert isinstance(pl_module, TrainingModule)
        if self.content is not None:
            restore_training(self.content, pl_module, trainer.optimizers[0])
            self.content = None


def _joint() -> DDPStrategy:
    """DDP. What a step leaves unused differs (no object, no denoising, frozen later); batch norm's
    statistics are the same everywhere already."""
    return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)


def _leave(received: int) -> None:
    """As the signal asked, now that all is saved."""
    if received == signal.SIGTERM:
        raise SystemExit(EXIT_OF_SIGNAL + signal.SIGTERM)
    raise KeyboardInterrupt
