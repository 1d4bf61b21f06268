"""Transforms of frames to the tensors of one step: resize, crop, fold both into the calibration,
collate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

import cv2
import numpy as np
import torch

from leapai.geometry import cameras
from leapai.models.tensors import FrameBatch
from leapai.types import CAMERA_GROUPS, CameraFrame, Frame, ImageArray, PixelLabels

HORIZON_ROW = 0.45
"""Row at which the principal point comes to lie, as a fraction of the height, when an image is too
tall."""


def prepare_camera(camera: CameraFrame, size_px: tuple[int, int]) -> CameraFrame:
    """Returns the camera with its image scaled to cover `size_px` (height, width), then cut to it.

    The intrinsics follow, so that later code does not depend on the scale. Too tall an image loses
    sky and bonnet around its principal point, too wide a one loses both sides equally. A failed
    camera stays failed.
    """
    height, width = camera.size_px
    scale = max(size_px[0] / height, size_px[1] / width)
    scaled = (max(round(height * scale), size_px[0]), max(round(width * scale), size_px[1]))
    ratio = (scaled[1] / width, scaled[0] / height)
    left = (scaled[1] - size_px[1]) // 2
    horizon = camera.intrinsics[1, 2] * ratio[1]
    top = int(np.clip(round(horizon - HORIZON_ROW * size_px[0]), 0, scaled[0] - size_px[0]))
    image = camera.image
    if image is not None and scaled != (height, width):
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, scaled[::-1], interpolation=interpolation)
    if image is not None:
        image = image[top : top + size_px[0], left : left + size_px[1]]
    return replace(
        camera,
        image=image,
        size_px=size_px,
        intrinsics=cameras.resize_and_crop(camera.intrinsics, ratio, (left, top)),
    )


def prepare(
    frame: Frame, size_px: tuple[int, int], groups: Mapping[str, str] | None = None
) -> Frame:
    """Returns the frame as the model requires it: every image of `size_px`, groups of cameras as in
    `groups`.

    Raises ValueError where `groups` names a camera that the frame does not have.
    """
    groups = groups or {}
    unknown = set(groups) - {camera.name for camera in frame.cameras}
    if unknown:
        names = ", ".join(camera.name for camera in frame.cameras)
        raise ValueError(
            f"camera.groups names '{min(unknown)}', which {frame.sequence} does not have; "
            f"its cameras: {names}"
        )
    regrouped = (replace(c, group=groups.get(c.name, c.group)) for c in frame.cameras)
    return replace(frame, cameras=tuple(prepare_camera(c, size_px) for c in regrouped))


def collate(frames: Sequence[Frame], is_first: Sequence[bool]) -> FrameBatch:
    """Collates prepared frames, one for each stream, into a batch.

    Streams may have different rigs: cameras of a group are put side by side, and a stream that has
    fewer of them is padded with failed ones, which cost no time. `is_first` marks the streams that
    start a sequence. `FrameBatch.frames` are as given.
    """
    given, frames = frames, with_common_cameras(frames)
    points = [np.zeros((0, 5), np.float32) if f.points is None else f.points for f in frames]
    stream = np.repeat(np.arange(len(frames)), [len(p) for p in points])
    return FrameBatch(
        images=torch.from_numpy(np.stack([_images(f) for f in frames])),
        camera_valid=torch.tensor([[c.image is not None for c in f.cameras] for f in frames]),
        intrinsics=_stacked(frames, "intrinsics"),
        distortion=_stacked(frames, "distortion"),
        ego_from_camera=_stacked(frames, "ego_from_camera"),
        points=torch.from_numpy(np.concatenate(points).astype(np.float32)),
        point_stream=torch.from_numpy(stream),
        lidar_valid=torch.tensor([f.points is not None for f in frames]),
        timestamp_us=torch.tensor([f.timestamp_us for f in frames], dtype=torch.int64),
        ego2global=torch.from_numpy(
            np.stack([np.asarray(f.ego2global, np.float64) for f in frames])
        ),
        is_first=torch.tensor(list(is_first)),
        **_pixel_labels(frames),
        camera_groups=tuple(CAMERA_GROUPS.index(c.group) for c in frames[0].cameras),
        frames=tuple(given),
    )


def with_common_cameras(frames: Sequence[Frame]) -> list[Frame]:
    """Returns the frames with the same groups of cameras in the same order, padded with failed
    cameras; frames of one rig come back as they are."""
    rigs = {tuple(c.group for c in frame.cameras) for frame in frames}
    if len(rigs) == 1:
        return list(frames)
    size_px = next(camera.size_px for frame in frames for camera in frame.cameras)
    return [replace(f, cameras=tuple(_padded(f, rigs, size_px))) for f in frames]


def _padded(
    frame: Frame, rigs: Set[tuple[str, ...]], size_px: tuple[int, int]
) -> Iterator[CameraFrame]:
    for group in CAMERA_GROUPS:
        cameras = [camera for camera in frame.cameras if camera.group == group]
        yield from cameras
        for _ in range(max(rig.count(group) for rig in rigs) - len(cameras)):
            yield CameraFrame(
                name="",
                group=group,
                image=None,
                size_px=size_px,
                intrinsics=np.eye(3),
                distortion=np.zeros(5),
                ego_from_camera=np.eye(4),
                timestamp_us=frame.timestamp_us,
            )


def _pixel_labels(frames: Sequence[Frame]) -> dict[str, torch.Tensor | None]:
    """Returns the labels of the cells of all feature maps; those of a camera that has none are
    NaN."""
    labels = [[c.pixel_labels for c in frame.cameras] for frame in frames]
    some = next((one for of_frame in labels for one in of_frame if one is not None), None)
    if some is None:
        return {"pixel_depth_m": None, "pixel_class": None}
    none = PixelLabels(np.full_like(some.depth_m, np.nan), np.zeros_like(some.class_id))
    filled = [[one or none for one in of_frame] for of_frame in labels]
    depth_m = np.stack([np.stack([one.depth_m for one in row]) for row in filled])
    class_id = np.stack([np.stack([one.class_id for one in row]) for row in filled])
    return {"pixel_depth_m": torch.from_numpy(depth_m), "pixel_class": torch.from_numpy(class_id)}


def _images(frame: Frame) -> ImageArray:
    """Returns images [N, 3, H, W] uint8; zeros for a failed camera."""
    pictures = [
        np.zeros((*c.size_px, 3), np.uint8) if c.image is None else c.image for c in frame.cameras
    ]
    return np.stack(pictures).transpose(0, 3, 1, 2)


def _stacked(frames: Sequence[Frame], field: str) -> torch.Tensor:
    values = [[np.asarray(getattr(c, field), np.float32) for c in f.cameras] for f in frames]
    return torch.from_numpy(np.stack([np.stack(v) for v in values]))
