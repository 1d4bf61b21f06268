"""One drive through the embedded world: any frame, in any order, always the same bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from leapai.config import StaticConfig
from leapai.data.static_labels import rasterise
from leapai.geometry import angles, poses
from leapai.geometry import boxes as box_geometry
from leapai.types import (
    CameraFrame,
    FloatArray,
    Frame,
    IntArray,
    Labels,
    MapLine,
    StaticLabels,
    VectorMap,
    occlusion_level_of,
)
from leapai_world import shapes
from leapai_world.builders import open_place
from leapai_world.casting import (
    Blockers,
    Gallery,
    Solids,
    Stage,
)
from leapai_world.instants import SAMPLES_S, SWEEP_S, Course
from leapai_world.places import Place, global_origin, place_of
from leapai_world.rig import Rig
from leapai_world.sensing import (
    Sensed,
    raw_sweep,
    sense,
    visibility,
)
from leapai_world.shadows import thrown_by
from leapai_world.traffic import Traffic

WORLD_VERSION = "2"
"""Of the bytes that a seed gives: a change that alters them changes this."""
LABEL_RANGE_M = ((-40.0, 62.4), (-44.8, 44.8))
"""x and y in which box centres are labelled: the BEV range (docs/design.md, section 2)."""
_FIRST_TIMESTAMP_US = 1_700_000_000_000_000
_APART_US = 1_000_000_000
"""Drives of successive seeds begin 1000 s apart: no two drives share a time."""
_CAST_RANGE_M = 95.0
"""Actors farther than this are not cast at."""
_CLEARANCE_M = 0.005
"""Bodies stand this much above the ground, so that no return from the ground counts as theirs."""
_HALF_WINDOW_M = 36.0
"""An ego is at most this far from its anchor."""
_WINDOWS_KEPT = 2
_WORLDS_KEPT = 24
"""Drives in memory at once: more than the lanes of a batch, and a bound for a worker."""


class SyntheticDrive:
    """A place with traffic that an ego drives through, drawn from a seed."""

    version = WORLD_VERSION

    def __init__(self, seed: int, frames: int, rate_hz: float, rig: Rig, place: str = "") -> None:
        self.name = f"synthetic-{seed:04d}"
        self._seed, self._rig = seed, rig
        # The first frame comes when there is a whole sweep of the LiDAR behind it.
        elapsed_s = SWEEP_S + np.arange(frames) / rate_hz
        self._elapsed_us = np.round(1e6 * elapsed_s).astype(np.int64)
        self._key = (place or place_of(seed), seed, float(self._elapsed_us[-1]) * 1e-6)
        self._origin_m = global_origin(seed)
        self._start_us = _FIRST_TIMESTAMP_US + seed * _APART_US

    @property
    def _place(self) -> Place:
        return _world(*self._key).place

    @property
    def _traffic(self) -> Traffic:
        return _world(*self._key).traffic

    @property
    def rig(self) -> Rig:
        """The sensors."""
        return self._rig

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64."""
        return self._start_us + self._elapsed_us

    def __len__(self) -> int:
        return len(self._elapsed_us)

    def __getitem__(self, index: int) -> Frame:
        """Renders frame `index`; negative ones count from the end, others outside raise
        IndexError."""
        index = range(len(self))[index]
        stage, near = self._stage(index)
        sensed = sense(self._rig, stage, self._seed, 30, index)
        time_s = self._time_s(index)
        visible = np.zeros(len(self._traffic.class_id))
        visible[near] = sensed.visible_fraction
        timestamp_us = int(self.timestamps_us[index])
        return Frame(
            sequence=self.name,
            timestamp_us=timestamp_us,
            ego2global=self.ego2global_at(timestamp_us),
            cameras=self._cameras(timestamp_us, sensed),
            points=sensed.points,
            labels=self._labels(time_s, visible, sensed.points),
        )

    def ego2global_at(self, timestamp_us: int) -> FloatArray:
        """Pose [4, 4] of the ego at any time of the drive, as an inertial unit would tell it."""
        time_s = (timestamp_us - self._start_us) * 1e-6
        return self._ego2global(self._poses(time_s)[0])

    def raw_points(self, index: int) -> FloatArray:
        """The points [P, 5] of frame `index` before motion compensation: row by row those of
        `Frame.points`, each in the ego frame at its own time, `timestamp_us` + dt."""
        index = range(len(self))[index]
        return raw_sweep(self._rig, self._stage(index)[0], self._seed, 30, index)

    def visibility(self, index: int) -> FloatArray:
        """Visible fraction [N, C] of the labels of frame `index` in each camera; 0 where a camera
        would not see the object even were it alone."""
        index = range(len(self))[index]
        stage, near = self._stage(index)
        fraction = np.zeros((len(self._traffic.class_id), len(self._rig.cameras)))
        fraction[near] = visibility(self._rig, stage)
        labels = self.ground_truth(index).labels
        assert labels is not None
        return fraction[labels.track_id]

    def ground_truth(self, index: int) -> Frame:
        """Frame `index` without its sensors, a hundred times faster: pose and labels. What only
        sensors tell (visible fraction, occlusion level, points) is marked as not labelled."""
        index = range(len(self))[index]
        time_s = self._time_s(index)
        local_from_ego, boxes = self._poses(time_s)
        unseen, no_points = np.zeros(len(boxes)), np.zeros((0, 5), np.float32)
        labels = self._labels(time_s, unseen, no_points)
        return Frame(
            sequence=self.name,
            timestamp_us=int(self.timestamps_us[index]),
            ego2global=self._ego2global(local_from_ego),
            cameras=(),
            points=None,
            labels=replace(
                labels,
                visible_fraction=np.full(len(labels), np.nan),
                occlusion_level=np.full(len(labels), -1),
                num_lidar_points=np.full(len(labels), -1),
            ),
        )

    def vector_map(self) -> VectorMap:
        """Lane marks, road elements and drivable ground of the place, global frame."""
        return tuple(
            MapLine(line.kind, line.layer, line.points_m + self._origin_m)
            for line in self._place.map_lines
        )

    def _time_s(self, index: int) -> float:
        """Time of frame `index`, 0 or later, since the start of the drive's world."""
        return float(self._elapsed_us[index]) * 1e-6

    def _ego2global(self, local_from_ego: FloatArray) -> FloatArray:
        ego2global = local_from_ego.copy()
        ego2global[:3, 3] += self._origin_m
        return ego2global

    def static_labels(self, index: int) -> StaticLabels:
        """What does not move and where one can drive, about the ego at frame `index`, over the
        region of the full size."""
        local_from_ego, boxes = self._poses(self._time_s(range(len(self))[index]))
        in_ego = box_geometry.transform(boxes, poses.invert(local_from_ego))
        region = StaticConfig().region()
        return rasterise(self._place.map_lines, local_from_ego, region, in_ego)

    def _poses(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """`local_from_ego` [4, 4] and the boxes [N, 7] of all actors in the local frame."""
        ego, actors = self._traffic.ego(time_s), self._traffic.motion(time_s)
        local_from_ego = poses.from_xyz_yaw(ego.position_m[0], ego.heading_rad[0])
        size = self._traffic.size_m
        centre = actors.position_m + np.array([0.0, 0.0, 0.5]) * size
        centre[:, 2] += _CLEARANCE_M
        return local_from_ego, np.concatenate([centre, size, actors.heading_rad[:, None]], 1)

    def _stage(self, index: int) -> tuple[Stage, IntArray]:
        """What can be sensed in a frame, and the actors [N] that are in it."""
        time_s = self._time_s(index)
        samples = [self._poses(time_s + dt_s) for dt_s in SAMPLES_S]
        local_from_ego, boxes = (np.stack(part) for part in zip(*samples, strict=True))
        distance = np.linalg.norm(boxes[-1, :, :3] - local_from_ego[-1, :3, 3], axis=1)
        near = np.flatnonzero(distance < _CAST_RANGE_M)
        anchor = self._anchor(local_from_ego[-1, :3, 3])
        local_from_ego[:, :3, 3] -= anchor
        boxes[..., :3] -= anchor
        still, parked_shadows = self._window(anchor)
        stage = Stage(
            scenery=still,
            gallery=_gallery(),
            shape=self._traffic.posed(time_s)[near],
            own_colours=self._traffic.own_colours[near],
            course=Course(local_from_ego, boxes[:, near]),
            moves=self._traffic.moves[near],
            shadows=(parked_shadows,),
            anchor_m=anchor,
            light=self._place.light,
        )
        return stage, near

    def _labels(self, time_s: float, visible: FloatArray, points: FloatArray) -> Labels:
        """Truth of the actors in range; `visible` [N] is of all actors of the drive."""
        local_from_ego, boxes_local = self._poses(time_s)
        ego_from_local = poses.invert(local_from_ego)
        boxes = box_geometry.transform(boxes_local, ego_from_local)
        boxes[:, 6] = angles.wrap(boxes[:, 6])
        low, high = np.array(LABEL_RANGE_M).T
        kept = np.flatnonzero(((boxes[:, :2] >= low) & (boxes[:, :2] <= high)).all(1))
        motion = self._traffic.motion(time_s)
        return Labels(
            boxes=boxes[kept],
            class_id=self._traffic.class_id[kept],
            velocity_mps=poses.rotate(ego_from_local, motion.velocity_mps[kept]),
            velocity_valid=np.ones(len(kept), bool),
            occlusion_level=occlusion_level_of(visible[kept]),
            track_id=kept.astype(np.int64),
            num_lidar_points=_count_inside(points, boxes[kept]),
            visible_fraction=visible[kept],
            acceleration_mps2=poses.rotate(ego_from_local, motion.acceleration_mps2[kept]),
        )

    def _cameras(self, timestamp_us: int, sensed: Sensed) -> tuple[CameraFrame, ...]:
        return tuple(
            CameraFrame(
                name=camera.name,
                group=camera.group,
                image=image,
                size_px=camera.size_px,
                intrinsics=camera.intrinsics.copy(),
                distortion=camera.distortion.copy(),
                ego_from_camera=pose,
                timestamp_us=timestamp_us + camera.dt_us,
            )
            for camera, image, pose in zip(
                self._rig.cameras, sensed.images, sensed.ego_from_camera, strict=True
            )
        )

    def _anchor(self, position_m: FloatArray) -> FloatArray:
        """Origin of the window of an ego position [3], in the local frame."""
        pitch = self._place.window_m
        return np.array([*(np.round(position_m[:2] / pitch) * pitch), 0.0])

    def _window(self, anchor_m: FloatArray) -> tuple[Solids, Blockers]:
        """Scenery around an anchor, and what throws the shadows of those who stand there."""
        key, windows = tuple(anchor_m), _world(*self._key).windows
        if key in windows:
            return windows[key]
        boxes = self._poses(0.0)[1]
        boxes[:, :3] -= anchor_m
        here = np.linalg.norm(boxes[:, :3], axis=1) < _CAST_RANGE_M + _HALF_WINDOW_M
        parked = np.flatnonzero(here & ~self._traffic.moves)
        mesh = self._place.scenery(anchor_m[:2])
        solids = Solids(mesh.turned(0.0, -anchor_m), self._place.light)
        windows[key] = solids, thrown_by(boxes[parked], self._traffic.posed(0.0)[parked])
        if len(windows) > _WINDOWS_KEPT:
            windows.popitem(last=False)
        return windows[key]


@dataclass(frozen=True)
class _World:
    """What a drive needs and takes long to make: made when a frame is asked for, not when drives
    are listed, so that a data set of any number of drives opens at once."""

    place: Place
    traffic: Traffic
    windows: OrderedDict[tuple[float, ...], tuple[Solids, Blockers]]
    """The last ones, by their anchors."""


@lru_cache(maxsize=_WORLDS_KEPT)
def _world(place: str, seed: int, duration_s: float) -> _World:
    opened = open_place(place, seed, duration_s)
    return _World(opened, Traffic(opened.cast, duration_s), OrderedDict())


@cache
def _gallery() -> Gallery:
    return Gallery(shapes.prototypes())


def _count_inside(points: FloatArray, boxes: FloatArray) -> IntArray:
    """Points [P, 5] inside each box [N, 7]: `points_inside`, asked only of points that are near the
    box."""
    by_x = points[np.argsort(points[:, 0])]
    reach = np.linalg.norm(boxes[:, 3:5], axis=1) / 2 + 0.01
    first = np.searchsorted(by_x[:, 0], boxes[:, 0] - reach)
    last = np.searchsorted(by_x[:, 0], boxes[:, 0] + reach)
    counts = np.zeros(len(boxes), np.int64)
    for i, box in enumerate(boxes):
        near = by_x[first[i] : last[i]]
        near = near[np.abs(near[:, 1] - box[1]) < reach[i]]
        near = near[np.abs(near[:, 2] - box[2]) < box[5] / 2 + 0.01]
        if len(near):
            counts[i] = box_geometry.points_inside(near[:, :3], box[None]).sum()
    return counts
