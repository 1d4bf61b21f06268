"""All figures of a run in one object, `metrics.json`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from leapai.config import TaskConfig
from leapai.evaluation.detection import detection_figures
from leapai.evaluation.figures import DetectionFigures
from leapai.runtime.outcome import DriveOutcome


class RunFigures(BaseModel):
    """How good a run is. None: there is nothing to judge it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detection: DetectionFigures | None
    """Of the frames that have labels."""


def judge(drives: Sequence[DriveOutcome], config: TaskConfig) -> RunFigures:
    """The same for any order of drives."""
    frames = [frame for drive in drives for frame in drive.labelled()]
    return RunFigures(
        detection=detection_figures(frames, config.bev, config.evaluation) if frames else None
    )
