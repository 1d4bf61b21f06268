"""What a user sees of a run: a progress bar, `train.jsonl`, TensorBoard scalars. The first rank
speaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from leapai.io import whole_file
from leapai.training.module import TrainingModule
from leapai.training.steps import now

LOG_EVERY = 10
"""Steps that a line of `train.jsonl` sums up."""


def forget_lines_after(path: Path, step: int) -> None:
    """Drops the lines of steps that a run will take again, and one that a kill cut short."""
    if path.is_file():
        lines = path.read_text().splitlines(keepends=True)
        kept = [x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= step]
        with whole_file(path) as temporary:
            temporary.write_text("".join(kept))


class Reporter(pl.Callback):
    """Sums up every ten steps; a skipped one is told at once."""

    def __init__(
        self, path: Path, events: TensorBoardLogger | None, console: Console, from_step: int
    ) -> None:
        self.path, self.events, self.console = path, events, console
        self._losses: dict[str, Tensor] = {}
        self._seconds: dict[str, float] = {}
        self._steps = self._frames = 0
        self._from_step, self._since = from_step, now()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("training")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the bar."""
        assert isinstance(pl_module, TrainingModule)
        self._since = now()
        self._bar.update(self._task, total=pl_module.config.max_steps, completed=self._from_step)
        self._bar.start()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leaves the terminal as it was, after an error, too."""
        self._bar.stop()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """After each window."""
        assert isinstance(pl_module, TrainingModule)
        report, step = pl_module.report, pl_module.progress.step
        if (batch_idx + 1) % pl_module.config.accumulate_grad_batches:
            return
        if report.skipped:
            self.console.print(
                f"[yellow]step {step - 1} skipped, its loss or gradients are not finite: "
                f"{', '.join(report.skipped)}[/]",
                highlight=False,
            )
        else:
            for name, value in report.losses.items():
                self._losses[name] = self._losses.get(name, value.new_zeros(())) + value
            self._steps += 1
        self._frames += report.frames
        self._bar.update(self._task, completed=step)
        if step % LOG_EVERY == 0 or step == pl_module.config.max_steps:
            self._sum_up(pl_module)

    def _sum_up(self, module: TrainingModule) -> None:
        """One line, and the same as scalars."""
        took, step = now() - self._since, module.progress.step
        steps = max(step - self._from_step, 1)
        losses = {name: float(value) / max(self._steps, 1) for name, value in self._losses.items()}
        seconds = {s: v - self._seconds.get(s, 0.0) for s, v in module.watch.seconds.items()}
        seconds_of = {stage: value / steps for stage, value in seconds.items()}
        run: dict[str, float] = {
            "rate": module.report.rate,
            "gradient_norm": module.report.gradient_norm,
            "seconds_a_step": took / steps,
            "frames_per_s": self._frames / took,
            "skipped": module.progress.skipped,
        }
        line = {"step": step, **run, "losses": losses, "seconds_of": seconds_of}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.events:
            scalars = {f"loss/{name}": value for name, value in losses.items()}
            scalars |= {f"seconds/{name}": value for name, value in seconds_of.items()}
            scalars |= {f"run/{name}": value for name, value in run.items()}
            self.events.log_metrics(scalars, step)
        self._show(module, losses, steps / took)
        self._losses, self._steps, self._frames = {}, 0, 0
        self._seconds, self._from_step = dict(module.watch.seconds), step
        self._since = now()

    def _show(self, module: TrainingModule, losses: dict[str, float], rate: float) -> None:
        """On the bar; a line where the output is no terminal."""
        said = f"loss {losses.get('total', float('nan')):.3f}, {rate:.2f} steps/s"
        self._bar.update(self._task, description=said)
        if not self.console.is_terminal:
            step, total = module.progress.step, module.config.max_steps
            self.console.print(f"step {step}/{total}: {said}", highlight=False)
