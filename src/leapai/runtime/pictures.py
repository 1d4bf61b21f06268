"""The pictures of a run: of its worst frames always, of every frame where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leapai.config import TaskConfig
from leapai.data.logs import DrivingLog
from leapai.runtime.session import StepResult
from leapai.runtime.worst import WorstFrames
from leapai.types import Frame, ImageArray
from leapai.visualisation.compose import FramePainter
from leapai.visualisation.scene import MemoryDots
from leapai.visualisation.video import VideoWriter, write_png


class DrivePictures:
    """Of one drive."""

    def __init__(
        self, config: TaskConfig, log: DrivingLog, worst: WorstFrames, every: _EveryFrame | None
    ) -> None:
        self._painter = FramePainter(config.draw_dynamic_cfg, config.temporal_visualization)
        self._vector_map, self._worst, self._every = log.vector_map(), worst, every

    def add(self, index: int, frame: Frame, result: StepResult) -> None:
        """Paints the frame if anybody wants it."""
        said = result.detections
        wanted = self._worst.wanted(result)
        if wanted is None and self._every is None:
            self._painter.follow(frame, said)
            return
        picture = self._painter.paint(frame, said, memory_dots(result), self._vector_map)
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


def memory_dots(result: StepResult) -> MemoryDots | None:
    """The valid history slots of a frame, for the picture; None: there is no dynamic task."""
    memory = result.memory
    if memory is None:
        return None
    valid = memory.valid[0].cpu().numpy()
    stored_us = memory.timestamp_us[0].cpu().numpy()[valid]
    # Frames may be unevenly spaced, so age counts distinct times, newest first.
    distinct = np.unique(stored_us)
    age = len(distinct) - np.searchsorted(distinct, stored_us)
    return MemoryDots(
        position_m=memory.reference_m[0].cpu().numpy()[valid],
        velocity_mps=memory.velocity_mps[0].cpu().numpy()[valid],
        class_id=memory.class_id[0].cpu().numpy()[valid],
        age=age,
    )
