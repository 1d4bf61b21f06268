"""Raw recordings of KITTI (https://www.cvlibs.net/datasets/kitti/raw_data.php), synchronised and
rectified: a folder of dates, a date or a drive.

`DATE/DATE_drive_NUMBER_sync/` holds `oxts/`, `image_02/`, `image_03/`, `velodyne_points/` and,
where objects are labelled, `tracklet_labels.xml`; `DATE/` holds the calibration. Files of one
number are one frame. Its time is that of its pose, by a clock whose time zone is not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from leapai.data.folder.folder_calibration import Calibration
from leapai.data.folder.folder_reader import FolderLog
from leapai.data.folder.sequence_files import SequenceFiles
from leapai.data.folder.timed_files import TimedFiles
from leapai.data.kitti_log import (
    CAMERAS,
    CLASS_OF,
    KittiLog,
    calibration,
    check_classes,
    labels_by_frame,
    motion,
)
from leapai.data.kitti_tables import REMEDY, NamedNumbers, lines, numbers, rows, whole, xml_tree
from leapai.data.log import OpenOptions
from leapai.geometry import poses
from leapai.types import FloatArray, IntArray

TIMES = "timestamps.txt"
"""Name of the table in `oxts/` by which a drive is found."""
_TIME = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9}")
_MAX_SIDE_PX = 20_000
_OF_OBJECT, _OF_POSE = ("first_frame", "h", "w", "l"), ("occlusion", "tx", "ty", "tz", "rz")


def raw_log(folder: Path, options: OpenOptions) -> KittiLog:
    """Opens a drive. Raises ValueError where a table is missing or damaged."""
    if folder.name.endswith("_extract"):
        raise ValueError(
            f"{folder}: is neither synchronised nor rectified; get the drive of the name that ends "
            "with _sync"
        )
    times = _times(folder / "oxts" / TIMES)

    def files(sensor: str, suffix: str) -> TimedFiles:
        names = [folder / sensor / "data" / f"{i:010}{suffix}" for i in range(len(times))]
        return TimedFiles(names, times)

    images = {name: files(name, ".png") for name in CAMERAS if (folder / name).is_dir()}
    mounts = _mounts(folder.parent, list(images))
    sensors = SequenceFiles(folder, files("velodyne_points", ".bin"), images)
    log = FolderLog(folder.name, mounts, sensors)
    log.least_image_px = options.least_image_px
    oxts = folder / "oxts" / "data"
    of_frames = [
        numbers(path, [(rows(path) or [[]])[0][:6]], 6) for path in files("oxts", ".txt").paths
    ]
    global_from_ego = motion(oxts, np.concatenate(of_frames))
    path, labels = folder / "tracklet_labels.xml", None
    if path.exists():
        words, table = _objects(path, mounts.lidar.pose())
        labels = labels_by_frame(path, words, table, global_from_ego, times)
    return KittiLog(log, (folder.parent, folder, oxts.parent, oxts), global_from_ego, labels)


def _times(path: Path) -> IntArray:
    """Returns the times [T] of the frames, without what is finer than a microsecond."""
    words = [" ".join(line.split()) for line in lines(path)]
    times = np.array([_time_us(path, i, word) for i, word in enumerate(words, start=1)], np.int64)
    late = np.flatnonzero(np.diff(times) <= 0)
    if not words or len(late):
        row = f"row {late[0] + 2} is not after the one before" if words else "has no time"
        raise ValueError(f"{path}: {row}; {REMEDY}")
    return times


def _time_us(path: Path, number: int, word: str) -> int:
    try:
        if _TIME.fullmatch(word):
            return int(np.datetime64(word, "ns").astype("datetime64[us]").astype(np.int64))
    except ValueError:
        pass  # such as month 13
    raise ValueError(
        f"{path}: row {number} = {word[:60]!r} is no time such as 2011-09-26 13:02:25.594360375; "
        f"{REMEDY}"
    )


def _mounts(date: Path, images: list[str]) -> Calibration:
    given = NamedNumbers(date / "calib_cam_to_cam.txt")
    rect_from_lidar = given.rigid(3, "R_rect_00") @ _rigid(date / "calib_velo_to_cam.txt")
    cameras = {}
    for name in images:
        field = f"S_rect_{name[-2:]}"
        width, height = whole(given.path, field, given.vector(2, field), (1, _MAX_SIDE_PX)).tolist()
        cameras[name] = (given.projection(f"P_rect_{name[-2:]}"), (height, width))
    lidar_from_imu = _rigid(date / "calib_imu_to_velo.txt")
    return calibration(given.path, rect_from_lidar, lidar_from_imu, cameras)


def _rigid(path: Path) -> FloatArray:
    given = NamedNumbers(path)
    found = given.rigid(3, "R")
    found[:3, 3] = given.vector(3, "T")
    return found


def _objects(path: Path, ego_from_lidar: FloatArray) -> tuple[list[str], FloatArray]:
    """Returns classes and rows of the objects as `labels_by_frame` takes them. A box of the file
    stands on a place in the axes of the LiDAR, turned about its z axis."""
    items = xml_tree(path).findall("tracklets/item")
    words = [item.findtext("objectType", "").strip() for item in items]
    check_classes(path, words)
    tables: list[FloatArray] = [np.zeros((0, 11))]
    for track, item in enumerate(items):
        if words[track] in CLASS_OF:
            of_object = [str(track), *_values(item, _OF_OBJECT)]
            table = [
                [str(i), *of_object, *_values(pose, _OF_POSE)]
                for i, pose in enumerate(item.findall("poses/item"))
            ]
            tables.append(numbers(path, table, 11, f"a pose of tracklet {track}"))
    found = np.concatenate(tables)
    index, track_id, first, height_m, turn = found[:, [0, 1, 2, 3, 10]].T
    centre = poses.apply(ego_from_lidar, found[:, 7:10] + height_m[:, None] / 2 * [0, 0, 1])
    ahead = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1) @ ego_from_lidar[:3, :3].T
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    keys = [first + index, track_id, found[:, 6]]
    of_boxes = np.column_stack([*keys, centre, found[:, 5:2:-1], yaw])
    return [words[track] for track in track_id.astype(np.int64)], of_boxes


def _values(element: Element, names: Sequence[str]) -> list[str]:
    return [element.findtext(name) or f"(no {name})" for name in names]
