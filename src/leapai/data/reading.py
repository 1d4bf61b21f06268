"""Functions that readers share: tables that must be right, sensors that may fail, velocities."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from leapai.data.cache_sources import note_file
from leapai.geometry import poses
from leapai.types import FloatArray, ImageArray, IntArray

_logger = logging.getLogger(__name__)


class AnnotatedBoxes(NamedTuple):
    """Every box of one frame as recorded, also those whose class has no counterpart here."""

    ego_from_box: FloatArray
    """[N, 4, 4] float64. Labels are upright; a recorded box may be tilted against the ego frame."""
    size_lwh_m: FloatArray
    """[N, 3] float64."""
    words: tuple[str, ...]
    """[N] the publisher's own classes."""
    class_id: IntArray
    """[N] int64, index into `CLASS_NAMES`; -1: no counterpart."""
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
        words = f"{sensor}: {fault.path.relative_to(self._root)}: {fault.problem}"
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


def read_bytes(path: Path) -> bytes:
    """Returns the content of a sensor file. Raises SensorError where there is none."""
    note_file(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise SensorError(path, f"cannot be read ({error.strerror})") from error
    if not content:
        raise SensorError(path, "holds no bytes")
    return content


def read_image(path: Path, size_px: tuple[int, int]) -> ImageArray:
    """Reads an image [H, W, 3] RGB of the calibrated `size_px` (height, width). Raises SensorError.

    Pillow decodes it, because it refuses a truncated file that OpenCV fills up with grey.
    """
    content = read_bytes(path)
    try:
        with Image.open(io.BytesIO(content)) as encoded:
            image = np.array(encoded.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise SensorError(path, "cannot be decoded") from error
    if image.shape[:2] != size_px:
        height, width = image.shape[:2]
        expected = f"{size_px[1]} x {size_px[0]}"
        raise SensorError(path, f"is {width} x {height} pixels, calibrated for {expected}")
    return image


def read_json(path: Path, remedy: str) -> Any:
    """Returns the content of a JSON table. Raises ValueError with the file and the `remedy`."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); {remedy}") from None


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


def central_velocity(
    position_m: FloatArray,
    time_us: IntArray,
    before: IntArray,
    after: IntArray,
    max_gap_s: float,
) -> FloatArray:
    """Returns velocities [M, 3] of annotations from their neighbours in the same track, NaN where
    unknown.

    `before` and `after` [M] are rows of the neighbours, -1 where the track begins or ends: there
    the difference is one-sided. Each side may lie `max_gap_s` away at most. Positions [M, 3] are of
    a frame that stands still. (The rule of the nuScenes devkit, `NuScenes.box_velocity`.)
    """
    row = np.arange(len(position_m))
    first, last = np.where(before >= 0, before, row), np.where(after >= 0, after, row)
    sides = (before >= 0).astype(int) + (after >= 0)
    seconds = (time_us[last] - time_us[first]) / 1e6
    known = (seconds > 0) & (seconds <= max_gap_s * sides)
    velocity = np.full(position_m.shape, np.nan)
    difference = (position_m[last] - position_m[first])[known]
    velocity[known] = difference / seconds[known, None]
    return velocity
