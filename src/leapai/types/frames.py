"""Frames, their cameras and their labels: what a data set gives."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from leapai.types.vocabulary import (
    DESIGN,
    STATIC_CLASSES,
    BoolArray,
    FloatArray,
    ImageArray,
    IntArray,
    Vocabulary,
)


@dataclass(frozen=True)
class PixelLabels:
    """Ground truth of the cells of a camera's feature map [H, W]."""

    depth_m: FloatArray
    """[H, W] float32 depth of the nearest point along the camera's axis; NaN: no point."""
    class_id: IntArray
    """[H, W] class of the box in which that point lies; -1: of none."""


@dataclass(frozen=True)
class CameraFrame:
    """One camera at one instant.

    `image` is None for a camera that failed in this frame. `ego_from_camera` takes a point of the
    camera (x right, y down, z forward) *at its exposure* into the ego frame *at the frame's
    timestamp*: an adapter that has both ego poses composes them here, so that nothing after it has
    to account for exposures that differ.
    """

    name: str
    group: str
    """One of `CAMERA_GROUPS`."""
    image: ImageArray | None
    """[H, W, 3] RGB, or None: the sensor failed."""
    size_px: tuple[int, int]
    """(height, width), known also when the image is missing."""
    intrinsics: FloatArray
    """[3, 3] float64."""
    distortion: FloatArray
    """[5] float64: k1, k2, p1, p2, k3 of OpenCV's lens model; zeros for a rectified image."""
    ego_from_camera: FloatArray
    """[4, 4] float64."""
    timestamp_us: int
    pixel_labels: PixelLabels | None = None
    """None: not asked for, as adapters leave it (`data.pixel_labels`)."""

    def __repr__(self) -> str:
        height, width = self.size_px
        missing = ", no image" if self.image is None else ""
        return f"CameraFrame({self.name}, {self.group}, {height} x {width} px{missing})"


