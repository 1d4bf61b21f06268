"""Judges the road while drives stream: rasters are too large to be kept until their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leapai.config import TaskConfig
from leapai.data.log import DrivingLog, static_classes_of
from leapai.data.static_labels import with_static_labels
from leapai.evaluation.map.line_metrics import true_lines
from leapai.evaluation.map.map_flicker import MapView
from leapai.evaluation.map.map_metrics import MapFrame, MapTally
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.map.visibility import SightMemory
from leapai.streaming.session import StepResult


class MapEvaluator:
    """Counts what a network says of the road in the drives of one process."""

    def __init__(self, config: TaskConfig) -> None:
        self._region, self._wanted = config.static.region(), config.static_task
        self.tally = MapTally(self._region, config.evaluation)

    def of_sequence(self, log: DrivingLog) -> Callable[[StepResult], None]:
        """What counts the frames of a drive, one after another. Where the static task is off it
        counts nothing, and the drive's map is not read."""
        if not self._wanted:
            return lambda result: None
        vector_map, known = log.vector_map(), static_classes_of(log)
        memory = SightMemory(self._region)

        def add(result: StepResult) -> None:
            assert result.road is not None
            frame = with_static_labels(result.frame, vector_map, self._region, known)
            pose, road = frame.ego2global, result.road
            self.tally.add(
                MapFrame(
                    said=MapView(frame.sequence, frame.timestamp_us, pose, road.probability),
                    lines=road.lines,
                    labels=frame.static_labels,
                    true_lines=None if vector_map is None else true_lines(vector_map, pose),
                    sight=None if vector_map is None else memory.sight(frame),
                )
            )

        return add


def merged_map_metrics(tallies: Iterable[MapTally]) -> MapMetrics | None:
    """Of what all processes counted, which the first of them takes up; None: nothing was said."""
    together, *others = tallies
    for other in others:
        together.merge(other)
    metrics = together.metrics()
    return metrics if metrics.frames else None
