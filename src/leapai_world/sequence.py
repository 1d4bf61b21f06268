"""A sequence of the embedded world: any frame, in any order, always the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from leapai.config.network_sections import StaticConfig
from leapai.data.log import DrivingLog, LabelRange
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
from leapai_world.sensors import embree, sensing
from leapai_world.sensors.instants import SWEEP_S
from leapai_world.sensors.rig import Rig
from leapai_world.sensors.sensing import Observation
from leapai_world.world import World, open_world

WORLD_VERSION = "3"
"""Version of the bytes that a seed gives: a change that alters them changes this."""
LABEL_RANGE_M = ((-40.0, 62.4), (-44.8, 44.8))
"""Range of x and y in which box centres are always labelled: the default BEV range (docs/design.md,
section 2). A run whose BEV is wider gets labels in that, too."""
_FIRST_TIMESTAMP_US = 1_300_000_000_000_000
_APART_US = 200_000_000
"""Sequences of successive seeds begin 200 s apart, so that the clock of the last split stays below
2^31 s, which ROS and others count in 32 bits."""

_NO_POINTS = np.zeros((0, 5), np.float32)


class SyntheticSequence(DrivingLog):
    """A drive of the ego through a place with traffic, drawn from a seed.

    Raises ValueError where Embree, which casts the rays of its sensors, is not installed.
    """

    version = WORLD_VERSION

    def __init__(
        self,
        seed: int,
        frames: int,
        rate_hz: float,
        rig_of: Callable[[int], Rig],
        place: str = "",
        label_range_m: LabelRange | None = None,
    ) -> None:
        embree.check_installed()
        self.name = f"synthetic-{seed:04d}"
        self._seed, self._rig_of = seed, rig_of
        self._label_range_m = _covering(LABEL_RANGE_M, label_range_m or LABEL_RANGE_M)
        # The first frame comes when there is a whole sweep of the LiDAR behind it.
        elapsed_s = SWEEP_S + np.arange(frames) / rate_hz
        self._elapsed_us = np.round(1e6 * elapsed_s).astype(np.int64)
        self._key = (place, seed, float(self._elapsed_us[-1]) * 1e-6)
        self._start_us = _FIRST_TIMESTAMP_US + seed * _APART_US

    @property
    def _world(self) -> World:
        return open_world(*self._key)

    @property
    def rig(self) -> Rig:
        """Cameras and LiDAR with their rays."""
        return self._rig_of(self._seed)

    @property
    def timestamps_us(self) -> IntArray:
        """[T] int64, one for each frame."""
        return self._start_us + self._elapsed_us

    def __len__(self) -> int:
        return len(self._elapsed_us)

    def __getitem__(self, index: int) -> Frame:
        """Renders frame `index`. Negative ones count from the end; others outside raise
        IndexError."""
        index = range(len(self))[index]
        time_s = self._time_s(index)
        scene, near = self._world.scene(time_s)
        seen = sensing.sense(self.rig.at(index), scene, self._seed, 30, index)
        visible = np.zeros(len(self._world.traffic.class_id))
        visible[near] = seen.visible_fraction
        timestamp_us = int(self.timestamps_us[index])
        return Frame(
            sequence=self.name,
            timestamp_us=timestamp_us,
            ego2global=self.ego2global_at(timestamp_us),
            cameras=self._cameras(timestamp_us, seen),
            points=seen.points,
            labels=self._labels(time_s, visible, seen.points),
        )

    def ego2global_at(self, timestamp_us: int) -> FloatArray:
        """Returns the pose [4, 4] of the ego at any time of the drive, as an inertial unit would
        report it."""
        time_s = (timestamp_us - self._start_us) * 1e-6
        return self._ego2global(self._world.poses(time_s)[0])

    def raw_points(self, index: int) -> FloatArray:
        """Returns the points [P, 5] of frame `index` before motion compensation.

        Row by row they are those of `Frame.points`, each in the ego frame at its own time,
        `timestamp_us` + dt.
        """
        index = range(len(self))[index]
        scene, _ = self._world.scene(self._time_s(index))
        lidar = self.rig.at(index).lidar
        if lidar is None:
            return _NO_POINTS
        return sensing.raw_sweep(lidar, scene, self._seed, 30, index)

    def visibility(self, index: int) -> FloatArray:
        """Returns the visible fraction [N, C] of the labels of frame `index` in each camera.

        It is 0 where a camera would not see the object even if nothing occluded it.
        """
        index = range(len(self))[index]
        scene, near = self._world.scene(self._time_s(index))
        fraction = np.zeros((len(self._world.traffic.class_id), len(self.rig.cameras)))
        fraction[near] = sensing.visibility(self.rig, scene)
        labels = self.ground_truth(index).labels
        assert labels is not None
        return fraction[labels.track_id]

    def ground_truth(self, index: int) -> Frame:
        """Returns frame `index` without its sensors, a hundred times faster: pose and labels.

        What only sensors measure (visible fraction, occlusion level, number of points) is marked
        as not labelled.
        """
        index = range(len(self))[index]
        time_s = self._time_s(index)
        local_from_ego, boxes = self._world.poses(time_s)
        labels = self._labels(time_s, np.zeros(len(boxes)), None)
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
        """Returns lane marks, road elements and drivable ground of the place, global frame."""
        return tuple(
            MapLine(line.kind, line.layer, line.points_m + self._world.origin_m)
            for line in self._world.place.map_lines
        )

    def _time_s(self, index: int) -> float:
        """Returns the time of frame `index`, 0 or later, since the start of the world."""
        return float(self._elapsed_us[index]) * 1e-6

    def _ego2global(self, local_from_ego: FloatArray) -> FloatArray:
        ego2global = local_from_ego.copy()
        ego2global[:3, 3] += self._world.origin_m
        return ego2global

    def static_labels(self, index: int) -> StaticLabels:
        """Returns rasters of map elements and free space around the ego at frame `index`, over the
        region of the full size."""
        local_from_ego, boxes = self._world.poses(self._time_s(range(len(self))[index]))
        in_ego = box_geometry.transform(boxes, poses.invert(local_from_ego))
        region = StaticConfig().region()
        return rasterise(self._world.place.map_lines, local_from_ego, region, in_ego)

    def _labels(self, time_s: float, visible: FloatArray, points: FloatArray | None) -> Labels:
        """Returns the labels of the actors in range; `visible` [N] is the visible fraction of all
        actors of the drive."""
        points = _NO_POINTS if points is None else points
        local_from_ego, boxes_local = self._world.poses(time_s)
        ego_from_local = poses.invert(local_from_ego)
        boxes = box_geometry.transform(boxes_local, ego_from_local)
        boxes[:, 6] = angles.wrap(boxes[:, 6])
        low, high = np.array(self._label_range_m).T
        kept = np.flatnonzero(((boxes[:, :2] >= low) & (boxes[:, :2] <= high)).all(1))
        motion = self._world.traffic.motion(time_s)
        return Labels(
            boxes=boxes[kept],
            class_id=self._world.traffic.class_id[kept],
            velocity_mps=poses.rotate(ego_from_local, motion.velocity_mps[kept]),
            velocity_valid=np.ones(len(kept), bool),
            occlusion_level=occlusion_level_of(visible[kept]),
            track_id=kept.astype(np.int64),
            num_lidar_points=_count_inside(points, boxes[kept]),
            visible_fraction=visible[kept],
            acceleration_mps2=poses.rotate(ego_from_local, motion.acceleration_mps2[kept]),
        )

    def _cameras(self, timestamp_us: int, seen: Observation) -> tuple[CameraFrame, ...]:
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
                self.rig.cameras, seen.images, seen.ego_from_camera, strict=True
            )
        )


def _covering(one_m: LabelRange, other_m: LabelRange) -> LabelRange:
    """Returns the smallest range that holds both."""
    x, y = ((min(a + b), max(a + b)) for a, b in zip(one_m, other_m, strict=True))
    return x, y


def _count_inside(points: FloatArray, boxes: FloatArray) -> IntArray:
    """Counts the points [P, 5] inside each box [N, 7].

    It equals `points_inside`, which is only called for points near the box.
    """
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
