"""The quantities of `leapai inspect --stats`: objects, sizes and motion in a data set, and what its
LiDAR and its cameras report.

Two data sets are compared within the BEV range, because not every data set labels what lies
outside it. One covers another in a quantity where the middle 90 % of the other lies within its own
middle 98 %; the share covered is that of the other's values within those 98 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from leapai.data.log import DrivingLog
from leapai.geometry import angles, poses
from leapai.inspection.camera_statistics import CameraValues, camera_values
from leapai.inspection.lidar_statistics import lidar_values
from leapai.inspection.log_inspection import frames_to_read
from leapai.inspection.samples import Sample, Samples, Shares
from leapai.inspection.sensor_samples import camera_row, lidar_rows, return_shares
from leapai.types import (
    GROUPS,
    OCCLUSION_NAMES,
    BevGrid,
    BoolArray,
    FloatArray,
    Frame,
    IntArray,
    Labels,
    StringArray,
    Vocabulary,
)

REGION_M = (BevGrid.x_range_m, BevGrid.y_range_m)
"""x and y range in which boxes are compared: the default BEV range (docs/design.md, section 2)."""
MOVING_MPS = 0.5
"""Speed below which an object counts as standing: annotated positions jitter by a few centimetres
from frame to frame."""
HEADING_INTERVAL_S, _TOLERANCE_S = 1.0, 0.06
POINT_BANDS_M = (0.0, 6.0, 12.0, 24.0, 60.0)
_MOVING_GROUPS = ("MOD", "VRU")
_SIDES = ("length", "width", "height")


@dataclass(frozen=True)
class _Boxes:
    """Boxes of many frames as columns [N]; each has the sequence and the time that it is from."""

    sequence: IntArray
    time_s: FloatArray
    track_id: IntArray
    class_id: IntArray
    group: StringArray
    distance_m: FloatArray
    """[N] from the ego, on the ground."""
    speed_mps: FloatArray
    """[N] on the ground; NaN: not labelled."""
    heading_rad: FloatArray
    """[N] in the global frame."""
    size_m: FloatArray
    """[N, 3] length, width, height."""
    lidar_points: IntArray
    occlusion_level: IntArray

    def where(self, mask: BoolArray) -> _Boxes:
        return _Boxes(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    def of_group(self, group: str) -> _Boxes:
        return self.where(self.group == group)

    @property
    def tracks(self) -> tuple[IntArray, IntArray]:
        """First box of each track, and the number [N] of each box's track; a box without an id is a
        track of its own."""
        loose = self.track_id < 0
        own = np.where(loose, -1 - np.arange(len(loose)), self.track_id)
        key = np.stack([self.sequence, own], -1)
        _, first, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
        return first, number.reshape(-1)


def collect(logs: Sequence[DrivingLog], max_frames: int) -> Samples:
    """Collects every quantity of `logs`: from the ground truth of all frames, and from the sensors
    of at most `max_frames` frames what LiDAR and cameras report, and points and occlusion where
    they are not in the ground truth.

    Raises ValueError for data without boxes.
    """
    gt = [(number, frame) for number, log in enumerate(logs) for frame in _gt_frames(log)]
    objects, boxes = _columns(gt)
    if not len(boxes.sequence):
        raise ValueError(
            f"{', '.join(log.name for log in logs[:3])}: no boxes in the BEV range, so there is "
            "nothing to count; name data with labels"
        )
    read, cameras = _read(logs, max_frames)
    sensed = _columns(read)[1] if (boxes.lidar_points < 0).all() else boxes
    vocabulary = logs[0].vocabulary
    scene, timelines, *sizes = _rows(objects, boxes, sensed, vocabulary)
    lidar = lidar_values((frame for _, frame in read), vocabulary)
    sensors = (*lidar_rows(lidar, vocabulary), camera_row(cameras))
    return Samples(
        rows=(scene, tuple(_points(sensed)), *sensors, timelines, *sizes),
        shares=(*_shares(boxes, sensed, vocabulary), *return_shares(lidar, vocabulary)),
    )


def _read(
    logs: Sequence[DrivingLog], max_frames: int
) -> tuple[list[tuple[int, Frame]], CameraValues]:
    """Returns frames with the number of their sequence, and what their cameras report.

    Images are not kept, since those of 40 frames would need gigabytes. Without a sweep, boxes hold
    an unknown number of points rather than none.
    """
    read, cameras = [], []
    for log, index in frames_to_read(logs, max_frames):
        frame = log[index]
        cameras.append(camera_values(frame))
        labels = frame.labels
        if labels is not None and frame.points is None:
            labels = replace(labels, num_lidar_points=np.full(len(labels), -1))
        read.append((logs.index(log), replace(frame, cameras=(), labels=labels)))
    return read, CameraValues(*map(np.concatenate, zip(*cameras, strict=True)))


def _gt_frames(log: DrivingLog) -> Iterator[Frame]:
    return (log.ground_truth(index) for index in range(len(log)))


def _columns(frames: Sequence[tuple[int, Frame]]) -> tuple[IntArray, _Boxes]:
    """Returns the number of boxes of each annotated frame, and all boxes."""
    parts = [
        _boxes_of(sequence, frame.labels, frame.timestamp_us, frame.ego2global)
        for sequence, frame in frames
        if frame.labels is not None
    ]
    counts = np.array([len(part.sequence) for part in parts], np.int64)
    parts.append(_boxes_of(0, Labels.unlabelled(np.zeros((0, 7)), counts[:0]), 0, np.eye(4)))
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Boxes)}
    return counts, _Boxes(**columns)


def _boxes_of(sequence: int, labels: Labels, timestamp_us: int, ego2global: FloatArray) -> _Boxes:
    low, high = np.array(REGION_M).T
    centre = labels.boxes[:, :2]
    labels = labels.select(((centre >= low) & (centre <= high)).all(1))
    count = len(labels)
    yaw = labels.boxes[:, 6]
    ahead = np.stack([np.cos(yaw), np.sin(yaw), np.zeros(count)], -1)
    ahead = poses.rotate(ego2global, ahead)
    speed = np.linalg.norm(labels.velocity_mps[:, :2], axis=1)
    return _Boxes(
        sequence=np.full(count, sequence, np.int64),
        time_s=np.full(count, timestamp_us * 1e-6),
        track_id=labels.track_id,
        class_id=labels.class_id,
        group=np.array(labels.vocabulary.groups)[labels.class_id],
        distance_m=np.linalg.norm(labels.boxes[:, :2], axis=1),
        speed_mps=np.where(labels.velocity_valid, speed, np.nan),
        heading_rad=np.arctan2(ahead[:, 1], ahead[:, 0]),
        size_m=labels.boxes[:, 3:6],
        lidar_points=labels.num_lidar_points,
        occlusion_level=labels.occlusion_level,
    )


def _rows(
    objects: IntArray, boxes: _Boxes, sensed: _Boxes, vocabulary: Vocabulary
) -> tuple[tuple[Sample, ...], ...]:
    """Returns the quantities of objects: in a frame, over time, and their sizes."""
    groups = {group: boxes.of_group(group) for group in GROUPS}
    moving = {g: groups[g].where(groups[g].speed_mps > MOVING_MPS) for g in _MOVING_GROUPS}
    scene = [
        Sample("objects a frame", "", objects.astype(np.float64)),
        Sample("objects with points a frame", "", _with_points(sensed)),
    ]
    scene += [Sample(f"distance, {group}", "m", b.distance_m) for group, b in groups.items()]
    scene += [
        Sample(f"speed, {group} that moves", "m/s", b.speed_mps) for group, b in moving.items()
    ]
    scene += [
        Sample(f"turn in 1 s, {group} that moves", "deg", heading_changes_deg(b))
        for group, b in moving.items()
    ]
    lasting = boxes.where(_lasts(boxes))
    timelines = [
        Sample(f"life of a track, {group}", "s", _timelines(lasting.of_group(group)))
        for group in GROUPS
    ]
    first = boxes.where(np.isin(np.arange(len(boxes.sequence)), boxes.tracks[0]))
    sizes = [
        tuple(
            Sample(f"{side}, {name}", "m", first.size_m[first.class_id == class_id, axis])
            for class_id, name in enumerate(vocabulary.names)
        )
        for axis, side in enumerate(_SIDES)
    ]
    return tuple(scene), tuple(timelines), *sizes


def _with_points(sensed: _Boxes) -> FloatArray:
    """Returns the number of boxes that hold a point, in each frame that has one."""
    met = sensed.where(sensed.lidar_points > 0)
    frame = np.stack([met.sequence, met.time_s], -1)
    return np.unique(frame, axis=0, return_counts=True)[1].astype(np.float64)


def _points(sensed: _Boxes) -> Iterator[Sample]:
    """Yields the points in a box, by group and band of distance."""
    recorded = sensed.where(sensed.lidar_points >= 0)
    for group in _MOVING_GROUPS:
        boxes = recorded.of_group(group)
        for near, far in pairwise(POINT_BANDS_M):
            inside = (boxes.distance_m >= near) & (boxes.distance_m < far)
            name = f"points in a {group}, {near:.0f}-{far:.0f} m"
            yield Sample(name, "", boxes.lidar_points[inside].astype(np.float64), is_count=True)


def heading_changes_deg(boxes: _Boxes) -> FloatArray:
    """Returns the signed change of heading of each track within `HEADING_INTERVAL_S`, from every
    box that has a later one of its track at that distance in time."""
    _, track = boxes.tracks
    order = np.lexsort([boxes.time_s, track])
    track, heading = track[order], boxes.heading_rad[order]
    time_s = boxes.time_s[order] - boxes.time_s.min(initial=np.inf)
    # One sorted key for all tracks: longer than any drive apart.
    key = track * (2 * time_s.max(initial=0.0) + 10.0) + time_s
    target = key + HEADING_INTERVAL_S
    later = np.searchsorted(key, target - _TOLERANCE_S).clip(max=len(key) - 1)
    found = np.abs(key[later] - target) <= _TOLERANCE_S
    turned: FloatArray = np.degrees(angles.wrap(heading[later] - heading)[found])
    return turned


def _lasts(boxes: _Boxes) -> BoolArray:
    """Returns whether the sequence of each box [N] has boxes at several times: one frame alone does
    not show how long tracks live."""
    sequences = np.unique(np.stack([boxes.sequence, boxes.time_s], -1), axis=0)[:, 0]
    several, times = np.unique(sequences, return_counts=True)
    return np.isin(boxes.sequence, several[times > 1])


def _timelines(boxes: _Boxes) -> FloatArray:
    """Returns the seconds from the first to the last box of each track with an id."""
    tracked = boxes.where(boxes.track_id >= 0)
    first, number = tracked.tracks
    begin, end = np.full(len(first), np.inf), np.full(len(first), -np.inf)
    np.minimum.at(begin, number, tracked.time_s)
    np.maximum.at(end, number, tracked.time_s)
    return np.asarray(end - begin)


def _shares(boxes: _Boxes, sensed: _Boxes, vocabulary: Vocabulary) -> tuple[Shares, ...]:
    known = boxes.where(np.isfinite(boxes.speed_mps))
    moving = []
    for group in _MOVING_GROUPS:
        speed = known.of_group(group).speed_mps
        moving.append((speed > MOVING_MPS).mean() if len(speed) else np.nan)
    levels = sensed.occlusion_level[sensed.occlusion_level >= 0]
    words = tuple(name.removesuffix("Occluded").lower() for name in OCCLUSION_NAMES)
    return (
        Shares("classes", vocabulary.names, _fractions(boxes.class_id, len(vocabulary))),
        Shares("occlusion", words, _fractions(levels, len(words))),
        Shares("moving", _MOVING_GROUPS, np.array(moving, np.float64)),
    )


def _fractions(values: IntArray, kinds: int) -> FloatArray:
    """Returns the share of each kind [kinds]; NaN without values."""
    if not len(values):
        return np.full(kinds, np.nan)
    return np.bincount(values, minlength=kinds) / len(values)
