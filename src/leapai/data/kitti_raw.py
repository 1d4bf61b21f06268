"""Raw recordings of KITTI (https://www.cvlibs.net/datasets/kitti/raw_data.php), synchronised and
rectified: a folder of dates, a date or a drive.

`DATE/DATE_drive_NUMBER_sync/` holds `oxts/`, `image_02/`, `image_03/`, `velodyne_points/` and,
where objects are labelled, `tracklet_labels.xml`; `DATE/` holds the calibration. Files of one
number are one frame. Its time is that of its pose, by a clock whose time zone is not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
from leapai.data.kitti_tables import REMEDY, Bounds, NamedNumbers, lines, numbers, rows, xml_tree
from leapai.data.label_bounds import SIZES_M
from leapai.data.log import OpenOptions
from leapai.geometry import poses
from leapai.types import FloatArray, IntArray

TIMES = "timestamps.txt"
"""Name of the table in `oxts/` by which a drive is found."""
_TIME = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,9}")
_MAX_SIDE_PX = 20_000
_OF_POSE: dict[str, Bounds] = {
    "occlusion": OCCLUSION,
    **dict.fromkeys(("tx", "ty", "tz"), PLACE_M),
    "rz": YAW_RAD,
}


def is_extract(folder: Path) -> bool:
    """Returns whether the drive is one that is neither synchronised nor rectified."""
    return folder.name.endswith("_extract")


def raw_log(folder: Path, options: OpenOptions) -> KittiLog:
    """Opens a drive. Raises ValueError where a table is missing or damaged."""
    if is_extract(folder):
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
        numbers(path, {"row 1": [*rows(path).values(), []][0][:6]}, POSE)
        for path in files("oxts", ".txt").paths
    ]
    global_from_ego = motion(np.concatenate(of_frames))
    path, labels = folder / "tracklet_labels.xml", None
    if path.exists():
        words, table = _objects(path, len(times), mounts.lidar.pose())
        labels = labels_by_frame(words, table, global_from_ego, times)
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
        sides = given.vector(2, field, bounds=range(1, _MAX_SIDE_PX + 1))
        size_px = int(sides[1]), int(sides[0])
        cameras[name] = (given.projection(f"P_rect_{name[-2:]}", size_px), size_px)
    lidar_from_imu = _rigid(date / "calib_imu_to_velo.txt")
    return calibration(given.path, rect_from_lidar, lidar_from_imu, cameras)


def _rigid(path: Path) -> FloatArray:
    given = NamedNumbers(path)
    found = given.rigid(3, "R")
    found[:3, 3] = given.vector(3, "T")
    return found


def _objects(path: Path, frames: int, ego_from_lidar: FloatArray) -> tuple[list[str], FloatArray]:
    """Returns classes and rows of the objects as `labels_by_frame` takes them. A box of the file
    stands on a place in the axes of the LiDAR, turned about its z axis."""
    items = _items(path, xml_tree(path).find("tracklets"), "tracklets")
    words = [item.findtext("objectType", "").strip() for item in items]
    check_classes(path, words)
    used = [track for track, word in enumerate(words) if word in CLASS_OF]
    tables = [_tracklet(path, track, items[track], frames) for track in used]
    found = np.concatenate([np.zeros((0, 10)), *tables])
    turn, height_m = found[:, 6], found[:, 7]
    centre = poses.apply(ego_from_lidar, found[:, 3:6] + height_m[:, None] / 2 * [0, 0, 1])
    ahead = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1) @ ego_from_lidar[:3, :3].T
    yaw = np.arctan2(ahead[:, 1], ahead[:, 0])
    of_boxes = np.column_stack([found[:, :3], centre, found[:, 9:6:-1], yaw])
    return [words[track] for track in found[:, 1].astype(np.int64)], of_boxes


def _tracklet(path: Path, track: int, item: Element, frames: int) -> FloatArray:
    """Returns frame, track, occlusion, place, turn, height, width and length [N, 10] of the poses
    of an object."""
    name = f"tracklet {track}"
    fields: dict[str, Bounds] = {"first_frame": range(frames), **dict.fromkeys("hwl", SIZES_M)}
    first, *size_hwl_m = numbers(path, {name: _values(item, fields)}, fields)[0]
    of_frames = _items(path, item.find("poses"), f"poses of {name}")
    count = len(of_frames)
    if first + count > frames:
        words = f"{name} has {count} poses from frame {first:g} on, the drive {frames} frames"
        raise ValueError(f"{path}: {words}; {REMEDY}")
    table = {f"pose {i} of {name}": _values(pose, _OF_POSE) for i, pose in enumerate(of_frames)}
    keys = first + np.arange(count), np.full(count, track)
    return np.column_stack([*keys, numbers(path, table, _OF_POSE), np.tile(size_hwl_m, (count, 1))])


def _items(path: Path, found: Element | None, name: str) -> list[Element]:
    """Returns the items of a list, of which the file may state the number, too."""
    items = [] if found is None else found.findall("item")
    count = "no list" if found is None else found.findtext("count", str(len(items))).strip()
    if count != str(len(items)):
        words = f"{name}: {len(items)} items, count = {count[:60]!r}"
        raise ValueError(f"{path}: {words}; {REMEDY}")
    return items


def _values(element: Element, names: Iterable[str]) -> list[str]:
    return [element.findtext(name, "").strip() or f"(no {name})" for name in names]
