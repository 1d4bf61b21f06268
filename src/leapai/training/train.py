"""`--state train`: trains the network of a configuration.

Into the output folder go `config.json`, `last.ckpt` (to resume from) and the one before it,
`model.ckpt` (the trained weights), `train.jsonl`, what the loggers of the configuration write, and
pictures of validation.
"""

from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.markup import escape

from leapai.config.options import EXIT_OF_SIGNAL, LAST, TrainingOptions
from leapai.distributed import Ranks, current_ranks, joined_ranks
from leapai.training.adapted_config import adapted
from leapai.training.freezing import FreezeSchedule
from leapai.training.kept_checkpoints import compared_metric, write_weights
from leapai.training.loggers import AllLoggers, LoggedRun, RunOutput, check_loggers, open_loggers
from leapai.training.loop import TrainingLoop
from leapai.training.resume import progress_of, read_training, undamaged
from leapai.training.starting_network import starting_network
from leapai.training.train_step import TrainStep
from leapai.training.training_artifacts import artifacts_in, write_config
from leapai.training.training_data import logs_of, training_logs, windows_from

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig

FINAL = "model.ckpt"


def run_training(
    config: TaskConfig, options: TrainingOptions, console: Console | None = None
) -> Path:
    """Trains until the end, or until a signal; returns the path of the trained weights.

    Raises ValueError and OSError for what a user can fix, KeyboardInterrupt after Ctrl-C, and
    SystemExit(143) after SIGTERM, both with `last.ckpt` written.
    """
    ranks = current_ranks()
    console = (console or Console()) if ranks.is_first else Console(quiet=True)
    config = adapted(config, options)
    resume = options.resume_from()
    check_loggers(config.training.loggers)
    compared_metric(config.training.best_metric)
    held = options.hold_output() if ranks.is_first else nullcontext()
    with options.new_output(), joined_ranks(), held:
        content = None
        if resume:
            checkpoint, damage = undamaged(resume)
            if damage:
                console.print(f"[yellow]{escape(damage)}[/]", highlight=False, soft_wrap=True)
            content, resume = read_training(checkpoint, config, ranks), checkpoint.path
        return _Run(config, options, ranks, console).train(content, resume)


class _Run:
    """One training, from the weights it begins with to those it leaves."""

    def __init__(
        self, config: TaskConfig, options: TrainingOptions, ranks: Ranks, console: Console
    ) -> None:
        self.config, self.options, self.ranks, self.console = config, options, ranks, console

    def train(self, content: dict[str, Any] | None, resume: Path | None) -> Path:
        """Trains, and writes the trained weights; `content` is that of the checkpoint `resume`."""
        config, ranks, progress = self.config, self.ranks, progress_of(content)
        self._announce(progress.step, resume)
        data, validation_logs = training_logs(config), logs_of(config.data.val, config)
        torch.manual_seed(config.training.seed)
        model = starting_network(config, self.options.checkpoint, content, self.console)
        with self._loggers(progress.step) as loggers:
            output = RunOutput(self.options.output, loggers, self.console)
            torch.manual_seed(config.training.seed + ranks.rank)  # each rank draws its own
            freezing = FreezeSchedule(model, config)
            freezing.advance(progress.step)
            windows = windows_from(progress.step, data, config, model, ranks, self.console)
            step = TrainStep(config, model, ranks, progress)
            loop = TrainingLoop(step, freezing, validation_logs, output)
            stopped_by = loop.run(windows, content)
            final = self.options.output / FINAL
            if ranks.is_first and not stopped_by:
                write_weights(final, step, loop.validator.metrics)
                self.console.print(f"  -> [bold]{final}[/]", highlight=False)
                loggers.artifacts(artifacts_in(self.options.output, final))
        if stopped_by:
            self._leave(stopped_by, progress.step)
        return final

    def _announce(self, first: int, resume: Path | None) -> None:
        config, ranks = self.config, self.ranks
        sources = [config.data.train] if isinstance(config.data.train, str) else config.data.train
        self.console.print(
            f"[bold]{config.job_name}[/] on {' + '.join(sources)}, {ranks.count} x "
            f"{config.batch_sizes.train} streams, {ranks.device.type}",
            highlight=False,
        )
        if resume is not None:
            self.console.print(f"goes on from step {first} of {resume}")

    def _loggers(self, first: int) -> AllLoggers:
        """Opens the configuration's loggers on the first rank, where the configuration is written,
        too; and none on the others."""
        if not self.ranks.is_first:
            return AllLoggers()
        config = self.config
        write_config(self.options.output, config)
        run = LoggedRun(self.options.output, config.job_name, config.model_dump(mode="json"), first)
        return open_loggers(config.training.loggers, run)

    def _leave(self, stopped_by: int, step: int) -> None:
        """Ends the program as the signal asks, now that all is saved."""
        saved = (
            f"after step {step} of {self.config.max_steps}; {self.options.output / LAST} keeps the "
            f"training; go on with: {self.options.resume_command}"
        )
        if stopped_by == signal.SIGTERM:
            self.console.print(f"stopped {saved}", highlight=False, soft_wrap=True)
            raise SystemExit(EXIT_OF_SIGNAL + signal.SIGTERM)
        raise KeyboardInterrupt(saved)
