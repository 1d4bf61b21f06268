"""`check_frame`: the contract of a `Frame`, checked where frames enter the system.

What does not fit the type, and a pose that cannot be, is an error that names sequence, time, field,
value and remedy. What a sensor got wrong costs that sensor, or the points concerned, and is a fault
of the frame, which `streaming/sensor_health.py` reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from leapai.data.frame_errors import FrameError, check_array, is_whole, shown
from leapai.data.label_bounds import checked_labels
from leapai.data.sensor_bounds import (
    LIDAR,
    MAX_SPEED_MPS,
    checked_camera,
    checked_points,
    rigid_problem,
)
from leapai.types import CAMERA_GROUPS, CameraFrame, FloatArray, Frame

__all__ = ["FrameError", "check_frame"]
MAX_TIME_US = 10**18
"""Nanoseconds of Unix time lie beyond since 2001; microseconds never will."""
MIN_INTERVAL_US = 1_000
"""No sensor of a vehicle gives a thousand frames a second: times closer than this are in
milliseconds."""
MAX_GAP_US = 2_000_000
"""Time between frames after which poses are not compared; memory is dropped by default, too. So a
stream whose frames are refused goes on after this time wherever the ego is."""
MAX_POSITION_M = 1e8
"""Every global frame in use stays below: coordinates from the Earth's centre reach 6.4e6 m."""
MAX_FLOAT32_POSITION_M = 1e4
"""From here on, float32 no longer resolves a millimetre."""
SLACK_M = 2.0
"""Corrections of localisation between two frames, which are no motion."""
MAX_TURN_RPS, SLACK_RAD = 3.0, 0.5
"""Rate at which a skidding vehicle turns, and corrections of localisation."""
MAX_SIDE_PX = 16_384
"""Side of an image: no camera of a vehicle has more."""
MAX_SIDES = 20.0
"""Ratio of the sides of an image. A strip would be scaled until its shorter side fits the network,
which takes gigabytes."""
MAX_NAME = 1000
"""Letters of the name of a sequence or a camera."""


class Posed(Protocol):
    """Anything with the sequence, time and pose of the ego: frames and detections are."""

    @property
    def sequence(self) -> str:
        """Name of the sequence."""
        ...

    @property
    def timestamp_us(self) -> int:
        """Time in microseconds."""
        ...

    @property
    def ego2global(self) -> FloatArray:
        """[4, 4] float64."""
        ...


def check_frame(
    frame: Frame, last: Posed | None = None, groups: Mapping[str, str] | None = None
) -> Frame:
    """Returns the frame as it can be used: without points that are out of bounds, and without the
    images of cameras whose data or calibration is; what was left out is added to its `faults`.

    `last` is the frame before, or anything else with its sequence, time and pose: then the motion
    between both is checked, too. `groups` replaces groups of cameras by name, as `camera.groups`
    of a configuration does. A frame in order comes back with equal values. Raises FrameError, which
    is a ValueError, where the frame does not fit its type or its pose cannot be.

    >>> import leapai
    >>> log = leapai.open_logs("synthetic:frames=2,rate_hz=4", image_size_px=(128, 240))[0]
    >>> leapai.check_frame(log[1], last=log[0]).faults
    ()
    """
    if not isinstance(frame, Frame):
        raise FrameError(f"a frame is a leapai.Frame, not a {type(frame).__name__}")
    try:
        _check_place(frame)
        if last is not None and last.sequence == frame.sequence:
            _check_motion(frame, last)
        return _usable(frame, groups or {})
    except FrameError as error:
        name = frame.sequence if _is_name(frame.sequence) else shown(frame.sequence)
        raise FrameError(f"{name} at {shown(frame.timestamp_us)} us: {error}") from None


