"""Content of ROS messages, as rosbags decodes them: images, calibrations, points, transforms.

Functions raise SensorError, which names the bag's topic as a path, for what costs a sensor in a
frame, and ValueError for what no frame can do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leapai.data.bags.bag_file import listed
from leapai.data.reading import SensorError, decoded_image
from leapai.data.reduced_images import reduced_size
from leapai.geometry import poses
from leapai.types import FloatArray, ImageArray

MAX_POINTS = 10_000_000
_FIELD_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""Numbers of sensor_msgs/PointField -> NumPy types without byte order."""
_ENCODINGS = {
    "rgb8": (3, None),
    "bgr8": (3, "COLOR_BGR2RGB"),
    "8UC3": (3, "COLOR_BGR2RGB"),
    "rgba8": (4, "COLOR_RGBA2RGB"),
    "bgra8": (4, "COLOR_BGRA2RGB"),
    "mono8": (1, "COLOR_GRAY2RGB"),
    "8UC1": (1, "COLOR_GRAY2RGB"),
    # OpenCV names a Bayer pattern by its second row.
    "bayer_rggb8": (1, "COLOR_BayerBG2RGB"),
    "bayer_bggr8": (1, "COLOR_BayerRG2RGB"),
    "bayer_gbrg8": (1, "COLOR_BayerGR2RGB"),
    "bayer_grbg8": (1, "COLOR_BayerGB2RGB"),
    "yuv422": (2, "COLOR_YUV2RGB_UYVY"),
    "uyvy": (2, "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": (2, "COLOR_YUV2RGB_YUY2"),
    "yuyv": (2, "COLOR_YUV2RGB_YUY2"),
}
"""Encodings of sensor_msgs/Image -> bytes of a pixel, and OpenCV's conversion."""
_PINHOLE_MODELS = ("plumb_bob", "rational_polynomial", "")


class Lens(NamedTuple):
    """Calibration of a camera, of a CameraInfo."""

    size_px: tuple[int, int]
    """Height, width."""
    intrinsics: FloatArray
    """[3, 3] float64."""
    distortion: FloatArray
    """[5] float64: k1, k2, p1, p2, k3."""
    frame: str
    """Frame that the message names: x right, y down, z forward."""
    frame_from_camera: FloatArray
    """[4, 4] float64: the turn of rectified images within that frame, else the identity."""


def lens_of(info: Any, rectified: bool, name: str) -> Lens:
    """Returns the calibration in a CameraInfo of the topic `name`. Raises ValueError for a lens
    that is no pinhole with five coefficients, for an empty calibration, and for images that are
    only a part of what was calibrated."""
    size_px = (int(info.height), int(info.width))
    _check_whole(info, name)
    frame_from_camera: FloatArray = np.eye(4)
    if rectified:
        matrix: FloatArray = np.array(info.p, np.float64).reshape(3, 4)[:, :3]
        distortion: FloatArray = np.zeros(5)
        frame_from_camera[:3, :3] = _rectification(np.array(info.r, np.float64), name).T
    else:
        matrix = np.array(info.k, np.float64).reshape(3, 3)
        distortion = _five_coefficients(str(info.distortion_model), np.array(info.d), name)
    if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        field = "p" if rectified else "k"
        raise ValueError(
            f"{name}: {field} = {matrix.ravel().tolist()} is no calibration of a camera; calibrate "
            "it, and record the bag again"
        )
    if min(size_px) < 1:
        raise ValueError(f"{name}: height and width are {size_px}; they must be those of the image")
    return Lens(size_px, matrix, distortion, str(info.header.frame_id), frame_from_camera)


def _check_whole(info: Any, name: str) -> None:
    """Raises ValueError where images are binned or cut, which their calibration does not say."""
    roi = info.roi
    part = (roi.x_offset, roi.y_offset, roi.height, roi.width)
    binning = (info.binning_x, info.binning_y)
    if max(binning) > 1 or part not in ((0, 0, 0, 0), (0, 0, info.height, info.width)):
        raise ValueError(
            f"{name}: binning of {binning} and a region of interest {part} leave a part of the "
            "image; calibrate the images as they are recorded"
        )


def _rectification(rows: FloatArray, name: str) -> FloatArray:
    """Returns `rectified_from_frame` [3, 3]; zeros, which are none, become the identity."""
    turn = rows.reshape(3, 3)
    if not turn.any():
        return np.eye(3)
    if not np.isfinite(turn).all() or np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3:
        raise ValueError(f"{name}: r = {rows.tolist()} is no rotation; calibrate the camera again")
    return turn


def _five_coefficients(model: str, given: FloatArray, name: str) -> FloatArray:
    """Returns k1, k2, p1, p2, k3 of a lens model that has them."""
    remedy = "rectify the images (image_proc), name their topic, and set rectified"
    if model not in _PINHOLE_MODELS:
        raise ValueError(f"{name}: distortion_model = {model[:40]!r} is not plumb_bob; {remedy}")
    if not np.isfinite(given).all() or given[5:].any():
        raise ValueError(
            f"{name}: d = {given.tolist()} has more than five coefficients, or some that are not "
            f"finite; {remedy}"
        )
    five = np.zeros(5)
    five[: min(len(given), 5)] = given[:5]
    return five


def image_of(message: Any, topic: Path, size_px: tuple[int, int], factor: int) -> ImageArray:
    """Returns the pixels [H, W, 3] RGB of an Image or CompressedImage of the calibrated `size_px`,
    its sides divided by `factor`. Raises SensorError."""
    if hasattr(message, "format"):
        return decoded_image(bytes(message.data), topic, size_px, factor)
    if (message.height, message.width) != size_px:
        expected = f"{size_px[1]} x {size_px[0]}"
        raise SensorError(
            topic, f"is {message.width} x {message.height} pixels, calibrated for {expected}"
        )
    return _reduced(_raw_image(message, topic), reduced_size(size_px, factor))


def _raw_image(message: Any, topic: Path) -> ImageArray:
    import cv2  # late: only raw images need it

    if message.encoding not in _ENCODINGS:
        raise SensorError(
            topic, f"encoding {message.encoding[:40]!r} is none of {', '.join(_ENCODINGS)}"
        )
    depth, conversion = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.asarray(message.data, np.uint8)
    if step < width * depth or len(data) < height * step:
        raise SensorError(
            topic, f"holds {len(data)} bytes in rows of {step}, too few for {width} x {height}"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * depth]
    pixels = np.ascontiguousarray(rows).reshape(height, width, depth)
    if conversion is None:
        return pixels
    try:
        converted: ImageArray = cv2.cvtColor(pixels, getattr(cv2, conversion))
    except cv2.error as error:  # in YUV 4:2:2, pairs of pixels share colours
        raise SensorError(
            topic, f"encoding {message.encoding!r} does not fit {width} x {height} pixels"
        ) from error
    return converted


def _reduced(image: ImageArray, size_px: tuple[int, int]) -> ImageArray:
    """Returns the image with pixels averaged down to a size (height, width)."""
    import cv2

    if image.shape[:2] == size_px:
        return image
    smaller: ImageArray = cv2.resize(image, size_px[::-1], interpolation=cv2.INTER_AREA)
    return smaller


def cloud_of(message: Any, topic: Path, fields: Mapping[str, bool]) -> dict[str, FloatArray]:
    """Returns fields of a PointCloud2, each [P], of the points whose x, y and z are finite. A field
    is required where its value is true, and left out where there is none. Raises SensorError."""
    there = {field.name: field for field in message.fields}
    missing = [name for name, required in fields.items() if required and name not in there]
    if missing:
        raise SensorError(topic, f"has no field {missing[0]!r} among {listed(there)}; name another")
    table = _table_of(message, topic, [there[name] for name in fields if name in there])
    columns = {name: table[name] for name in table.dtype.names or ()}
    finite = np.isfinite(columns["x"]) & np.isfinite(columns["y"]) & np.isfinite(columns["z"])
    return {name: column[finite] for name, column in columns.items()}


def _table_of(message: Any, topic: Path, fields: list[Any]) -> np.ndarray:
    """Returns the points as a structured array [P] with these fields."""
    step, row_step = int(message.point_step), int(message.row_step)
    height, width = int(message.height), int(message.width)
    order = ">" if message.is_bigendian else "<"
    data = np.asarray(message.data, np.uint8)
    for field in fields:
        kind = _FIELD_TYPES.get(field.datatype)
        if kind is None or field.offset + int(kind[1]) > step:
            raise SensorError(
                topic,
                f"field {field.name!r} of type {field.datatype} at byte {field.offset} lies "
                f"outside of a point of {step} bytes",
            )
    if height * width > MAX_POINTS or row_step < width * step or len(data) < height * row_step:
        raise SensorError(
            topic, f"holds {len(data)} bytes, which are not {height} x {width} points of {step}"
        )
    rows = data[: height * row_step].reshape(height, row_step)[:, : width * step]
    layout = np.dtype(
        {
            "names": [field.name for field in fields],
            "formats": [order + _FIELD_TYPES[field.datatype] for field in fields],
            "offsets": [int(field.offset) for field in fields],
            "itemsize": step,
        }
    )
    return np.ascontiguousarray(rows).reshape(-1).view(layout)


def transform_of(rotation: Any, translation: Any) -> FloatArray | None:
    """Returns a pose [4, 4] of a Quaternion and a Vector3 or Point; None where it is none: it is
    not finite, or the quaternion zero."""
    xyzw = [float(getattr(rotation, axis)) for axis in "xyzw"]
    xyz = [float(getattr(translation, axis)) for axis in "xyz"]
    length = float(np.linalg.norm(xyzw))
    if not np.isfinite([*xyz, length]).all() or length < 0.5:
        return None
    return poses.from_quaternion(np.array([xyzw[3], *xyzw[:3]]), np.array(xyz))
