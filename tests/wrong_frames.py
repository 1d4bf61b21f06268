"""Frames that are wrong in every way that a source of frames got wrong, for tests.

`REFUSED` are those that are an error, with words of its message: field, value, remedy. `FAILING`
are those that cost a sensor, with the sensor, its status and words of its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from leapai.types import Frame, Labels
from tests.scenes import make_frame

Change = Callable[[Frame], Any]
FULL = (128, 192)
"""Twice the size of the images of `make_frame`."""


def frame_with(**changes: Any) -> Change:
    return lambda frame: replace(frame, **changes)


def camera_with(name: str = "back", **changes: Any) -> Change:
    """Changes one camera; what is callable gets the value that is there."""

    def changed(frame: Frame) -> Frame:
        cameras = []
        for camera in frame.cameras:
            values = {
                field: value(getattr(camera, field)) if callable(value) else value
                for field, value in changes.items()
            }
            cameras.append(replace(camera, **values) if camera.name == name else camera)
        return replace(frame, cameras=tuple(cameras))

    return changed


def points_with(change: Callable[[np.ndarray], Any]) -> Change:
    return lambda frame: replace(frame, points=change(frame.points.copy()))


def pose_with(change: Callable[[np.ndarray], Any]) -> Change:
    return lambda frame: replace(frame, ego2global=change(frame.ego2global.copy()))


def labels_with(**changes: Any) -> Change:
    labels = Labels.unlabelled(np.array([[10.0, 0, 1, 4, 2, 1.5, 0]]), np.array([0]))
    return lambda frame: replace(frame, labels=replace(labels, **changes))


def put(index: Any, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Sets one part of a copy of an array."""

    def changed(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] = value
        return array

    return changed


