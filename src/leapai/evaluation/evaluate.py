"""All figures of a run in one object, `metrics.json`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from leapai.config import TaskConfig
from leapai.evaluation.consistency import consistency
from leapai.evaluation.detection.detection_metrics import detection_metrics
from leapai.evaluation.detection.detection_results import ConsistencyMetrics, DetectionMetrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.sequence_result import SequenceResult
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.evaluation.tracking.tracking_results import TrackingMetrics


class RunMetrics(BaseModel):
    """How good a run is. None: there is nothing to judge it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detection: DetectionMetrics | None
    """Of the frames that have labels."""
    tracking: TrackingMetrics | None
    """Of the same frames."""
    consistency: ConsistencyMetrics
    """Of all frames: it needs no labels."""
    road: MapMetrics | None = None
    """Against the maps of the drives; of frames without one, steadiness alone."""


def evaluate(
    drives: Sequence[SequenceResult], config: TaskConfig, road: MapMetrics | None = None
) -> RunMetrics:
    """The same for any order of drives. Where the dynamic task is off nothing was looked for, so
    that nothing is judged. `road` was counted while the drives streamed."""
    frames = [frame for drive in drives for frame in drive.labelled() if config.dynamic_task]
    return RunMetrics(
        detection=detection_metrics(frames, config.bev, config.evaluation) if frames else None,
        tracking=tracking_metrics(frames, config.bev) if frames else None,
        consistency=consistency([said for drive in drives for said in drive.detections]),
        road=road,
    )