def _check_place(frame: Frame) -> None:
    """Checks what places the frame: sequence, time and pose."""
    if not _is_name(frame.sequence):
        raise FrameError(f"sequence is {shown(frame.sequence)}; give a name, a str")
    _check_time("timestamp_us", frame.timestamp_us)
    pose = frame.ego2global
    check_array("ego2global", pose, (4, 4), "f", "give global_from_ego as float64")
    problem = rigid_problem(pose)
    if problem:
        raise FrameError(f"ego2global {problem}; give a rigid transform, rotation and metres")
    furthest_m = float(np.abs(pose[:3, 3]).max())
    if furthest_m > MAX_POSITION_M:
        raise FrameError(f"ego2global lies {furthest_m:.4g} m from the origin; give metres")
    if furthest_m > MAX_FLOAT32_POSITION_M and pose.dtype.itemsize < np.dtype(np.float64).itemsize:
        raise FrameError(
            f"ego2global is {pose.dtype} and {furthest_m:.4g} m from the origin, which costs "
            "centimetres; give float64"
        )


def _is_name(value: object) -> bool:
    """Returns whether a value is a text that files can hold; half of a pair of surrogates is
    none."""
    is_text = isinstance(value, str) and 0 < len(value) <= MAX_NAME
    return is_text and not any("\ud800" <= letter <= "\udfff" for letter in str(value))


def _check_time(name: str, time_us: object) -> None:
    if not is_whole(time_us):
        raise FrameError(
            f"{name} is {shown(time_us)}, a {type(time_us).__name__}; give whole microseconds, "
            "an int"
        )
    if not 0 <= int(time_us) <= MAX_TIME_US:  # type: ignore[call-overload]
        raise FrameError(f"{name} is {time_us}; give microseconds (are these nanoseconds?)")


def _check_motion(frame: Frame, last: Posed) -> None:
    """Checks the speed that two poses imply. Memory starts anew where time runs backwards, or after
    a gap, so there the ego may be anywhere."""
    interval_us = int(frame.timestamp_us) - int(last.timestamp_us)
    if 0 < interval_us < MIN_INTERVAL_US:
        raise FrameError(
            f"timestamp_us is {interval_us} us after the frame before; give microseconds (are "
            "these milliseconds or seconds?)"
        )
    if not 0 <= interval_us <= MAX_GAP_US:
        return
    interval_s = interval_us / 1e6
    then, now = (np.asarray(each.ego2global, np.float64) for each in (last, frame))
    moved_m = float(np.linalg.norm(now[:3, 3] - then[:3, 3]))
    if moved_m > SLACK_M + MAX_SPEED_MPS * interval_s:
        raise FrameError(
            f"ego2global moved by {moved_m:.4g} m in {interval_s:.3f} s; correct the pose or the "
            "time, or begin another sequence where the ego starts elsewhere"
        )
    # The trace of a rotation is 1 + 2 cos(angle).
    cosine = (float((now[:3, :3] * then[:3, :3]).sum()) - 1) / 2
    turned_rad = float(np.arccos(np.clip(cosine, -1, 1)))
    if turned_rad > SLACK_RAD + MAX_TURN_RPS * interval_s:
        raise FrameError(
            f"ego2global turned by {np.rad2deg(turned_rad):.0f} degrees in {interval_s:.3f} s; "
            "correct the rotation (order of the quaternion, sign of the yaw)"
        )


def _usable(frame: Frame, groups: Mapping[str, str]) -> Frame:
    """Returns the frame with what its sensors and labels have within bounds."""
    _check_faults(frame.faults)
    _check_cameras(frame.cameras, groups)
    faults: list[str] = []
    cameras = []
    for camera in frame.cameras:
        group = groups.get(camera.name, camera.group)
        regrouped = camera if group == camera.group else replace(camera, group=group)
        checked, problem = checked_camera(regrouped, int(frame.timestamp_us))
        cameras.append(checked)
        faults += [f"{camera.name}: {problem}"] if problem else []
    points, labels = frame.points, frame.labels
    if points is not None:
        remedy = "give [P, 5]: x y z in m, intensity in [0, 1], dt in s (zeros where unknown)"
        check_array("points", points, (None, 5), "f", remedy)
        points, problem = checked_points(points)
        faults += [f"{LIDAR}: {problem}"] if problem else []
    if labels is not None:
        labels, problem = checked_labels(labels)
        faults += [f"labels: {problem}"] if problem else []
    # New faults stand first: of each sensor the first is reported.
    faults += frame.faults
    return replace(
        frame, cameras=tuple(cameras), points=points, labels=labels, faults=tuple(faults)
    )


