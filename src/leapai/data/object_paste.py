"""Objects of other frames pasted into the LiDAR of a clip, with their labels.

Source: ground-truth sampling (Yan et al., SECOND, Sensors 2018, section 3.2.2), of single sweeps.
Here an object drives through all frames of a clip along one straight path in the global frame, so
that memory and velocity learn from it. It hides what lies behind it, and is hidden by what stands
before it. Images stay as they are: the labels mark the object as seen by the LiDAR alone, so that a
frame whose LiDAR is dropped does not ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from leapai.config.training import PasteConfig
from leapai.data.log import DrivingLog
from leapai.data.transforms import read_frame
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.geometry.overlap import iou_bev
from leapai.types import BoolArray, FloatArray, Frame, Labels

_T = TypeVar("_T")
_DONOR, _PASTE = 2, 3
"""Purpose of a random generator: the second number of its seed (`samplers.py` has 0 and 1)."""
_CLIPS_A_DONOR = 8
"""Clips that take objects of one frame: it is read once for all of them."""
_KEPT = 64
"""Clips, and donors, whose objects are in memory."""
_FIRST_TRACK_ID = 1 << 40
"""Track ids from here on are those of pasted objects."""
_SENSOR_M = np.array([0.0, 0.0, 1.8])
"""Where rays begin, in the ego frame: about the height of a LiDAR on a roof."""
_EGO_RADIUS_M = 3.0
"""No object comes nearer to the origin of the ego than this and half its length."""


class Clip(NamedTuple):
    """A walk through a part of a log."""

    number: int
    """Number in the endless list of clips."""
    sequence: int
    """Number of the log."""
    frames: tuple[int, int]
    """The first and the last of its frames."""


@dataclass(frozen=True)
class PastedObject:
    """An object that moves along a straight path."""

    points: FloatArray
    """[n, 5] x y z from the centre, along the axes of the object; intensity; dt."""
    rank: FloatArray
    """[n] in [0, 1), at random: the lower, the farther away a point is still measured."""
    size_m: FloatArray
    """[3] length, width, height."""
    class_id: int
    measured_at_m: float
    """Distance from the ego at which it has all of its points."""
    global_from_object: FloatArray
    """[4, 4] pose at `start_us`."""
    velocity_mps: FloatArray
    """[3] in global axes."""
    start_us: int
    track_id: int = -1

    def ego_from_object(self, frame: Frame) -> FloatArray:
        """Returns the pose [4, 4] of the object in the ego frame of a frame."""
        moved = self.global_from_object.copy()
        moved[:3, 3] += self.velocity_mps * ((frame.timestamp_us - self.start_us) / 1e6)
        return poses.invert(frame.ego2global) @ moved

    def box(self, frame: Frame) -> FloatArray:
        """Returns the box [7] of the object in the ego frame of a frame."""
        pose = self.ego_from_object(frame)
        return np.array([*pose[:3, 3], *self.size_m, np.arctan2(pose[1, 0], pose[0, 0])])


class ObjectPaster:
    """Pastes objects of random frames of the training data, the same in all frames of a clip.

    What a clip gets depends on the seed, the clip and the data alone.
    """

    def __init__(self, logs: Sequence[DrivingLog], config: PasteConfig, seed: int) -> None:
        self.logs, self.config, self.seed = logs, config, seed
        self._ends = np.cumsum([len(log) for log in logs])
        self._of_donor: dict[int, tuple[PastedObject, ...]] = {}
        self._of_clip: dict[int, tuple[PastedObject, ...]] = {}

    def paste(self, frame: Frame, clip: Clip) -> Frame:
        """Returns a frame of a clip with the objects of the clip; a frame without LiDAR or without
        labels as it is. Raises ValueError for a donor that cannot be read."""
        if frame.points is None or frame.labels is None:
            return frame
        for pasted in _kept(self._of_clip, clip.number, lambda: self._choose(clip)):
            frame = with_object(frame, pasted)
        return frame

    def _choose(self, clip: Clip) -> tuple[PastedObject, ...]:
        """Draws objects for a clip that are free of others in all of its frames: each class alike,
        however many objects of it the donor has."""
        log = self.logs[clip.sequence]
        first, last = clip.frames
        frames = [log.ground_truth(index) for index in range(first, last + 1)]
        if any(frame.labels is None for frame in frames):
            return ()
        donor = clip.number // _CLIPS_A_DONOR
        offered = _kept(self._of_donor, donor, lambda: self._donated(donor))
        rng = np.random.default_rng([self.seed, _PASTE, clip.number])
        classes = np.array([each.class_id for each in offered], np.int64)
        alike = np.bincount(classes)[classes]
        chosen: list[PastedObject] = []
        # The highest of random numbers to the power 1 / weight: a draw by weight without return
        # (Efraimidis and Spirakis, 2006).
        order = np.argsort(-(rng.random(len(offered)) ** alike))
        for number in order[: 2 * self.config.objects]:
            track_id = _FIRST_TRACK_ID + clip.number * 1000 + len(chosen)
            placed = _placed(offered[number], frames[0], track_id)
            if len(chosen) < self.config.objects and _is_free(placed, frames, chosen):
                chosen.append(placed)
        return tuple(chosen)

    def _donated(self, donor: int) -> tuple[PastedObject, ...]:
        """Returns the objects with enough points of a random frame of all logs, in its ego
        frame."""
        rng = np.random.default_rng([self.seed, _DONOR, donor])
        place = int(rng.integers(self._ends[-1]))
        sequence = int(np.searchsorted(self._ends, place, side="right"))
        index = place - int(self._ends[sequence]) + len(self.logs[sequence])
        frame = read_frame(self.logs[sequence], index)
        if frame.points is None or frame.labels is None:
            return ()
        found = objects_of(frame, rng)
        return tuple(each for each in found if len(each.points) >= self.config.min_points)


def objects_of(frame: Frame, rng: np.random.Generator) -> list[PastedObject]:
    """Returns the labelled objects of a frame that has points, as they stand relative to its
    ego."""
    assert frame.points is not None
    assert frame.labels is not None
    labels, found = frame.labels, []
    inside = box_geometry.points_inside(frame.points[:, :3], labels.boxes)
    for row, (box, mask) in enumerate(zip(labels.boxes, inside, strict=True)):
        ego_from_object = poses.from_xyz_yaw(box[:3], box[6])
        points = frame.points[mask].astype(np.float64)
        points[:, :3] = poses.apply(poses.invert(ego_from_object), points[:, :3])
        moves = (
            labels.velocity_valid[row] and labels.class_id[row] not in labels.vocabulary.still_ids
        )
        found.append(
            PastedObject(
                points=points,
                rank=rng.random(len(points)),
                size_m=box[3:6],
                class_id=int(labels.class_id[row]),
                measured_at_m=float(np.hypot(box[0], box[1])),
                global_from_object=ego_from_object,
                velocity_mps=labels.velocity_mps[row] if moves else np.zeros(3),
                start_us=frame.timestamp_us,
            )
        )
    return found


def _placed(offered: PastedObject, first: Frame, track_id: int) -> PastedObject:
    """Returns an object of a donor where the ego of the first frame of a clip would have measured
    it."""
    return replace(
        offered,
        global_from_object=first.ego2global @ offered.global_from_object,
        velocity_mps=poses.rotate(first.ego2global, offered.velocity_mps[None])[0],
        start_us=first.timestamp_us,
        track_id=track_id,
    )


def _is_free(placed: PastedObject, frames: Sequence[Frame], others: list[PastedObject]) -> bool:
    """Returns whether an object meets neither labelled objects, nor other pasted ones, nor the ego
    in any of the frames."""
    for frame in frames:
        assert frame.labels is not None
        box = placed.box(frame)
        taken = np.array([*frame.labels.boxes, *(other.box(frame) for other in others)])
        if np.hypot(box[0], box[1]) < _EGO_RADIUS_M + box[3] / 2:
            return False
        if iou_bev(box[None], taken.reshape(-1, 7)).any():
            return False
    return True


def with_object(frame: Frame, pasted: PastedObject) -> Frame:
    """Returns a frame that has points and labels with one object more."""
    assert frame.points is not None
    assert frame.labels is not None
    box, ego_from_object = pasted.box(frame), pasted.ego_from_object(frame)
    distance_m = max(float(np.hypot(box[0], box[1])), 0.1)
    own = pasted.points[pasted.rank < (pasted.measured_at_m / distance_m) ** 2]
    own = np.hstack([poses.apply(ego_from_object, own[:, :3]), own[:, 3:]])
    for other in frame.labels.boxes:
        own = own[~is_hidden(own[:, :3], other)]
    hidden = is_hidden(frame.points[:, :3], box)
    scene, labels = frame.points[~hidden], _without_hidden(frame, hidden)
    velocity = poses.rotate(poses.invert(frame.ego2global), pasted.velocity_mps[None])
    label = replace(
        Labels.unlabelled(box[None], np.array([pasted.class_id])),
        velocity_mps=velocity,
        velocity_valid=np.array([True]),
        track_id=np.array([pasted.track_id]),
        num_lidar_points=np.array([len(own)]),
        visible_fraction=np.array([0.0]),
    )
    points = np.concatenate([scene, own.astype(scene.dtype)])
    return replace(frame, points=points, labels=_joined(labels, label))


def _without_hidden(frame: Frame, hidden: BoolArray) -> Labels:
    """Returns the labels of a frame, whose numbers of points lose their share of what is hidden
    [P]."""
    assert frame.points is not None
    assert frame.labels is not None
    labels, points_m = frame.labels, frame.points[:, :3]
    lost = box_geometry.points_inside(points_m[hidden], labels.boxes).sum(1)
    rows = np.flatnonzero((lost > 0) & (labels.num_lidar_points > 0))
    of_object = box_geometry.points_inside(points_m, labels.boxes[rows]).sum(1)
    counts = labels.num_lidar_points.copy()
    counts[rows] = np.ceil(counts[rows] * (1 - lost[rows] / of_object))
    return replace(labels, num_lidar_points=counts)


def is_hidden(points_m: FloatArray, box: FloatArray) -> BoolArray:
    """Returns which points [P, 3] lie in or behind a box [7] as seen from the LiDAR: the way from
    there to a point meets the box (by slabs; Kay and Kajiya, SIGGRAPH 1986)."""
    box_from_ego = poses.invert(poses.from_xyz_yaw(box[:3], box[6]))
    start = poses.apply(box_from_ego, _SENSOR_M[None])[0]
    way = poses.apply(box_from_ego, points_m.astype(np.float64)) - start
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)
    ends = np.stack([(-box[3:6] / 2 - start) / way, (box[3:6] / 2 - start) / way])
    enters, leaves = ends.min(0).max(-1), ends.max(0).min(-1)  # shares of the way
    hidden: BoolArray = (enters <= leaves) & (leaves >= 0) & (enters <= 1)
    return hidden


def _joined(labels: Labels, more: Labels) -> Labels:
    """Returns the labels of both; radars, where they are recorded, see none of `more`."""
    values: dict[str, Any] = {}
    for name, one in labels.arrays().items():
        other = getattr(more, name)
        values[name] = np.concatenate([one, np.full(len(more), -1) if other is None else other])
    return Labels(**values, vocabulary=labels.vocabulary)


def _kept(memory: dict[int, _T], key: int, make: Callable[[], _T]) -> _T:
    """Returns what a memory of the last `_KEPT` values has under a key, made where it is not
    there."""
    value = memory.pop(key) if key in memory else make()
    memory[key] = value  # now the last in the order of use
    if len(memory) > _KEPT:
        del memory[next(iter(memory))]
    return value
