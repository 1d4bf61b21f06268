"""Transforms of frames to the tensors of one step: resize, crop, fold both into the calibration,
collate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from leapai.data.frame_check import Posed, check_frame
from leapai.data.log import DrivingLog
from leapai.geometry import cameras
from leapai.types import CAMERA_GROUPS, CameraFrame, FloatArray, Frame, ImageArray, PixelLabels

if TYPE_CHECKING:
    from leapai.models.tensors import FrameBatch

HORIZON_ROW = 0.45
"""Row at which the principal point comes to lie, as a fraction of the height, when an image is too
tall."""


def read_frame(log: DrivingLog, index: int) -> Frame:
    """Returns frame `index` of a log. Raises ValueError that names log and frame."""
    try:
        return log[index]
    except (ValueError, OSError) as error:
        raise ValueError(f"{log.name}, frame {index}: {error}") from error


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
        image = _resized(image, scaled)
    if image is not None:
        image = image[top : top + size_px[0], left : left + size_px[1]]
    return replace(
        camera,
        image=image,
        size_px=size_px,
        intrinsics=cameras.resize_and_crop(camera.intrinsics, ratio, (left, top)),
    )


def _resized(image: ImageArray, size_px: tuple[int, int]) -> ImageArray:
    """Returns an image at `size_px` (height, width): halved by means of 2 x 2 pixels as long as it
    stays larger, then interpolated between pixels.

    Where more than half is left to go and the sides cannot be halved, pixels are averaged over
    their area, which takes four times as long and is what all of it comes close to.
    """
    height, width = size_px
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:
        if image.shape[0] % 2 or image.shape[1] % 2:
            return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def prepare(
    frame: Frame,
    size_px: tuple[int, int],
    groups: Mapping[str, str] | None = None,
    last: Posed | None = None,
) -> Frame:
    """Returns the frame as the model requires it: checked (`check_frame`, with the frame `last`
    before it), every image of `size_px`, groups of cameras as in `groups`.

    Raises ValueError where the frame does not fit its type, its pose cannot be, or `groups` names a
    camera that the frame does not have. A rig without cameras has none to group.
    """
    return fitted(check_frame(frame, last, groups), size_px, groups)


def fitted(
    frame: Frame, size_px: tuple[int, int], groups: Mapping[str, str] | None = None
) -> Frame:
    """Returns a checked frame with every image of `size_px`. Raises ValueError where `groups` names
    a camera that the frame does not have."""
    groups = groups or {}
    unknown = set(groups) - {camera.name for camera in frame.cameras}
    if unknown and frame.cameras:
        names = ", ".join(camera.name for camera in frame.cameras)
        raise ValueError(
            f"camera.groups names '{min(unknown)}', which {frame.sequence} does not have; "
            f"its cameras: {names}"
        )
    return replace(frame, cameras=tuple(prepare_camera(c, size_px) for c in frame.cameras))


def on_one_rig(frames: Sequence[Frame]) -> list[Frame]:
    """Returns prepared frames of different rigs with the same cameras, group by group, so that they
    can share a batch; frames of one rig as they are.

    A camera that only others of its group have is added as one that failed, with the calibration of
    such another one, and the cameras are named by their group and number.
    """
    rigs = [[(c.name, c.group) for c in frame.cameras] for frame in frames]
    if all(rig == rigs[0] for rig in rigs):
        return list(frames)
    groups = [
        [[c for c in frame.cameras if c.group == group] for frame in frames]
        for group in CAMERA_GROUPS
    ]
    fullest = [max(of_frames, key=len) for of_frames in groups]
    return [
        replace(
            frame,
            cameras=tuple(
                replace(camera, name=f"{camera.group}_{number}")
                for most, of_frames in zip(fullest, groups, strict=True)
                for number, camera in enumerate(_filled_up(of_frames[index], most))
            ),
        )
        for index, frame in enumerate(frames)
    ]


def _filled_up(cameras: list[CameraFrame], most: list[CameraFrame]) -> list[CameraFrame]:
    """Returns the cameras followed by failed ones, as many as `most` has."""
    return [*cameras, *(replace(c, image=None, pixel_labels=None) for c in most[len(cameras) :])]


def collate(frames: Sequence[Frame], is_first: Sequence[bool]) -> FrameBatch:
    """Collates prepared frames, one for each stream, into a batch. All streams must have the same
    cameras in the same order (`on_one_rig`).

    `is_first` marks the streams that start a sequence. Raises ValueError where the cameras differ.
    """
    import torch  # late: a runtime prepares frames without PyTorch

    from leapai.models.tensors import FrameBatch

    rig = [(c.name, c.group, c.size_px) for c in frames[0].cameras]
    for frame in frames[1:]:
        if [(c.name, c.group, c.size_px) for c in frame.cameras] != rig:
            raise ValueError(
                f"{frame.sequence} and {frames[0].sequence} have different cameras: "
                "put drives of one rig into a batch"
            )
    points = [np.zeros((0, 5), np.float32) if f.points is None else f.points for f in frames]
    stream = np.repeat(np.arange(len(frames)), [len(p) for p in points])
    labels = _pixel_labels(frames)
    return FrameBatch(
        images=torch.from_numpy(np.stack([stacked_images(f) for f in frames])),
        camera_valid=torch.tensor(
            [[c.image is not None for c in f.cameras] for f in frames], dtype=torch.bool
        ),
        intrinsics=torch.from_numpy(stacked(frames, "intrinsics", (3, 3))),
        distortion=torch.from_numpy(stacked(frames, "distortion", (5,))),
        ego_from_camera=torch.from_numpy(stacked(frames, "ego_from_camera", (4, 4))),
        points=torch.from_numpy(np.concatenate(points).astype(np.float32)),
        point_stream=torch.from_numpy(stream),
        lidar_valid=torch.tensor([f.points is not None for f in frames]),
        timestamp_us=torch.tensor([f.timestamp_us for f in frames], dtype=torch.int64),
        ego2global=torch.from_numpy(
            np.stack([np.asarray(f.ego2global, np.float64) for f in frames])
        ),
        is_first=torch.tensor(list(is_first)),
        pixel_depth_m=None if labels is None else torch.from_numpy(labels.depth_m),
        pixel_class=None if labels is None else torch.from_numpy(labels.class_id),
        camera_groups=tuple(CAMERA_GROUPS.index(c.group) for c in frames[0].cameras),
        frames=tuple(frames),
    )


def _pixel_labels(frames: Sequence[Frame]) -> PixelLabels | None:
    """Returns depth and class [B, N, H / 8, W / 8] of the cells of all feature maps. The depth of a
    camera without labels is NaN; None: no camera has any."""
    labels = [[c.pixel_labels for c in frame.cameras] for frame in frames]
    some = next((one for of_frame in labels for one in of_frame if one is not None), None)
    if some is None:
        return None
    none = PixelLabels(np.full_like(some.depth_m, np.nan), np.zeros_like(some.class_id))
    filled = [[one or none for one in of_frame] for of_frame in labels]
    depth_m = np.stack([np.stack([one.depth_m for one in row]) for row in filled])
    class_id = np.stack([np.stack([one.class_id for one in row]) for row in filled])
    return PixelLabels(depth_m, class_id)


def stacked_images(frame: Frame) -> ImageArray:
    """Returns images [N, 3, H, W] uint8; zeros for a failed camera, [0, 3, 0, 0] without any."""
    if not frame.cameras:
        return np.zeros((0, 3, 0, 0), np.uint8)
    pictures = [
        np.zeros((*c.size_px, 3), np.uint8) if c.image is None else c.image for c in frame.cameras
    ]
    return np.stack(pictures).transpose(0, 3, 1, 2)


def stacked(frames: Sequence[Frame], field: str, shape: tuple[int, ...]) -> FloatArray:
    """Returns a field of all cameras [B, N, *shape] float32; N may be 0."""
    values = np.array([[getattr(c, field) for c in f.cameras] for f in frames], np.float32)
    return values.reshape(len(frames), len(frames[0].cameras), *shape)
