"""Functions that readers share: tables that must be right, sensors that may fail, velocities."""

from __future__ import annotations

import errno
import io
import json
import logging
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from leapai.data.cache_sources import note_file
from leapai.data.reduced_images import reduced_size
from leapai.geometry import poses
from leapai.types import FloatArray, ImageArray, IntArray

_logger = logging.getLogger(__name__)
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM")
"""Formats that cameras write; Pillow's decoders of rarer ones are not offered foreign bytes."""
MAX_SENSOR_BYTES = 1 << 30
"""Largest file of a sensor: ten million points, or an image of 16 384 x 16 384 pixels, fit."""
_LOOKED_AT = 1000
"""Points of a sweep whose distance is looked at."""
MAX_MEDIAN_RANGE_M = 500.0
"""Half of a sweep is nearer, on any vehicle, by far."""


class AnnotatedBoxes(NamedTuple):
    """Every box of one frame as recorded, also those whose class has no counterpart here."""

    ego_from_box: FloatArray
    """[N, 4, 4] float64. Labels are upright; a recorded box may be tilted against the ego frame."""
    size_lwh_m: FloatArray
    """[N, 3] float64."""
    words: tuple[str, ...]
    """[N] the publisher's own classes."""
    class_id: IntArray
    """[N] int64, index into the names of the log's vocabulary; -1: no counterpart."""
    num_lidar_points: IntArray
    """[N] int64 points in the box as recorded; -1: not recorded, or not comparable."""

    @property
    def upright(self) -> FloatArray:
        """Upright boxes [N, 7] in the ego frame."""
        yaw = poses.yaw_of(self.ego_from_box)[:, None]
        return np.concatenate([self.ego_from_box[:, :3, 3], self.size_lwh_m, yaw], -1)


class SensorError(Exception):
    """A sensor file that cannot be used. The frame goes on without the sensor.

    `named_as` is what the log file names once: the file, or the folder of a file that is not there.
    """

    def __init__(self, path: Path, problem: str, named_as: Path | None = None) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem
        self.named_as = named_as or path


class FaultLog:
    """Turns faults into the words of `Frame.faults`, and warns once about each file or folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._named: set[Path] = set()

    def note(self, sensor: str, fault: SensorError) -> str:
        """Returns words such as `CAM_BACK: samples/CAM_BACK/x.jpg: cannot be decoded`."""
        inside = fault.path.is_relative_to(self._root)
        path = fault.path.relative_to(self._root) if inside else fault.path
        words = f"{sensor}: {path}: {fault.problem}"
        if fault.named_as not in self._named:
            self._named.add(fault.named_as)
            more = "" if fault.named_as == fault.path else " (others of this folder are not named)"
            _logger.warning("%s: %s%s; frames go on without it", self._root, words, more)
        return words


def missing(path: Path) -> SensorError:
    """Returns the fault of a missing `path`, or of the topmost missing folder above it."""
    if path.parent.exists():
        return SensorError(path, "no such file", named_as=path.parent)
    while not path.parent.exists():
        path = path.parent
    return SensorError(path, "no such folder")


@contextmanager
def opened_regular(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to be read in parts. Raises OSError as `regular_bytes` does."""
    _check_regular(path, None)
    with path.open("rb") as file:
        yield file


def regular_bytes(path: Path, most: int | None = None) -> bytes:
    """Returns the content of a file of at most `most` bytes. Raises OSError where it is larger, or
    is a pipe or a device: reading one waits for ever, or does not end."""
    _check_regular(path, most)
    return path.read_bytes()


def _check_regular(path: Path, most: int | None) -> None:
    state = path.stat()
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        raise OSError(errno.EINVAL, "is a pipe or a device, no file")
    if most is not None and state.st_size > most:
        raise OSError(errno.EFBIG, f"has {state.st_size:,} bytes, at most {most:,} are read")


def read_bytes(path: Path) -> bytes:
    """Returns the content of a sensor file. Raises SensorError where there is none."""
    note_file(path)
    try:
        content = regular_bytes(path, MAX_SENSOR_BYTES)
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        raise SensorError(path, f"cannot be read ({getattr(error, 'strerror', error)})") from error
    if not content:
        raise SensorError(path, "holds no bytes")
    return content


def read_image(path: Path, size_px: tuple[int, int], factor: int = 1) -> ImageArray:
    """Reads an image file, as `decoded_image` does. Raises SensorError."""
    return decoded_image(read_bytes(path), path, size_px, factor)


def decoded_image(
    content: bytes, path: Path, size_px: tuple[int, int], factor: int = 1
) -> ImageArray:
    """Decodes an image [H, W, 3] RGB of the calibrated `size_px` (height, width), its sides divided
    by a `factor` of 1, 2, 4 or 8 (`reduced_size`). Raises SensorError, which names `path`.

    Its header comes first: an image of another size is refused before it takes any memory. One that
    is marked as rotated (EXIF) is refused, too, because the calibration may be that of either. A
    truncated file is refused, which OpenCV would fill up with grey.
    """
    try:
        with _opened(content) as encoded:
            width, height = encoded.size
            if (height, width) != size_px:
                expected = f"{size_px[1]} x {size_px[0]}"
                raise SensorError(path, f"is {width} x {height} pixels, calibrated for {expected}")
            turned = encoded.getexif().get(ExifTags.Base.Orientation, 1)
            if turned != 1:
                raise SensorError(
                    path,
                    f"is marked as rotated (EXIF orientation {turned}); "
                    "write it the way the camera is calibrated, and remove the mark",
                )
            if encoded.mode == "F":
                raise SensorError(path, "holds floats, of which the white point is not known")
            small_px = reduced_size(size_px, factor)
            pixels = _whole_jpeg(content, small_px) if encoded.format == "JPEG" else None
            return _rgb(encoded, factor) if pixels is None else pixels
    except Image.DecompressionBombError:
        raise SensorError(path, "claims more pixels than any camera has") from None
    except _UNREADABLE as error:
        raise SensorError(path, "cannot be decoded") from error


