"""Streams drives under one condition after another, and keeps the result of each."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from leapai.data.corruptions.stress_conditions import Condition
from leapai.distributed import broadcast
from leapai.evaluation.detection.failures import failures
from leapai.evaluation.evaluate import evaluate
from leapai.evaluation.robustness import key_of, scores_of
from leapai.runs.run_files import CONDITIONS
from leapai.runs.run_inputs import RunInputs
from leapai.runs.stream_sequences import StreamingOptions, StreamResults, stream_sequences
from leapai.runs.stress_folder import keep_result
from leapai.runs.stress_results import CLEAN, ConditionResult, WorstLoss, percent
from leapai.runs.worst_frames import FrameWeights, WorstFrames

if TYPE_CHECKING:
    from leapai.evaluation.detection.labelled_frames import LabelledFrame
    from leapai.evaluation.run_metrics import RunMetrics

CLEAN_CONDITION = Condition(CLEAN, CLEAN, "clean", list)


class StressStreaming:
    """Streams the drives of a run; the clean ones first, which all others are compared with."""

    def __init__(
        self, inputs: RunInputs, output: Path, console: Console, every: int | None
    ) -> None:
        self._inputs, self._output, self._console = inputs, output, console
        self._every = every
        self._clean: list[LabelledFrame] = []
        self._weights: FrameWeights = {}
        self.metrics: RunMetrics | None = None
        """All metrics of the clean run, known to the first process once it has been streamed."""

    def run(self, condition: Condition) -> ConditionResult | None:
        """Streams the drives under a condition and keeps its result, which the first process
        returns and the others do not have.

        All processes must call, with the clean condition first. Raises ValueError where no frame
        has labels.
        """
        start = time.perf_counter()
        results = self._streamed(condition)
        if condition.name == CLEAN:
            self._take_clean(results)
        if results is None:
            return None
        frames = [frame for sequence in results.sequences for frame in sequence.labelled()]
        worst = results.worst_frames[0] if results.worst_frames else None
        result = ConditionResult(
            name=condition.name,
            kind=condition.kind,
            words=condition.words,
            corruption=condition.corruption,
            severity=condition.severity,
            level=condition.level,
            scores=scores_of(frames, self._clean, self._inputs.config),
            worst=WorstLoss(worst.sequence, worst.timestamp_us, worst.weight) if worst else None,
            seconds=time.perf_counter() - start,
        )
        keep_result(self._output, result, worst.picture_webp if worst else None)
        self._console.print(escape(_line(result)), highlight=False, soft_wrap=True)
        return result

    def _streamed(self, condition: Condition) -> StreamResults | None:
        logs = condition.apply(self._inputs.logs)
        is_clean = condition.name == CLEAN
        inputs = replace(
            self._inputs, logs=logs, origin=replace(self._inputs.origin, max_frames=None)
        )
        streaming = StreamingOptions(
            picture_step=self._every,
            evaluates=False,
            label=condition.words,
            worst=partial(WorstFrames, kept=0 if is_clean else 1, expected=self._weights),
        )
        folder = self._output / CONDITIONS / condition.name
        return stream_sequences(inputs, folder, self._console, streaming)

    def _take_clean(self, results: StreamResults | None) -> None:
        """Keeps the frames of the clean run, and gives all processes the weight of its failures."""
        if results is not None:
            self._clean = [f for sequence in results.sequences for f in sequence.labelled()]
            self.metrics = evaluate(results.sequences, self._inputs.config)
        bev = self._inputs.config.bev
        weights = {key_of(f): float(failures(f, bev).weight.sum()) for f in self._clean}
        self._weights = broadcast(weights)
        if not self._weights:
            raise ValueError(
                f"data '{self._inputs.origin.data}': no frame has labels, so there is no score to "
                "lose; name labelled data with --data (`leapai predict` needs no labels)"
            )


def _line(result: ConditionResult) -> str:
    """Returns a result as a line of the terminal."""
    scores = result.scores
    ap, relative = percent(scores.mean_ap), percent(scores.relative)
    return f"  {result.words}: mAP {ap}, {relative} of clean ({result.seconds:.0f} s)"
