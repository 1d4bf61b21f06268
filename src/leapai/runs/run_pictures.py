"""The pictures of a run: of its worst frames always, of every N-th frame where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from leapai.config.schema import TaskConfig
from leapai.data.log import DrivingLog
from leapai.extras import is_installed
from leapai.folders import file_name
from leapai.pictures.frame_painter import painter_of
from leapai.pictures.video import VideoWriter, write_png
from leapai.runs.background import Background
from leapai.runs.earlier_pictures import remove_pictures_of
from leapai.runs.worst_frames import WorstFrames
from leapai.streaming.step_result import StepResult
from leapai.types import Frame, ImageArray

WritePicture = Callable[[int, ImageArray], None]
"""Writes the picture [H, W, 3] RGB of the frame with this index."""


class SequencePictures:
    """Paints the frames of one sequence that are needed, in order.

    `write` gets the picture of every frame whose index is a multiple of `step`; where `step` is
    None, only those of the worst frames are painted.
    """

    def __init__(
        self,
        config: TaskConfig,
        log: DrivingLog,
        worst: WorstFrames,
        write: WritePicture,
        step: int | None,
    ) -> None:
        self._painter = painter_of(config)
        self._vector_map, self._worst = log.vector_map(), worst
        self._write, self._step = write, step

    def add(self, index: int, frame: Frame, result: StepResult) -> None:
        """Takes the next frame; paints it only where its picture is kept or written."""
        detections = result.detections
        candidate = self._worst.candidate(result)
        is_written = self._step is not None and index % self._step == 0
        if candidate is None and not is_written:
            self._painter.follow(frame, detections)
            return
        slots, bev_map = result.memory_slots, result.map
        picture = self._painter.paint(frame, detections, slots, self._vector_map, bev_map)
        if candidate is not None:
            self._worst.keep(candidate, picture)
        if is_written:
            self._write(index, picture)


@contextmanager
def sequence_pictures(
    config: TaskConfig, output: Path, log: DrivingLog, worst: WorstFrames, step: int | None
) -> Iterator[SequencePictures]:
    """Paints the worst frames into `worst`; with `step` N it also writes a picture of every N-th
    frame and their video, in a second thread while the next frame is streamed.

    Those of an earlier run of the sequence do not stay, even if it has not finished: they would be
    taken for some of this run.
    """
    remove_pictures_of(log.name, output)
    name = file_name(log.name)
    folder, video = output / "pictures" / name, output / f"{name}.mp4"
    if step is None:
        yield SequencePictures(config, log, worst, lambda index, picture: None, None)
        return
    with _video(video, log, step) as append, Background() as background:

        def write(index: int, picture: ImageArray) -> None:
            background.call(write_png, folder / f"{index:06d}.png", picture)
            background.call(append, picture)

        yield SequencePictures(config, log, worst, write, step)


@contextmanager
def _video(path: Path, log: DrivingLog, step: int) -> Iterator[Callable[[ImageArray], None]]:
    """Opens the video of every `step`-th frame of a sequence, in real time by its median rate;
    yields the function that adds a picture.

    Where av is not installed that function does nothing.
    """
    if not is_installed("av"):
        yield lambda picture: None
        return
    step_us = np.diff(log.timestamps_us)
    rate_hz = 1e6 / float(np.median(step_us)) if len(step_us) else 1.0
    with VideoWriter(path, rate_hz / step) as video:
        yield video.append
