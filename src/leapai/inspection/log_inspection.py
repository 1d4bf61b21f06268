"""The metrics of `leapai inspect`: the content of a data set, and whether its geometry is right.

One wrong convention (box bottom for box centre, a pose inverted) hides in training
metrics. Counting the points inside the recorded boxes shows it, as data sets record that number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.table import Table
from rich.text import Text

from leapai.data.frame_check import check_frame
from leapai.data.frame_errors import FrameError
from leapai.data.log import DrivingLog
from leapai.data.reading import AnnotatedBoxes
from leapai.geometry import poses
from leapai.inspection.plausibility import Plausibility, about_times
from leapai.types import FloatArray, Frame, IntArray, Labels


@runtime_checkable
class AnnotatedLog(Protocol):
    """Methods that a log of real data may have in addition, so that counting needs no sensor."""

    def annotated_boxes(self, index: int) -> AnnotatedBoxes | None:
        """Returns all recorded boxes of a frame, without reading a sensor; None: not annotated."""
        ...

    def has_sweep(self, index: int) -> bool:
        """Returns whether the LiDAR file of the frame is there, without reading it."""
        ...


MAX_PAIRS = 4
"""Frames whose successor is read, too, for the motion between them."""
MIN_COMPARED, MIN_SHARE_WITHIN_2 = 10, 0.8
"""Boxes with a recorded number of points, and least share that holds it within 2: nuScenes and
Argoverse 2 have .97 and 1."""


class _Metrics(BaseModel):
    model_config = ConfigDict(frozen=True)


class CameraMetrics(_Metrics):
    """Metrics of one camera of the rig."""

    name: str
    group: str
    height_px: int
    width_px: int
    frames_with_image: int
    """Number of the frames read that have its image."""


class PointCounts(_Metrics):
    """Agreement of the number of points inside the boxes with the number that the data set
    recorded."""

    boxes: int
    """Boxes with a recorded number, in frames read that have points."""
    exact: int
    within_2: int


class Fault(_Metrics):
    """Failures of one sensor in the frames read."""

    sensor: str
    frames: int
    example: str


class Inspection(_Metrics):
    """Result of `leapai inspect` for a data set."""

    sequences: int
    frames: int
    rate_hz: float | None
    """Median over consecutive frames; None where no sequence has two frames."""
    frames_read: int
    """Frames whose sensors were read; cameras, points, counts and faults refer to these."""
    frames_with_points: int
    cameras: tuple[CameraMetrics, ...]
    frames_annotated: int
    """Frames whose boxes were counted by class: all, where boxes can be had without sensors."""
    boxes_by_class: dict[str, int]
    boxes_without_counterpart: dict[str, int]
    """Publisher's class -> boxes."""
    point_counts: PointCounts
    faults: tuple[Fault, ...]
    unused_cameras: tuple[str, ...]
    """Cameras of the rig that no camera group takes."""
    warnings: tuple[str, ...]
    """Faults of the data, in words; empty: the verdict is OK."""


def inspect_logs(logs: Sequence[DrivingLog], max_frames: int = 40) -> Inspection:
    """Inspects `logs`, reading the sensors of at most `max_frames` frames, and of the successors of
    `MAX_PAIRS`.

    Those are spread evenly over all frames that have a LiDAR sweep, then over the others.
    """
    tally = _Tally()
    last: Frame | None = None
    ahead: tuple[DrivingLog, int, Frame] | None = None
    for number, (log, index) in enumerate(frames_to_read(logs, max_frames)):
        read = ahead[2] if ahead and ahead[0] is log and ahead[1] == index else log[index]
        ahead, frame = None, tally.checked(read, last)
        if frame is None:
            continue
        last = frame
        if isinstance(log, AnnotatedLog):
            recorded = log.annotated_boxes(index)
        else:
            recorded = _as_recorded(frame.labels)
            tally.add_boxes(recorded, log.vocabulary.names)
        tally.add_frame(frame, recorded)
        if number < MAX_PAIRS and index + 1 < len(log):
            ahead = (log, index + 1, log[index + 1])
            after = tally.checked(ahead[2], frame)
            if after is not None:
                tally.plausibility.add_pair(frame, after)
    for log in logs:
        if isinstance(log, AnnotatedLog):
            for index in range(len(log)):
                tally.add_boxes(log.annotated_boxes(index), log.vocabulary.names)
    return tally.inspection(logs)


