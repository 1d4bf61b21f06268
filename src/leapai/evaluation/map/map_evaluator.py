"""Evaluates the predicted map while drives stream: rasters are too large to be kept until the
end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leapai.config.schema import TaskConfig
from leapai.data.log import DrivingLog
from leapai.data.static_labels import with_static_labels
from leapai.evaluation.map.line_metrics import gt_lines
from leapai.evaluation.map.map_flicker import MapView
from leapai.evaluation.map.map_metrics import MapFrame, MapTally
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.map.visibility import SightMemory
from leapai.streaming.step_result import StepResult


class MapEvaluator:
    """Counts the predicted map in the sequences of one process."""

    def __init__(self, config: TaskConfig) -> None:
        self._region, self._enabled = config.static.region(), config.static_task
        self.tally = MapTally(self._region, config.evaluation)

    def of_sequence(self, log: DrivingLog) -> Callable[[StepResult], None]:
        """Returns a function that counts the frames of a sequence, one after another. Where the
        static task is off it counts nothing, and the map of the sequence is not read."""
        if not self._enabled:
            return lambda result: None
        vector_map, known = log.vector_map(), log.static_classes
        memory = SightMemory(self._region)

        def add(result: StepResult) -> None:
            assert result.map is not None
            frame = with_static_labels(result.frame, vector_map, self._region, known)
            pose, predicted = frame.ego2global, result.map
            self.tally.add(
                MapFrame(
                    predicted=MapView(
                        frame.sequence, frame.timestamp_us, pose, predicted.probability
                    ),
                    lines=predicted.lines,
                    labels=frame.static_labels,
                    gt_lines=None if vector_map is None else gt_lines(vector_map, pose),
                    sight=None if vector_map is None else memory.sight(frame),
                )
            )

        return add


def merged_map_metrics(tallies: Iterable[MapTally]) -> MapMetrics | None:
    """Returns the metrics of what all processes counted, which the first tally takes up; None: no
    map was predicted."""
    together, *others = tallies
    for other in others:
        together.merge(other)
    metrics = together.metrics()
    return metrics if metrics.frames else None