@dataclass(frozen=True)
class Labels:
    """Ground truth of one frame, in the ego frame. What is not labelled is marked, never
    invented."""

    boxes: FloatArray
    """[N, 7] float64: x y z of the box's centre (not its bottom), length width height, yaw."""
    class_id: IntArray
    """[N] int64, index into the names of `vocabulary`."""
    velocity_mps: FloatArray
    """[N, 3] float64, over ground in ego axes; 0 where `velocity_valid` is False."""
    velocity_valid: BoolArray
    """[N]"""
    occlusion_level: IntArray
    """[N] int64 in 0..3; -1: not labelled."""
    track_id: IntArray
    """[N] int64, unique in the sequence; -1: not labelled."""
    num_lidar_points: IntArray
    """[N] int64 points inside the box as the data set recorded them; -1: not recorded."""
    visible_fraction: FloatArray
    """[N] float64 in [0, 1] over all sensors; NaN: not labelled."""
    acceleration_mps2: FloatArray
    """[N, 3] float64 in ego axes; NaN: not labelled."""
    num_radar_points: IntArray | None = None
    """[N] int64 returns of the data set's radars on the object, -1: not recorded; None: the data
    set records none. No frame brings radar data: they only tell that an object can be seen."""
    vocabulary: Vocabulary = DESIGN
    """The classes that `class_id` counts through."""

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Labels({len(self)} objects: {self.vocabulary.counted(self.class_id)})"

    @property
    def seen(self) -> BoolArray:
        """Whether a sensor of the data set saw the object now [N]: a LiDAR or camera (`seen_with`),
        or a radar, which the official nuScenes evaluation counts, too."""
        seen = self.seen_with(lidar=True, cameras=True)
        radar = self.num_radar_points
        return seen if radar is None else seen | np.asarray(radar > 0)

    def seen_with(self, *, lidar: bool, cameras: bool) -> BoolArray:
        """Whether a sensor that came sees the object now [N]: a point on it for the LiDAR, or a
        visible part for the cameras.

        Where one of both is not labelled the other one stands for it, since what hides an object
        from one mostly hides it from the other; an object of which neither is known counts as seen.
        Without any sensor nothing is seen.
        """
        points, visible = self.num_lidar_points, self.visible_fraction
        by_lidar = (points > 0) | ((points < 0) & (visible != 0))
        by_cameras = (visible > 0) | (np.isnan(visible) & (points != 0))
        return np.asarray((by_lidar & lidar) | (by_cameras & cameras))

    def select(self, index: IntArray | BoolArray) -> Labels:
        """Returns the labels at `index` (integers [M] or mask [N])."""
        picked: dict[str, Any] = {name: array[index] for name, array in self.arrays().items()}
        return Labels(**picked, vocabulary=self.vocabulary)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays of all fields that are there, by name."""
        values = {name: getattr(self, name) for name in LABEL_ARRAYS}
        return {name: array for name, array in values.items() if array is not None}

    def renamed(self, vocabulary: Vocabulary) -> Labels:
        """Returns the labels in the classes of another vocabulary, by name; those of classes that
        it does not have are left out."""
        numbers = {name: i for i, name in enumerate(vocabulary.names)}
        number_of = np.array([numbers.get(name, -1) for name in self.vocabulary.names], np.int64)
        class_id = number_of[self.class_id]
        known = replace(self, class_id=class_id, vocabulary=vocabulary)
        return known.select(class_id >= 0)

    @staticmethod
    def unlabelled(
        boxes: FloatArray, class_id: IntArray, vocabulary: Vocabulary = DESIGN
    ) -> Labels:
        """Returns boxes [N, 7] and classes [N] with every optional field marked as not labelled."""
        count = len(boxes)
        return Labels(
            boxes=np.asarray(boxes, np.float64).reshape(count, 7),
            class_id=np.asarray(class_id, np.int64).reshape(count),
            velocity_mps=np.zeros((count, 3)),
            velocity_valid=np.zeros(count, bool),
            occlusion_level=np.full(count, -1, np.int64),
            track_id=np.full(count, -1, np.int64),
            num_lidar_points=np.full(count, -1, np.int64),
            visible_fraction=np.full(count, np.nan),
            acceleration_mps2=np.full((count, 3), np.nan),
            vocabulary=vocabulary,
        )


LABEL_ARRAYS = tuple(f.name for f in fields(Labels) if f.name != "vocabulary")
"""The fields of `Labels` that are arrays with a row for each object."""


@dataclass(frozen=True)
class StaticLabels:
    """Ground truth of the static task, as rasters over a region about the ego: row along y from its
    lower end, column along x from its lower end (docs/design.md, section 11)."""

    lane_markings: BoolArray
    """[9, rows, columns], a plane for each of `LANE_MARKINGS`. A dashed line has no gaps."""
    road_elements: BoolArray
    """[5, rows, columns], a plane for each of `ROAD_ELEMENTS`."""
    free_space: BoolArray | None = None
    """[rows, columns] drivable ground that is under no object and no wall; None: the map does not
    have drivable areas, or they were not asked for."""
    known: BoolArray = field(default_factory=lambda: np.ones(len(STATIC_CLASSES), bool))
    """[14] whether the map holds elements of a class; an empty plane of a class that it does not
    hold means nothing."""

    @property
    def planes(self) -> BoolArray:
        """Both rasters [14, rows, columns], by `STATIC_CLASSES`."""
        return np.concatenate([self.lane_markings, self.road_elements])


@dataclass(frozen=True)
class Frame:
    """Everything that the sensors of the vehicle give at one instant, as an adapter must give
    it."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64, at `timestamp_us`."""
    cameras: tuple[CameraFrame, ...]
    points: FloatArray | None
    """[P, 5] float32: x y z in the ego frame at `timestamp_us` (motion compensated), intensity in
    [0, 1], dt in seconds relative to `timestamp_us`. [0, 5] is a sweep without returns; None: the
    sensor failed."""
    labels: Labels | None = None
    faults: tuple[str, ...] = ()
    """Failures of sensors, in words for a user: `CAM_BACK: samples/x.jpg: cannot be decoded`."""
    static_labels: StaticLabels | None = None
    """None: there is no map, or it was not asked for. Adapters leave it None: `data.static_labels`
    makes it from the map of the drive and `ego2global`, after augmentation."""

    def __repr__(self) -> str:
        without = [camera.name for camera in self.cameras if camera.image is None]
        cameras = f"{len(self.cameras)} cameras"
        if without:
            cameras += f" ({', '.join(without)} without image)"
        points = "no LiDAR" if self.points is None else f"{len(self.points)} points"
        labels = "no labels" if self.labels is None else f"{len(self.labels)} labelled objects"
        return f"Frame({self.sequence} at {self.timestamp_us} us: {cameras}, {points}, {labels})"