def points_inside(recorded: AnnotatedBoxes, points: FloatArray) -> IntArray:
    """Counts how many of the points [P, 3+] each recorded box [N] holds, boundary included."""
    counts = np.zeros(len(recorded.words), np.int64)
    xyz = points[:, :3].astype(np.float64)
    box_from_ego = poses.invert(recorded.ego_from_box)
    # Box by box: all at once would need N x P x 3 doubles.
    for i, half_m in enumerate(recorded.size_lwh_m / 2):
        counts[i] = (np.abs(poses.apply(box_from_ego[i], xyz)) <= half_m).all(-1).sum()
    return counts


def render_inspection(inspection: Inspection) -> Group:
    """Renders the metrics as tables for the terminal."""
    tables = [_overview(inspection), _camera_table(inspection), _box_table(inspection)]
    if inspection.faults:
        tables.append(_fault_table(inspection))
    return Group(*tables, *_verdict(inspection))


class _Tally:
    """Adds up frames, boxes and faults."""

    def __init__(self) -> None:
        self.frames_read = self.frames_with_points = self.frames_annotated = 0
        self.cameras: dict[str, CameraMetrics] = {}
        self.images: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.differences: list[IntArray] = []
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self.refused: dict[str, str] = {}
        self.plausibility = Plausibility()

    def checked(self, frame: Frame, last: Frame | None) -> Frame | None:
        """Returns a frame with the faults that a stream finds in it; None: it would be refused,
        which becomes a warning. Values out of bounds stay, for what they reveal together."""
        try:
            faults = check_frame(frame, last).faults
        except FrameError as error:
            self.refused.setdefault(f"{frame.sequence} at {frame.timestamp_us} us", str(error))
            return None
        return replace(frame, faults=faults)

    def add_frame(self, frame: Frame, recorded: AnnotatedBoxes | None) -> None:
        self.frames_read += 1
        self.plausibility.add_frame(frame, recorded)
        for camera in frame.cameras:
            height, width = camera.size_px
            self.images[camera.name] += camera.image is not None
            self.cameras[camera.name] = CameraMetrics(
                name=camera.name,
                group=camera.group,
                height_px=height,
                width_px=width,
                frames_with_image=self.images[camera.name],
            )
        for fault in frame.faults:
            sensor, _, problem = fault.partition(": ")
            self.faults[sensor].append(problem)
        if frame.points is not None:
            self.frames_with_points += 1
            if recorded is not None:
                known = recorded.num_lidar_points >= 0
                difference = points_inside(recorded, frame.points) - recorded.num_lidar_points
                self.differences.append(np.abs(difference[known]))

    def add_boxes(self, recorded: AnnotatedBoxes | None, names: Sequence[str]) -> None:
        if recorded is None:
            return
        self.frames_annotated += 1
        for word, class_id in zip(recorded.words, recorded.class_id, strict=True):
            if class_id < 0:
                self.others[word] += 1
            else:
                self.classes[names[class_id]] += 1

    def inspection(self, logs: Sequence[DrivingLog]) -> Inspection:
        """Returns the metrics of all that was added, and of the times of `logs`."""
        differences = np.concatenate([np.zeros(0, np.int64), *self.differences])
        counts = PointCounts(
            boxes=len(differences),
            exact=int((differences == 0).sum()),
            within_2=int((differences <= 2).sum()),
        )
        return Inspection(
            sequences=len(logs),
            frames=sum(len(log) for log in logs),
            rate_hz=_rate_hz(logs),
            frames_read=self.frames_read,
            frames_with_points=self.frames_with_points,
            cameras=tuple(self.cameras.values()),
            frames_annotated=self.frames_annotated,
            boxes_by_class={n: self.classes[n] for log in logs for n in log.vocabulary.names},
            boxes_without_counterpart=dict(self.others.most_common()),
            point_counts=counts,
            faults=tuple(
                Fault(sensor=sensor, frames=len(words), example=words[0])
                for sensor, words in self.faults.items()
            ),
            unused_cameras=tuple(sorted({name for log in logs for name in log.unused_cameras})),
            warnings=tuple(self._warnings(logs, counts)),
        )

    def _warnings(self, logs: Sequence[DrivingLog], counts: PointCounts) -> Iterator[str]:
        yield from dict.fromkeys(words for log in logs for words in log.table_notes)
        yield from about_times(logs)
        if self.refused:
            first = next(iter(self.refused.values()))
            yield f"{len(self.refused)} frames are refused; the first: {first}"
        if counts.boxes >= MIN_COMPARED and counts.within_2 < MIN_SHARE_WITHIN_2 * counts.boxes:
            yield (
                f"{counts.within_2} of {counts.boxes} boxes hold the recorded number of points, "
                "within 2"
            )
        yield from self.plausibility.warnings()


