"""A run as its report shows it: read from its folder, with what is derived from that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from leapai.evaluation.detection.detection_results import OPERATING_CONFIDENCE
from leapai.evaluation.detection.distance_profiles import Profiles, profiles
from leapai.evaluation.detection.failures import Failures, failures
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.tracking.object_timelines import (
    ObjectTimeline,
    object_timelines,
    track_timelines,
)
from leapai.runs.parquet_tables import FrameKey
from leapai.runs.run_folder import Run, read_run


@dataclass(frozen=True)
class RunView:
    """One run of a report, with what is derived from it."""

    folder: Path
    run: Run
    pictures: dict[FrameKey, Path]

    @cached_property
    def labelled(self) -> list[LabelledFrame]:
        """The labelled frames; none where the dynamic task is off."""
        if not self.run.config.dynamic_task:
            return []
        return [frame for sequence in self.run.sequences for frame in sequence.labelled()]

    @cached_property
    def profiles(self) -> Profiles | None:
        """Curves of the run; None: no frame has labels."""
        return profiles(self.labelled, self.run.config.bev) if self.labelled else None

    @cached_property
    def failures(self) -> dict[FrameKey, Failures]:
        """Failures of every labelled frame."""
        bev = self.run.config.bev
        return {_key(frame): failures(frame, bev) for frame in self.labelled}

    @cached_property
    def timelines(self) -> list[ObjectTimeline]:
        """Timelines of objects, at the confidence of the operating point, where their tracks are
        labelled; else of the run's tracks."""
        confidence = np.full(len(self.run.config.vocabulary), OPERATING_CONFIDENCE)
        objects = object_timelines(self.labelled, self.run.config.bev, confidence)
        if objects:
            return objects
        return track_timelines([frame for each in self.run.sequences for frame in each.detections])


def view(folder: Path) -> RunView:
    """Reads the run of a folder.

    Raises ValueError as `read_run` does.
    """
    run, pictures = read_run(folder)
    return RunView(folder, run, pictures)


def _key(frame: LabelledFrame) -> FrameKey:
    return frame.detections.sequence, frame.detections.timestamp_us