def scaled(index: Any, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def changed(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] *= factor
        return array

    return changed


def turned(pose: np.ndarray) -> np.ndarray:
    """The ego, turned about."""
    return pose @ np.diag([-1.0, -1.0, 1.0, 1.0])


ROTATION = (slice(3), slice(3))
REFUSED: dict[str, tuple[Change, tuple[str, ...]]] = {
    "sequence is a number": (frame_with(sequence=7), ("sequence is 7", "give a name")),
    "sequence is empty": (frame_with(sequence=""), ("sequence is ''", "give a name")),
    "sequence of half a letter": (
        frame_with(sequence="\ud800"),
        ("sequence is '\\ud800'", "give a name"),
    ),
    "points that are masked": (
        points_with(lambda p: np.ma.masked_array(p, p > 0)),
        ("points is a MaskedArray", "give [P, 5]"),
    ),
    "image that is a strip": (
        camera_with(size_px=(1, 9000), image=np.zeros((1, 9000, 3), np.uint8)),
        ("size_px is (1, 9000)", "not of a strip"),
    ),
    "tracks of 64 bits": (
        labels_with(track_id=np.array([2**64 - 1], np.uint64)),
        ("track_id is 18446744073709551615", "as int64"),
    ),
    "time in float seconds": (
        frame_with(timestamp_us=1.1),
        ("timestamp_us is 1.1, a float", "give whole microseconds"),
    ),
    "time in nanoseconds": (
        frame_with(timestamp_us=1_700_000_000_000_000_000),
        ("timestamp_us is 17000000", "nanoseconds?"),
    ),
    "time before zero": (frame_with(timestamp_us=-1), ("timestamp_us is -1", "give micro")),
    "time in milliseconds": (
        frame_with(timestamp_us=1_000_100),
        ("timestamp_us is 100 us after", "milliseconds"),
    ),
    "pose as a list": (pose_with(np.ndarray.tolist), ("ego2global is a list", "give global")),
    "pose of three rows": (pose_with(lambda p: p[:3]), ("ego2global has the shape [3, 4]", "give")),
    "pose of whole numbers": (pose_with(lambda p: p.astype(int)), ("of type int64", "float64")),
    "pose of NaN": (pose_with(put((0, 3), np.nan)), ("ego2global is not finite", "give a rigid")),
    "pose at 1e300": (pose_with(put((0, 3), 1e300)), ("1e+300 m from the origin", "give metres")),
    "pose mirrored": (pose_with(scaled((slice(None), 1), -1)), ("is a mirror", "give a rigid")),
    "pose scaled": (pose_with(scaled(ROTATION, 1.01)), ("not orthonormal, by 0.02", "give")),
    "pose transposed": (pose_with(lambda p: p.T + put((3, 0), 9.0)(0 * p)), ("last row", "give")),
    "pose in float32 far away": (
        pose_with(lambda p: (p + put((0, 3), 4e5)(0 * p)).astype(np.float32)),
        ("float32 and 4e+05 m from the origin", "give float64"),
    ),
    "pose jumps by 5 km": (
        pose_with(lambda p: p + put((0, 3), 5000.0)(0 * p)),
        ("moved by 5001 m in 0.100 s", "correct the pose"),
    ),
    "pose turns about": (pose_with(turned), ("turned by 179 degrees", "correct the rotation")),
    "cameras are a dictionary": (
        lambda f: replace(f, cameras={c.name: c for c in f.cameras}),
        ("cameras is a dict", "give a tuple"),
    ),
    "a camera is an image": (
        lambda f: replace(f, cameras=(f.cameras[0].image,)),
        ("cameras[0] is a ndarray", "give a leapai.CameraFrame"),
    ),
    "two cameras of a name": (
        lambda f: replace(f, cameras=f.cameras[:1] * 2),
        ("cameras[1].name is 'front_narrow'", "a name of its own"),
    ),
    "group unknown": (
        camera_with(group="rear"),
        ("camera back: group is 'rear'", "give one of front_narrow, front_wide, back, side"),
    ),
    "image as a list": (camera_with(image=np.ndarray.tolist), ("image is a list", "uint8")),
    "image with alpha": (
        camera_with(image=lambda i: np.dstack([i, i[..., :1]])),
        ("image has the shape [64, 96, 4]", "without alpha"),
    ),
    "image grey": (camera_with(image=lambda i: i[..., 0]), ("shape [64, 96]", "give [H, W, 3]")),
    "image channels first": (
        camera_with(image=lambda i: i.transpose(2, 0, 1)),
        ("shape [3, 64, 96]", "give [H, W, 3]"),
    ),
    "image of floats": (
        camera_with(image=lambda i: i.astype(np.float32) / 255),
        ("image is of type float32", "give [H, W, 3] RGB of uint8"),
    ),
    "image of floats with NaN": (
        camera_with(image=lambda i: put((3, 4, 1), np.nan)(i.astype(np.float64))),
        ("image is of type float64", "give [H, W, 3] RGB of uint8"),
    ),
    "image of 16 bits": (
        camera_with(image=lambda i: i.astype(np.uint16) * 257),
        ("image is of type uint16", "give [H, W, 3] RGB of uint8"),
    ),
    "size_px is width, height": (
        camera_with(size_px=(96, 64)),
        ("size_px is (96, 64), and the image 96 pixels wide", "give (height, width)"),
    ),
    "size_px of zero": (camera_with(size_px=(0, 96)), ("size_px is (0, 96)", "give (height")),
    "size_px of floats": (camera_with(size_px=(64.0, 96.0)), ("size_px is (64.0", "two positive")),
    "intrinsics of three numbers": (
        camera_with(intrinsics=lambda k: k[0]),
        ("camera back: intrinsics has the shape [3]", "give float64"),
    ),
    "distortion of four numbers": (
        camera_with(distortion=lambda d: d[:4]),
        ("distortion has the shape [4]", "give k1, k2, p1, p2, k3"),
    ),
    "time of a camera in float": (
        camera_with(timestamp_us=1e6),
        ("camera back: timestamp_us is 1000000.0", "whole microseconds"),
    ),
    "points as a list": (points_with(np.ndarray.tolist), ("points is a list", "give [P, 5]")),
    "points without dt": (
        points_with(lambda p: p[:, :4]),
        ("points has the shape [600, 4], not [N, 5]", "zeros where unknown"),
    ),
    "points of whole numbers": (
        points_with(lambda p: p.astype(np.int64)),
        ("points is of type int64, not float", "give [P, 5]"),
    ),
    "labels are an array": (frame_with(labels=np.zeros((1, 7))), ("labels are a ndarray", "give")),
    "labels of two lengths": (
        labels_with(track_id=np.array([1, 2])),
        ("labels.track_id has the shape [2], not [1]", "give every field one row"),
    ),
    "labels whose vocabulary is a list": (
        labels_with(vocabulary=["car"]),
        ("labels.vocabulary is a list", "give a Vocabulary"),
    ),
    "labels of pixels": (
        camera_with(pixel_labels=0.5),
        ("camera back: pixel_labels is 0.5", "leave it out: training makes it"),
    ),
    "labels of a class that is not there": (
        labels_with(class_id=np.array([8])),
        ("labels.class_id runs from 8 to 8", "give 0 to 7"),
    ),
    "faults are one str": (frame_with(faults="none"), ("faults is 'none'", "give a tuple")),
}

FAILING: dict[str, tuple[Change, str, str, str]] = {
    "image of half the size": (
        camera_with(image=lambda i: i[::2, ::2]), "back", "corrupt", "is 48 x 32 pixels, cal",
    ),
    "image and size of half, calibration of the whole": (
        camera_with(image=lambda i: i[::2, ::2], size_px=(32, 48)), "back", "corrupt", "a princ",
    ),
    "image of one colour": (camera_with(image=put(..., 7)), "back", "corrupt", "every pixel is (7"),
    "image lost": (camera_with(image=None), "back", "missing", "no data"),
    "intrinsics with NaN": (
        camera_with(intrinsics=put((0, 0), np.nan)), "back", "corrupt", "intrinsics: are not fin",
    ),
    "focal length zero": (
        camera_with(intrinsics=put((0, 0), 0)), "back", "corrupt", "focal lengths of 0 and 48 px",
    ),
    "focal length 1e30": (
        camera_with(intrinsics=put((1, 1), 1e30)), "back", "corrupt", "of 48 and 1e+30 px",
    ),
    "focal length negative": (
        camera_with(intrinsics=scaled((0, 0), -1)), "back", "corrupt", "focal lengths of -48",
    ),
    "focal lengths that differ": (
        camera_with(intrinsics=scaled((0, 0), 3)), "back", "corrupt", "144 and 48 px",
    ),
    "intrinsics transposed": (
        camera_with(intrinsics=lambda k: k.T.copy()), "back", "corrupt", "are they transposed?",
    ),
    "principal point outside": (
        camera_with(intrinsics=put((0, 2), 97)), "back", "corrupt", "point at 97, 32 px",
    ),
    "distortion of 1e30": (
        camera_with(distortion=put(0, 1e30)), "back", "corrupt", "a coefficient of 1e+30 is",
    ),
    "distortion of NaN": (camera_with(distortion=put(1, np.nan)), "back", "corrupt", "distortion"),
    "skew of a thousand": (
        camera_with(intrinsics=put((0, 1), 1000.0)), "back", "corrupt", "skew 1000 do not agree",
    ),
    "distortion that folds in the image": (
        camera_with(distortion=put(0, -40.0)), "back", "corrupt", "folds back at",
    ),
    "distortion in pixels": (
        camera_with(distortion=put(2, 3.0)), "back", "corrupt", "p1 and p2 move the edge",
    ),
    "an image of an hour later": (
        camera_with(timestamp_us=3_600_000_000), "back", "corrupt", "3599 s from the frame's",
    ),
    "an image of a year later, a thousand kilometres away": (
        camera_with(timestamp_us=10**13, ego_from_camera=put((0, 3), 1e6)), "back", "corrupt",
        "s from the frame's",
    ),
    "camera pose with NaN": (
        camera_with(ego_from_camera=put((0, 0), np.nan)), "back", "corrupt", "is not finite",
    ),
    "camera pose of zeros": (
        camera_with(ego_from_camera=scaled(ROTATION, 0)), "back", "corrupt", "not orthonormal",
    ),
    "camera pose at 1e30": (
        camera_with(ego_from_camera=put((0, 3), 1e30)), "back", "corrupt", "is 1e+30 m from",
    ),
    "camera pose in millimetres": (
        camera_with(ego_from_camera=scaled((slice(3), 3), 1000)), "back", "corrupt", "give metres",
    ),
    "camera pose mirrored": (
        camera_with(ego_from_camera=scaled((slice(None), 0), -1)), "back", "corrupt", "is a mirror",
    ),
    "camera pose inverted": (
        camera_with(ego_from_camera=np.linalg.inv), "back", "corrupt", "is it inverted?",
    ),
    "camera pose in the ego's axes": (
        camera_with(ego_from_camera=put(ROTATION, np.eye(3))), "back", "corrupt", "on its side",
    ),
    "camera of another time": (
        camera_with(timestamp_us=3_100_000), "back", "stale", "2.000 s after the frame",
    ),
    "points lost": (frame_with(points=None), "lidar", "missing", "no data"),
    "a point of NaN": (points_with(put((3, 1), np.nan)), "lidar", "degraded", "1 not finite"),
    "a point 600 m away": (points_with(put((3, 1), 600)), "lidar", "degraded", "1 beyond 500 m"),
    "a point with intensity 3e38": (
        points_with(put((3, 3), 3e38)), "lidar", "degraded", "1 of 600 points dropped (1 intensity",
    ),
    "a point with intensity below 0": (
        points_with(put((3, 3), -0.5)), "lidar", "degraded", "1 intensity outside 0..10",
    ),
    "a point of an hour ago": (
        points_with(put((3, 4), -3600)), "lidar", "degraded", "1 dt beyond 10 s",
    ),
    "points in millimetres": (
        points_with(scaled((slice(None), slice(3)), 1000)), "lidar", "corrupt", "are they metres",
    ),
    "points in the global frame": (
        points_with(lambda p: p + np.float32([5e5, 5e6, 0, 0, 0])), "lidar", "corrupt", "ego frame",
    ),
    "points of NaN": (points_with(put(..., np.nan)), "lidar", "corrupt", "600 not finite"),
    "intensity times 255": (
        points_with(scaled((slice(None), 3), 255)), "lidar", "corrupt", "have an intensity above 1",
    ),
    "dt in microseconds": (
        points_with(put((slice(None), 4), -50_000)), "lidar", "corrupt", "dt seconds?",
    ),
    "a sweep of a second ago": (
        points_with(put((slice(None), 4), -1)), "lidar", "stale", "1.000 s before the frame",
    ),
}  # fmt: skip


def before() -> Frame:
    """The frame before the wrong one."""
    return make_frame(0)


def wrong(change: Change) -> Any:
    """The wrong frame."""
    return change(make_frame(1))