def _check_faults(faults: object) -> None:
    is_tuple = isinstance(faults, Sequence) and not isinstance(faults, str)
    if not is_tuple or not all(isinstance(fault, str) for fault in faults):  # type: ignore[attr-defined]
        remedy = "give a tuple of str, such as ('back: no file',)"
        raise FrameError(f"faults is {shown(faults)}; {remedy}")


def _check_cameras(cameras: object, groups: Mapping[str, str]) -> None:
    if not isinstance(cameras, Sequence):
        raise FrameError(f"cameras is a {type(cameras).__name__}; give a tuple of CameraFrame")
    names: set[str] = set()
    for number, camera in enumerate(cameras):
        if not isinstance(camera, CameraFrame):
            kind = type(camera).__name__
            raise FrameError(f"cameras[{number}] is a {kind}; give a leapai.CameraFrame")
        name = camera.name
        if not _is_name(name) or ": " in name or name in names | {LIDAR}:
            raise FrameError(
                f"cameras[{number}].name is {shown(name)}; give every camera a name of its own, "
                f"without ': ', other than '{LIDAR}'"
            )
        names.add(name)
        try:
            _check_camera(camera, groups)
        except FrameError as error:
            raise FrameError(f"camera {name}: {error}") from None


def _check_camera(camera: CameraFrame, groups: Mapping[str, str]) -> None:
    """Checks the form of one camera."""
    group = groups.get(camera.name, camera.group)
    if not isinstance(group, str) or group not in CAMERA_GROUPS:
        raise FrameError(f"group is {shown(group)}; give one of {', '.join(CAMERA_GROUPS)}")
    size = camera.size_px
    is_pair = isinstance(size, Sequence) and len(size) == 2 and all(is_whole(s) for s in size)
    if not is_pair or not all(0 < side <= MAX_SIDE_PX for side in size):
        raise FrameError(
            f"size_px is {shown(size)}; give (height, width) in pixels, two positive ints"
        )
    if max(size) > MAX_SIDES * min(size):
        raise FrameError(f"size_px is {size!r}; give (height, width) of a camera, not of a strip")
    if camera.pixel_labels is not None:
        raise FrameError(
            f"pixel_labels is {shown(camera.pixel_labels)}; leave it out: training makes it"
        )
    check_array("intrinsics", camera.intrinsics, (3, 3), "f", "give float64")
    lens = "give k1, k2, p1, p2, k3 of OpenCV's model as float64, zeros for a rectified image"
    check_array("distortion", camera.distortion, (5,), "f", lens)
    check_array("ego_from_camera", camera.ego_from_camera, (4, 4), "f", "give float64")
    _check_time("timestamp_us", camera.timestamp_us)
    if camera.image is not None:
        _check_image(camera.image, size)


def _check_image(image: object, size_px: Sequence[int]) -> None:
    remedy = (
        "give [H, W, 3] RGB of uint8, 0 to 255, without alpha, or None for a camera that failed"
    )
    check_array("image", image, (None, None, 3), "u", remedy)
    assert isinstance(image, np.ndarray)
    if image.dtype != np.uint8:
        raise FrameError(f"image is of type {image.dtype}, not uint8; {remedy}")
    height, width = image.shape[:2]
    if height != width and (width, height) == tuple(size_px):
        raise FrameError(
            f"size_px is {tuple(size_px)}, and the image {width} pixels wide and {height} high; "
            "give (height, width)"
        )
