"""KITTI: drives of the tracking benchmark (https://www.cvlibs.net/datasets/kitti/eval_tracking.php)
and raw recordings (`kitti_raw.py`).

`kitti:ROOT`. Of the benchmark ROOT holds `training/` and `testing/`, or is one of them: `calib/`,
`oxts/`, `velodyne/`, `image_02/`, `image_03/` and, for training, `label_02/`. Its frames have no
times: they are 0.1 s apart, as they were recorded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from leapai.data.data_names import local_tables
from leapai.data.folder.folder_reader import FolderLog
from leapai.data.folder.sequence_files import SequenceFiles
from leapai.data.folder.timed_files import TimedFiles
from leapai.data.kitti_log import (
    CAMERAS,
    CLASS_OF,
    OCCLUSION,
    PLACE_M,
    POSE,
    YAW_RAD,
    KittiLog,
    calibration,
    check_classes,
    labels_by_frame,
    motion,
)
from leapai.data.kitti_raw import TIMES, is_extract, raw_log
from leapai.data.kitti_tables import REMEDY, NamedNumbers, numbers, rows
from leapai.data.label_bounds import SIZES_M
from leapai.data.log import OpenOptions
from leapai.geometry import poses
from leapai.types import FloatArray

_STEP_US, _MAX_TRACK = 100_000, 1_000_000
_SIZE_PX = (375, 1242)
"""Height, width of most images, where the first cannot tell."""
_BOX = {
    **dict.fromkeys(("height", "width", "length"), SIZES_M),
    **dict.fromkeys("xyz", PLACE_M),
    "rotation_y": YAW_RAD,
}


def open_logs(location: str, options: OpenOptions) -> list[KittiLog]:
    """Opens the drives under a folder. Raises ValueError where there is none, for an address of
    another machine, and for tables that are missing or damaged."""
    found = local_tables(location, "kitti")
    # Each folder needs a name of its own, which `..` is not.
    paths = [path.resolve() if ".." in path.parts else path.absolute() for path in found]
    if not paths:
        raise ValueError(
            f"kitti:{location}: there is no drive; give the folder of the tracking benchmark, with "
            "training/ and testing/, each with calib/, oxts/, velodyne/ and image_02/, or that of "
            "raw recordings, with DATE/DATE_drive_NUMBER_sync/"
        )
    return [
        raw_log(path.parents[1], options)
        if path.name == TIMES
        else _tracking_log(path.parents[1], path.stem, options)
        for path in [path for path in paths if not is_extract(path.parents[1])] or paths
    ]


def _tracking_log(split: Path, number: str, options: OpenOptions) -> KittiLog:
    path = split / "oxts" / f"{number}.txt"
    table = numbers(path, {name: row[:6] for name, row in rows(path).items()}, POSE)
    if not len(table):
        raise ValueError(f"{path}: has no row; {REMEDY}")
    global_from_ego = motion(table)
    times = np.arange(len(global_from_ego), dtype=np.int64) * _STEP_US

    def files(folder: str, suffix: str) -> TimedFiles:
        names = [split / folder / number / f"{i:06}{suffix}" for i in range(len(times))]
        return TimedFiles(names, times)

    images = {name: files(name, ".png") for name in CAMERAS if (split / name / number).is_dir()}
    given = NamedNumbers(split / "calib" / f"{number}.txt")
    rect_from_lidar = given.rigid(3, "R_rect", "R0_rect")
    rect_from_lidar = rect_from_lidar @ given.rigid(4, "Tr_velo_cam", "Tr_velo_to_cam")
    sizes = {name: _size_px(of_camera.paths[0]) for name, of_camera in images.items()}
    cameras = {
        name: (given.projection(f"P{name[-1]}", size_px), size_px)
        for name, size_px in sizes.items()
    }
    lidar_from_imu = given.rigid(4, "Tr_imu_velo", "Tr_imu_to_velo")
    mounts = calibration(given.path, rect_from_lidar, lidar_from_imu, cameras)
    sensors = SequenceFiles(split, files("velodyne", ".bin"), images)
    log = FolderLog(f"{split.name}-{number}", mounts, sensors)
    log.least_image_px = options.least_image_px
    path, labels = split / "label_02" / f"{number}.txt", None
    if path.parent.is_dir():
        ego_from_rect = mounts.lidar.pose() @ poses.invert(rect_from_lidar)
        words, table = _objects(path, len(times), ego_from_rect)
        labels = labels_by_frame(words, table, global_from_ego, times)
    folders = tuple(split / folder for folder in ("calib", "oxts", "label_02"))
    return KittiLog(log, folders, global_from_ego, labels)


def _objects(path: Path, frames: int, ego_from_rect: FloatArray) -> tuple[list[str], FloatArray]:
    """Returns classes and rows of the objects as `labels_by_frame` takes them."""
    table = rows(path)
    words = {name: " ".join(row[2:3]) for name, row in table.items()}
    check_classes(path, words.values())
    used = {
        name: row[:2] + row[4:5] + row[10:17]
        for name, row in table.items()
        if words[name] in CLASS_OF
    }
    keys = {"frame": range(frames), "track": range(-1, _MAX_TRACK + 1), "occluded": OCCLUSION}
    found = numbers(path, used, {**keys, **_BOX})
    size_hwl_m, on_ground, turn = found[:, 3:6], found[:, 6:9], found[:, 9]
    # In the axes of a camera y is down; the turn is about it, from x.
    centre = poses.apply(ego_from_rect, on_ground - size_hwl_m[:, :1] / 2 * [0, 1, 0])
    ahead = np.stack([np.cos(turn), 0 * turn, -np.sin(turn)], -1) @ ego_from_rect[:3, :3].T
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    boxes = np.column_stack([centre, size_hwl_m[:, ::-1], yaw])
    return [words[name] for name in used], np.hstack([found[:, :3], boxes])


def _size_px(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return _SIZE_PX