def _as_recorded(labels: Labels | None) -> AnnotatedBoxes | None:
    """Returns labels as recorded boxes, for a log that has no `annotated_boxes`."""
    if labels is None:
        return None
    return AnnotatedBoxes(
        ego_from_box=poses.from_xyz_yaw(labels.boxes[:, :3], labels.boxes[:, 6]),
        size_lwh_m=labels.boxes[:, 3:6],
        words=tuple(labels.vocabulary.named(labels.class_id)),
        class_id=labels.class_id,
        num_lidar_points=labels.num_lidar_points,
    )


def frames_to_read(logs: Sequence[DrivingLog], max_frames: int) -> list[tuple[DrivingLog, int]]:
    """Chooses at most `max_frames` frames, evenly spread, in order; those with a sweep first."""
    with_sweep: list[tuple[int, int]] = []
    without: list[tuple[int, int]] = []
    for log_index, log in enumerate(logs):
        for index in range(len(log)):
            has_sweep = not isinstance(log, AnnotatedLog) or log.has_sweep(index)
            (with_sweep if has_sweep else without).append((log_index, index))
    chosen = _spread(with_sweep, max_frames)
    chosen += _spread(without, max_frames - len(chosen))
    return [(logs[log_index], index) for log_index, index in sorted(chosen)]


def _spread(items: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Returns `count` of `items`, evenly spaced, or all where there are fewer."""
    picked = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in picked]


def _rate_hz(logs: Sequence[DrivingLog]) -> float | None:
    intervals_us = np.concatenate([np.diff(log.timestamps_us) for log in logs])
    return float(1e6 / np.median(intervals_us)) if len(intervals_us) else None


def _verdict(inspection: Inspection) -> Iterator[Text]:
    """Yields OK, or the warnings, a line each."""
    if not inspection.warnings:
        yield Text("OK", style="green")
        return
    yield Text(f"{len(inspection.warnings)} warnings", style="yellow")
    for words in inspection.warnings:
        yield Text(f"- {words}")


def _overview(inspection: Inspection) -> Table:
    table = Table(title="Data set", show_header=False, title_justify="left")
    rate = "" if inspection.rate_hz is None else f" at {inspection.rate_hz:.2f} Hz"
    counts = inspection.point_counts
    table.add_row("sequences", str(inspection.sequences))
    table.add_row("frames", f"{inspection.frames}{rate}")
    table.add_row("frames whose sensors were read", str(inspection.frames_read))
    table.add_row("of these with points", str(inspection.frames_with_points))
    table.add_row(
        "points inside boxes",
        f"as recorded in {counts.exact} of {counts.boxes}, within 2 in {counts.within_2}",
    )
    return table


def _camera_table(inspection: Inspection) -> Table:
    table = Table(title="Cameras", title_justify="left")
    for heading in ("camera", "group", "width x height", "frames with image"):
        table.add_column(heading)
    for camera in inspection.cameras:
        size = f"{camera.width_px} x {camera.height_px}"
        images = f"{camera.frames_with_image} of {inspection.frames_read}"
        table.add_row(camera.name, camera.group, size, images)
    for name in inspection.unused_cameras:
        table.add_row(name, "no group takes it", "", "not used")
    return table


def _box_table(inspection: Inspection) -> Table:
    title = f"Boxes in {inspection.frames_annotated} annotated frames"
    table = Table("class", title=title, title_justify="left")
    table.add_column("boxes", justify="right")
    for name, count in inspection.boxes_by_class.items():
        table.add_row(name, str(count))
    for word, count in inspection.boxes_without_counterpart.items():
        table.add_row(f"{word} (no counterpart)", str(count))
    return table


def _fault_table(inspection: Inspection) -> Table:
    table = Table("sensor", title="Failed sensors", title_justify="left")
    table.add_column("frames", justify="right")
    table.add_column("first")
    for fault in inspection.faults:
        table.add_row(fault.sensor, str(fault.frames), fault.example)
    return table
