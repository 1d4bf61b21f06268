"""The training loop: what happens, in which order, from the first window to the last step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from leapai.config.options import LAST
from leapai.data.log import DrivingLog
from leapai.data.samplers import read_through
from leapai.training.freezing import FreezeSchedule
from leapai.training.kept_checkpoints import BestCheckpoint
from leapai.training.loggers import RunOutput
from leapai.training.reporting import Reporter
from leapai.training.resume import CheckpointKeeper, restore_training
from leapai.training.stop_signal import StoppedError, StopSignal
from leapai.training.train_step import TrainStep
from leapai.training.validating import Validator
from leapai.training.window_losses import Window


class TrainingLoop:
    """Windows -> steps, checkpoints, summaries and validations."""

    def __init__(
        self,
        step: TrainStep,
        freezing: FreezeSchedule,
        validation_logs: Sequence[DrivingLog],
        output: RunOutput,
    ) -> None:
        self.step, self.freezing = step, freezing
        best = BestCheckpoint(output.folder, resumed=step.progress.step > 0)
        self.validator = Validator(validation_logs, output, best)
        self.checkpoints = CheckpointKeeper(output.folder / LAST)
        self.reporter = Reporter(output, step.config.max_steps, step.progress.step)

    def run(self, windows: Iterable[Window], resumed: dict[str, Any] | None = None) -> int:
        """Trains on all windows, or until a signal comes to any rank. All ranks must call.

        `resumed` is the content of the checkpoint to go on from. Returns the signal's number; 0:
        none came, and the training is at its end.
        """
        step = self.step
        # A loader draws from the random state, so it begins before that is restored.
        remaining = read_through(windows)
        if resumed is not None:
            restore_training(resumed, step)
        with StopSignal() as stop, self.reporter:
            for window in self._on_device(remaining):
                self.freezing.advance(step.progress.step, step.optimizer)
                step.add(window)
                if not step.is_complete:
                    continue  # the step accumulates the gradients of more windows
                stopped_by = stop.on_any_rank()
                # Written before a validation, too: a signal then ends that where it is.
                self.checkpoints.after(step, now=stopped_by != 0 or self.validator.is_due(step))
                self.reporter.after(step)
                if stopped_by:
                    return stopped_by
                try:
                    with stop.at_once():
                        self.validator.after(step)
                except StoppedError:
                    return stop.received or 0
        return 0

    def _on_device(self, windows: Iterator[Window]) -> Iterator[Window]:
        """Yields the windows on this rank's device; the time until one is there is "data"."""
        while True:
            with self.step.watch("data"):
                window = next(windows, None)
                if window is None:
                    return
                window = [batch.to(self.step.ranks.device) for batch in window]
            yield window
