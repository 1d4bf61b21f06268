"""Progress of a training, shown to the user: a progress bar, lines, and every ten steps a summary
that goes to the loggers."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from leapai.training.loggers import RunOutput
from leapai.training.progress import StepReport, now
from leapai.training.train_step import TrainStep

LOG_EVERY = 10
"""Steps that one summary covers."""


class Reporter:
    """Summarises every ten steps; reports a skipped one at once. Shows its bar while its block
    runs."""

    def __init__(self, output: RunOutput, steps: int, first: int = 0) -> None:
        self.loggers, self.console = output.loggers, output.console
        self._losses: dict[str, Tensor] = {}
        self._seconds: dict[str, float] = {}
        self._steps = self._frames = 0
        self._from_step, self._since = first, now()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        # Drawn after each step and by no thread of its own: workers are forked while it is shown.
        self._bar = Progress(
            *columns,
            TimeRemainingColumn(),
            console=self.console,
            auto_refresh=False,
            disable=self.console.quiet,
        )
        self._task = self._bar.add_task("training", total=steps, completed=first)

    def __enter__(self) -> Reporter:
        self._since = now()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def after(self, step: TrainStep) -> None:
        """Adds a step to the summary, and passes the summary on where it is due."""
        report, done = step.report, step.progress.step
        self._add(report, done)
        self._bar.update(self._task, completed=done, refresh=True)
        if done % LOG_EVERY == 0 or done == step.config.max_steps:
            self._sum_up(step)

    def _add(self, report: StepReport, done: int) -> None:
        """Adds the losses of a step; of one that was skipped, prints the frames."""
        if report.skipped:
            self.console.print(
                f"[yellow]step {done - 1} skipped, its loss or gradients are not finite: "
                f"{', '.join(report.skipped)}[/]",
                highlight=False,
            )
        else:
            for name, value in report.losses.items():
                self._losses[name] = self._losses.get(name, value.new_zeros(())) + value
            self._steps += 1
        self._frames += report.frames

    def _sum_up(self, step: TrainStep) -> None:
        """Passes means over the steps since the last summary to the loggers and to the terminal."""
        took, done = now() - self._since, step.progress.step
        steps = max(done - self._from_step, 1)
        losses = {name: float(value) / max(self._steps, 1) for name, value in self._losses.items()}
        totals = step.watch.seconds
        seconds = {stage: v - self._seconds.get(stage, 0.0) for stage, v in totals.items()}
        run: dict[str, float] = {
            "rate": step.report.rate,
            "gradient_norm": step.report.gradient_norm,
            "seconds_a_step": took / steps,
            "frames_per_s": self._frames / took,
            "waiting": seconds.get("data", 0.0) / took,
            "skipped": step.progress.skipped,
        }
        scalars = {f"run/{name}": value for name, value in run.items()}
        scalars |= {f"loss/{name}": value for name, value in losses.items()}
        scalars |= {f"seconds/{stage}": value / steps for stage, value in seconds.items()}
        self.loggers.scalars(scalars, done)
        self._show(step, losses, run)
        self._losses, self._steps, self._frames = {}, 0, 0
        self._seconds, self._from_step = totals, done
        self._since = now()

    def _show(self, step: TrainStep, losses: dict[str, float], run: dict[str, float]) -> None:
        """Shows the loss on the bar; prints a line where the output is no terminal."""
        rate = 1 / run["seconds_a_step"]
        shown = (
            f"loss {losses.get('total', float('nan')):.3f}, {rate:.2f} steps/s, "
            f"{run['frames_per_s']:.1f} frames/s, {run['waiting']:.0%} waiting for frames"
        )
        self._bar.update(self._task, description=shown, refresh=True)
        if not self.console.is_terminal:
            done, total = step.progress.step, step.config.max_steps
            self.console.print(f"step {done}/{total}: {shown}", highlight=False)
