"""The pictures of a run: of its worst frames always, of every frame where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leapai.config import TaskConfig
from leapai.data.log import DrivingLog
from leapai.pictures.frame_painter import painter_of
from leapai.pictures.video import VideoWriter, write_png
from leapai.runs.worst_frames import WorstFrames
from leapai.streaming.session import StepResult, memory_slots_of
from leapai.types import Frame, ImageArray


class DrivePictures:
    """Of one drive."""

    def __init__(
        self, config: TaskConfig, log: DrivingLog, worst: WorstFrames, every: _EveryFrame | None
    ) -> None:
        self._painter = painter_of(config)
        self._vector_map, self._worst, self._every = log.vector_map(), worst, every

    def add(self, index: int, frame: Frame, result: StepResult) -> None:
        """Paints the frame if anybody wants it."""
        said = result.detections
        wanted = self._worst.wanted(result)
        if wanted is None and self._every is None:
            self._painter.follow(frame, said)
            return
        dots, road = memory_slots_of(result), result.map
        picture = self._painter.paint(frame, said, dots, self._vector_map, road)
        if wanted is not None:
            self._worst.keep(wanted, picture)
        if self._every is not None:
            self._every.write(index, picture)


class _EveryFrame(NamedTuple):
    """One PNG a frame, and the video of a drive."""

    folder: Path
    video: VideoWriter

    def write(self, index: int, picture: ImageArray) -> None:
        write_png(self.folder / f"{index:06d}.png", picture)
        self.video.append(picture)


@contextmanager
def drive_pictures(
    config: TaskConfig, output: Path, log: DrivingLog, worst: WorstFrames
) -> Iterator[DrivePictures]:
    """Gives `worst` the pictures it wants; `eval_with_visualize` writes those of every frame."""
    if not config.eval_with_visualize:
        yield DrivePictures(config, log, worst, None)
        return
    step_us = np.diff(log.timestamps_us)
    rate_hz = 1e6 / float(np.median(step_us)) if len(step_us) else 1.0
    with VideoWriter(output / f"{log.name}.mp4", rate_hz) as video:
        every = _EveryFrame(output / "pictures" / log.name, video)
        yield DrivePictures(config, log, worst, every)