_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error),
    *(EOFError, OverflowError, MemoryError, ZeroDivisionError, AttributeError, RuntimeError),
)
"""Errors that Pillow's decoders raise on damaged files."""
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def _opened(content: bytes) -> Image.Image:
    """Opens an encoded image without decoding it. Pillow's warning of many pixels is not needed, as
    the size is compared with the calibration; its error stays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)


def _whole_jpeg(content: bytes, size_px: tuple[int, int]) -> ImageArray | None:
    """Decodes a JPEG [H, W, 3] at the scale that gives `size_px`, leaving finer details out where
    it is reduced. At full scale the pixels are those of `_rgb`, which copies them several times
    and takes four times as long. None: there is anything unusual, such as a damage that `_rgb`
    accepts."""
    height, width = size_px
    try:
        pixels: ImageArray = simplejpeg.decode_jpeg(
            content, "RGB", min_height=height, min_width=width, strict=True
        )
    except ValueError:
        return None
    return pixels if pixels.shape[:2] == size_px else None


def _rgb(encoded: Image.Image, factor: int) -> ImageArray:
    """Decodes an image [H, W, 3] of 8 bits, and averages `factor` x `factor` pixels. One of 16 bits
    is scaled; transparency is dropped; grey, palette and CMYK become RGB."""
    if encoded.mode in _SIXTEEN_BITS:
        # Scaled as libpng does: 65535 becomes 255.
        values = np.asarray(encoded, np.uint32).clip(0, 65_535)
        grey = ((values * 255 + 32_767) // 65_535).astype(np.uint8)
        colours = Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))
    else:
        colours = encoded.convert("RGB")
    return np.array(colours.reduce(factor) if factor > 1 else colours)


def check_range(xyz: FloatArray, path: Path) -> None:
    """Raises SensorError where points [P, 3] are not in metres."""
    if not len(xyz):
        return
    some = xyz[:: max(len(xyz) // _LOOKED_AT, 1)]  # as good as all, in a twentieth of the time
    middle = float(np.median(np.abs(some).max(-1)))
    if middle > MAX_MEDIAN_RANGE_M:
        raise SensorError(
            path, f"half of its points are over {middle:.0f} m away: are they in millimetres?"
        )


def read_json(path: Path, remedy: str) -> Any:
    """Returns the content of a JSON table. Raises ValueError with the file and the `remedy`."""
    with json_errors(path, remedy):
        return json.loads(regular_bytes(path))


@contextmanager
def json_errors(path: Path, remedy: str) -> Iterator[None]:
    """Makes a ValueError, with the file and the `remedy`, of what reading JSON raises."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {remedy}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError) as error:
        words = "lists in lists" if isinstance(error, RecursionError) else str(error)[:200]
        raise ValueError(f"{path} is not valid JSON ({words}); {remedy}") from None


def checked_poses(
    wxyz: Sequence[Sequence[float]] | FloatArray,
    translation_m: Sequence[Sequence[float]] | FloatArray,
    path: Path,
    row_names: Sequence[object],
) -> FloatArray:
    """Returns poses [N, 4, 4] float64 from quaternions [N, 4] and translations [N, 3] of the table
    `path`.

    Raises ValueError that names file and row where a number is not finite or the quaternion zero.
    """
    rotation = np.array(wxyz, np.float64).reshape(-1, 4)
    translation = np.array(translation_m, np.float64).reshape(-1, 3)
    length = np.linalg.norm(rotation, axis=-1)
    bad = np.flatnonzero(~np.isfinite(translation.sum(-1) + length) | (length == 0))
    if len(bad):
        i = bad[0]
        raise ValueError(
            f"{path}: row {row_names[i]}: the pose is not finite (rotation {rotation[i].tolist()}, "
            f"translation {translation[i].tolist()}); get the file again, or leave this drive out"
        )
    return poses.from_quaternion(rotation, translation)


MAX_SPEED_MPS = 100.0
"""Fastest object of traffic; two annotations that imply more are not of one object."""


def central_velocity(
    position_m: FloatArray, time_us: IntArray, track: IntArray, max_gap_s: float
) -> FloatArray:
    """Returns velocities [M, 3] of annotations from their neighbours in the same track [M], NaN
    where unknown.

    Where a track begins or ends the difference is one-sided. Each side may lie `max_gap_s` away at
    most. Positions [M, 3] are of a frame that stands still. (The rule of the nuScenes devkit,
    `NuScenes.box_velocity`.)
    """
    order = np.lexsort((time_us, track))
    same = np.diff(track[order]) == 0
    first, last = np.arange(len(order)), np.arange(len(order))
    first[order[1:][same]] = order[:-1][same]
    last[order[:-1][same]] = order[1:][same]
    sides = (first != np.arange(len(order))).astype(int) + (last != np.arange(len(order)))
    seconds = (time_us[last] - time_us[first]) / 1e6
    known = (seconds > 0) & (seconds <= max_gap_s * sides)
    velocity = np.full(position_m.shape, np.nan)
    difference = (position_m[last] - position_m[first])[known]
    velocity[known] = difference / seconds[known, None]
    velocity[(np.abs(velocity) > MAX_SPEED_MPS).any(-1)] = np.nan
    return velocity
