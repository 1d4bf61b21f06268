"""All figures of a run in one object, `metrics.json`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from leapai.config import TaskConfig
from leapai.evaluation.consistency import consistency
from leapai.evaluation.detection import detection_figures
from leapai.evaluation.figures import ConsistencyFigures, DetectionFigures
from leapai.evaluation.tracking import tracking_figures
from leapai.evaluation.tracking_figures import TrackingFigures
from leapai.runtime.outcome import DriveOutcome


class RunFigures(BaseModel):
    """How good a run is. None: there is nothing to judge it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detection: DetectionFigures | None
    """Of the frames that have labels."""
    tracking: TrackingFigures | None
    """Of the same frames."""
    consistency: ConsistencyFigures
    """Of all frames: it needs no labels."""


def judge(drives: Sequence[DriveOutcome], config: TaskConfig) -> RunFigures:
    """The same for any order of drives. Where the dynamic task is off nothing was looked for, so
    that nothing is judged."""
    frames = [frame for drive in drives for frame in drive.labelled() if config.dynamic_task]
    return RunFigures(
        detection=detection_figures(frames, config.bev, config.evaluation) if frames else None,
        tracking=tracking_figures(frames, config.bev) if frames else None,
        consistency=consistency([said for drive in drives for said in drive.detections]),
    )
