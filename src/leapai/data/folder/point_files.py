"""LiDAR sweeps in files: `.bin` (float32), `.npy` and `.pcd`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from leapai.data.reading import SensorError, read_bytes
from leapai.extras import import_extra
from leapai.types import FloatArray

PLAIN = ("x", "y", "z", "intensity")
NUSCENES = (*PLAIN, "ring")
_INTENSITY_SCALES = (1.0, 255.0, 65535.0)


def read_sweep(path: Path, columns: tuple[str, ...] | None) -> dict[str, FloatArray]:
    """Reads a sweep; returns its columns [P] by name, `x`, `y` and `z` among them.

    `columns` are those of `.bin` and `.npy`; None: x y z intensity, and a ring where the name ends
    with `.pcd.bin` as in nuScenes. A `.pcd` names its own, and points that it marks as invalid
    (NaN) are left out. Raises SensorError for a file that cannot be used, and ValueError where
    pypcd4, which reads `.pcd`, is not installed.
    """
    name = path.name.lower()
    if name.endswith(".bin"):
        return _read_bin(path, columns or (NUSCENES if name.endswith(".pcd.bin") else PLAIN))
    return _read_pcd(path) if name.endswith(".pcd") else _read_npy(path, columns)


def likely_intensity_max(intensity: FloatArray) -> float:
    """Returns the full scale that intensities [P] look like: 1, 255 or 65535."""
    highest = float(np.max(intensity, initial=0.0, where=np.isfinite(intensity)))
    return next((scale for scale in _INTENSITY_SCALES if highest <= scale), highest)


def _read_bin(path: Path, columns: tuple[str, ...]) -> dict[str, FloatArray]:
    content = read_bytes(path)
    size = 4 * len(columns)
    if len(content) % size:
        raise SensorError(
            path,
            f"holds {len(content)} bytes, which are no whole points of {len(columns)} float32 "
            f"({' '.join(columns)}); it is truncated, or has other columns: name them as "
            "lidar.columns in the calibration",
        )
    return dict(
        zip(columns, np.frombuffer(content, "<f4").reshape(-1, len(columns)).T, strict=True)
    )


def _read_npy(path: Path, columns: tuple[str, ...] | None) -> dict[str, FloatArray]:
    content = read_bytes(path)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # whatever the parsers of its header raise where it is damaged
        raise SensorError(path, "is not a whole .npy file of numbers") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        raise SensorError(path, "is no array of numbers [points, columns]")
    names = columns or PLAIN[: array.shape[1]]
    if not 3 <= len(names) <= array.shape[1]:
        raise SensorError(
            path,
            f"has {array.shape[1]} columns, for {' '.join(names)}; name its columns as "
            "lidar.columns in the calibration",
        )
    with np.errstate(all="ignore"):  # what is too large becomes infinite, and is dropped
        return dict(zip(names, array.T.astype(np.float32), strict=False))


def _read_pcd(path: Path) -> dict[str, FloatArray]:
    pypcd4 = import_extra("pypcd4", "pcd", "a .pcd file needs pypcd4")
    content = read_bytes(path)
    try:
        cloud = pypcd4.PointCloud.from_fileobj(io.BytesIO(content))
        names = [name for name in ("x", "y", "z", "intensity", "dt_s") if name in cloud.fields]
        with np.errstate(all="ignore"):  # what is too large becomes infinite, and is left out
            table = np.asarray(cloud.numpy(names), np.float32)
    except Exception as error:  # whatever its parser raises for a file that is damaged
        raise SensorError(path, "cannot be decoded as a PCD file") from error
    if not {"x", "y", "z"} <= set(names):
        raise SensorError(path, f"has no x, y and z among its fields: {', '.join(cloud.fields)}")
    return dict(zip(names, table[np.isfinite(table[:, :3]).all(1)].T, strict=True))
