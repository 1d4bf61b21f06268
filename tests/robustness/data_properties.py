"""Data sets whose files are damaged: tables, maps, sensor files, calibrations, names."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from leapai.data.argoverse2 import argoverse2_map, argoverse2_tables
from leapai.data.bags.bag_reader import BagLog
from leapai.data.folder.folder_reader import FolderLog
from leapai.data.frame_check import check_frame
from leapai.data.frame_errors import FrameError
from leapai.data.kitti_log import KittiLog
from leapai.data.log import DrivingLog, open_logs
from leapai.data.nuscenes import nuscenes_map
from leapai.inspection.inspection_pictures import write_pictures
from leapai.inspection.log_inspection import inspect_logs, render_inspection
from leapai.types import Frame
from tests.data import test_argoverse2, test_kitti_raw, test_nuscenes
from tests.data.folder.made_up_drive import points, write_drive
from tests.data.test_argoverse2_map import lane, line
from tests.data.test_nuscenes_map import PLACE, Place
from tests.robustness.damage import (
    TEXTS,
    damaged_bytes,
    damaged_feather,
    damaged_json,
    damaged_text,
    other_file,
)
from tests.robustness.mutations import absurd
from tests.robustness.promise import Draw, Link, Outcome, Property, Sandbox, outcome_of

SIZE_PX = (48, 64)
IN_MEMORY = (
    *(argoverse2_tables.read_tables, argoverse2_map._read),
    *(nuscenes_map._read, nuscenes_map._near),
)
"""What readers keep of tables and maps."""
OF_LABELS = ("boxes", "sizes", "speed")
"""Fields of labels, by the names of `absurd`."""
Damage = Callable[[Draw, bytes], bytes | Link | None]
MANY = 5
"""One file of so many examples is missing, empty, deep or a link."""


def has_marks(logs: list[DrivingLog]) -> bool:
    """Reads all frames and maps, checks their values, and returns whether anything is marked as
    failed or left out. Readers of tables let no absurd value pass; those of folders, bags and KITTI
    leave sensors to the check of frames."""
    for cached in IN_MEMORY:
        cached.cache_clear()  # each example has another content
    marked = any(bool(log.table_notes) for log in logs)
    for log in logs:
        has_tables = not isinstance(log, FolderLog | BagLog | KittiLog)
        last: Frame | None = None
        for index in range(len(log)):
            frame = log[index]
            if has_tables or isinstance(log, KittiLog):
                wrong = [name for name in absurd(frame) if has_tables or name in OF_LABELS]
                assert wrong == [], f"absurd {wrong}"
            log.ground_truth(index)
            try:
                last = check_frame(frame, last)
                marked |= bool(last.faults) or len(last.cameras) < len(frame.cameras)
            except FrameError:  # a user sees it: the frame is refused
                marked = True
        assert all(np.isfinite(each.points_m).all() for each in log.vector_map() or ())
    return marked


def read_all(data: str) -> Callable[[], bool]:
    """Returns what opens a data set and reads all of it."""
    return lambda: has_marks(list(open_logs(data, image_size_px=SIZE_PX)))


def damaging(
    sandbox: Sandbox, damages: Mapping[str, Damage], use: Callable[[], bool]
) -> Callable[[Draw], Outcome]:
    """Returns the check that damages one or two of the files with those ends of names."""
    names = {end: [name for name in sandbox.whole if name.endswith(end)] for end in damages}
    assert all(names.values())

    def check(draw: Draw) -> Outcome:
        files: dict[str, bytes | Link | None] = {}
        for _ in range(draw(st.sampled_from((1, 1, 2)))):
            end = draw(st.sampled_from(sorted(damages)))
            name = draw(st.sampled_from(names[end]))
            damage = other_file if draw(st.integers(0, MANY)) == 0 else damages[end]
            files[name] = damage(draw, sandbox.whole[name])
        with sandbox.damaged(files):
            return outcome_of(use, str(sandbox.root), *(Path(name).name for name in files))

    return check


def nuscenes(folder: Path) -> Callable[[Draw], Outcome]:
    """Tables, maps and sensor files of nuScenes."""
    drive = test_nuscenes.Drive(folder / "data")
    for name in ("car", "bus", "van"):
        word = "vehicle.bus.rigid" if name == "bus" else "vehicle.car"
        drive.annotate(name, word, [0, 1, 2], lambda _: test_nuscenes.LANDMARK_M)
    drive.tables["log"] = [{"token": "log", "location": PLACE}]
    drive.tables["scene"][0]["log_token"] = "log"
    drive.write()
    place = Place()
    place.drivable([(-20, -20), (20, -20), (20, 60), (-20, 60)], [(0, 0), (5, 0), (5, 5)])
    place.crossing([(0, 10), (5, 10), (5, 15)])
    place.divider([(0, 0), (0, 30)], ["SINGLE_SOLID_WHITE", "SINGLE_SOLID_WHITE"])
    place.road_divider([(1, 0), (1, 30)])
    place.lane(((0.0, 0.0, 1.5), "LSR", 10.0, (3.0, 5.0, 3.0)))
    place.write(folder / "data" / "maps" / "expansion" / f"{PLACE}.json")
    data = f"nuscenes:{folder / 'data'}"
    assert not read_all(data)(), "what is not damaged has no marks"
    tables = ("annotation", "scene", "sample", "sample_data", "ego_pose", "calibrated_sensor")
    damages: dict[str, Damage] = {f"{name}.json": damaged_json for name in tables}
    damages |= {".json": damaged_json, ".jpg": damaged_bytes, ".bin": damaged_bytes}
    return damaging(Sandbox(folder), damages, read_all(data))


def argoverse2(folder: Path) -> Callable[[Draw], Outcome]:
    """Tables, map and sensor files of Argoverse 2."""
    drive = test_argoverse2.Drive(folder / "data" / "log-a")
    for track in ("a", "b", "c"):
        drive.annotate(track, "REGULAR_VEHICLE", range(5), lambda _: test_argoverse2.LANDMARK_M)
    drive.write()
    content = {
        "lane_segments": {str(i): lane("SOLID_WHITE", "DASHED_WHITE", 3.0 * i) for i in range(2)},
        "pedestrian_crossings": {
            "7": {"edge1": line((0, 0), (0, 5)), "edge2": line((3, 0), (3, 5))}
        },
        "drivable_areas": {"9": {"area_boundary": line((0, 0), (9, 0), (9, 9))}},
    }
    path = drive.folder / "map" / "log_map_archive_log-a____PIT_city_1.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    data = f"argoverse2:{folder / 'data'}"
    assert not read_all(data)(), "what is not damaged has no marks"
    damages = {
        "annotations.feather": damaged_feather,
        "city_SE3_egovehicle.feather": damaged_feather,
        "egovehicle_SE3_sensor.feather": damaged_feather,
        "intrinsics.feather": damaged_feather,
        "7000.feather": damaged_feather,  # sweeps
        ".json": damaged_json,
        ".jpg": damaged_bytes,
    }
    return damaging(Sandbox(folder), damages, read_all(data))


def kitti(folder: Path) -> Callable[[Draw], Outcome]:
    """Tables, labels and sensor files of KITTI, in both of its layouts."""
    drive = test_kitti_raw.Drive(folder / "data")
    raw, benchmark = read_all(f"kitti:{drive.date}"), read_all(f"kitti:{folder / 'data/tracking'}")

    def use() -> bool:
        marks = [raw(), benchmark()]
        return any(marks)

    damages: dict[str, Damage] = {
        "timestamps.txt": damaged_text,
        "data/0000000001.txt": damaged_text,
        "cam_to_cam.txt": damaged_text,
        "to_velo.txt": damaged_text,
        "labels.xml": damaged_text,
        "calib/0000.txt": damaged_text,
        "oxts/0000.txt": damaged_text,
        "label_02/0000.txt": damaged_text,
        ".png": damaged_bytes,
        ".bin": damaged_bytes,
    }
    assert not use(), "what is not damaged has no marks"
    return damaging(Sandbox(folder), damages, use)


POSES = "time,x,y,z,qw,qx,qy,qz\n" + "".join(
    f"{1_700_000_000_000_000 + i * 100_000},{i},0,0,1,0,0,0\n" for i in range(-1, 4)
)


def sensor_folder(folder: Path) -> Callable[[Draw], Outcome]:
    """Calibration, poses and sensor files of a folder of sensor files."""
    drive = write_drive(folder / "data")
    calibration = json.loads((drive / "calibration.json").read_bytes()) | {"poses": "poses.csv"}
    (drive / "calibration.json").write_text(json.dumps(calibration))
    (drive / "poses.csv").write_text(POSES)
    (folder / "secret.txt").write_text("secret")
    assert not read_all(f"folder:{drive}")(), "what is not damaged has no marks"
    damages = {
        "calibration.json": damaged_json,
        ".csv": damaged_text,
        ".png": damaged_bytes,
        ".bin": damaged_bytes,
    }
    return damaging(Sandbox(folder), damages, read_all(f"folder:{drive}"))


def inspections(folder: Path) -> Callable[[Draw], Outcome]:
    """The same drive, inspected and drawn as `leapai inspect` does."""
    drive = write_drive(folder / "data")
    pictures = folder.parent / f"{folder.name}-pictures"

    def use() -> bool:
        logs = open_logs(f"folder:{drive}", image_size_px=SIZE_PX)
        inspection = inspect_logs(logs, 2)
        Console(file=io.StringIO()).print(render_inspection(inspection))
        write_pictures(logs, pictures, 1)
        return bool(inspection.warnings)

    damages: dict[str, Damage] = {
        "calibration.json": damaged_json,
        ".png": damaged_bytes,
        ".bin": damaged_bytes,
    }
    return damaging(Sandbox(folder), damages, use)


TOML = """rate_hz = 10
poses = "poses.csv"
max_image_age_s = 0.2
[lidar]
columns = ["x", "y", "z", "intensity"]
intensity_max = 255
ego_from_lidar = [[0, 1, 0, 1.0], [-1, 0, 0, 0], [0, 0, 1, 2.0], [0, 0, 0, 1]]
[[cameras]]
name = "front"
group = "front_wide"
size_px = [48, 64]
intrinsics = [[50, 0, 32], [0, 50, 24], [0, 0, 1]]
ego_from_camera = [[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]]
"""


def toml_folder(folder: Path) -> Callable[[Draw], Outcome]:
    """The same with `calibration.toml`, `.npy` and `.pcd` files, and frames by a rate."""
    drive = write_drive(folder / "data")
    for path in drive.glob("lidar/*.bin"):
        path.unlink()
    for path in drive.glob("front/*.png"):
        path.unlink()
    (drive / "calibration.json").unlink()
    (drive / "calibration.toml").write_text(TOML)
    rows = POSES.splitlines()[1:]
    poses = [f"{0.1 * i},{row.partition(',')[2]}" for i, row in enumerate(rows)]
    (drive / "poses.csv").write_text("\n".join([POSES.splitlines()[0], *poses]))
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE_PX, 3), dtype=np.uint8)
    for i in range(2):
        np.save(drive / "lidar" / f"{i}.npy", points(i))
        Image.fromarray(pixels).save(drive / "front" / f"{i}.jpg")
    (drive / "lidar" / "2.pcd").write_bytes(pcd())
    data = f"folder:{drive}"
    read_all(data)()
    damages = {
        ".toml": damaged_text,
        ".csv": damaged_text,
        ".jpg": damaged_bytes,
        ".npy": damaged_bytes,
        ".pcd": damaged_bytes,
    }
    return damaging(Sandbox(folder), damages, read_all(data))


def pcd(count: int = 50) -> bytes:
    """A file of the Point Cloud Library, with binary data."""
    head = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\n"
        f"COUNT 1 1 1 1\nWIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\n"
        "DATA binary\n"
    )
    return head.encode() + points(0, count).tobytes()


names_of_files = st.one_of(
    st.text(max_size=8),
    st.sampled_from(TEXTS),
    st.integers(-(10**25), 10**25).map(str),
    st.floats().map(str),
    st.integers(0, 5).map(lambda i: str(1_700_000_000_000_000 + i * 100_000)),
)
ENDS = (".bin", ".pcd.bin", ".pcd", ".npy", ".BIN", ".jpg", ".png", ".jpeg", ".txt", "")


def file_names(folder: Path) -> Callable[[Draw], Outcome]:
    """Names of files in a folder of sensor files; some are links, of which some lead out of it."""
    write_drive(folder / "data")
    sandbox = Sandbox(folder)
    contents: dict[str, bytes | Link] = {
        "sweep": points(0).tobytes(),
        "image": sandbox.whole["data/front/1699999999980000.png"],
        "nothing": b"",
        "link": Link("/etc/hostname"),
    }

    def check(draw: Draw) -> Outcome:
        files: dict[str, bytes | Link | None] = {}
        for _ in range(draw(st.integers(1, 4))):
            name = draw(names_of_files) + draw(st.sampled_from(ENDS))
            if not name.isprintable() or "/" in name or not name.strip(".") or len(name) > 60:
                continue  # no file system has such a name, or commands show others in its place
            place = draw(st.sampled_from(("data/lidar/", "data/front/", "data/")))
            files[place + name] = contents[draw(st.sampled_from(sorted(contents)))]
        with sandbox.damaged(files):
            return outcome_of(read_all(f"folder:{folder / 'data'}"), str(folder), "lidar", "front")

    return check


PROPERTIES = (
    Property("nuScenes", nuscenes, 40),
    Property("Argoverse 2", argoverse2, 40),
    Property("KITTI", kitti, 25),
    Property("folder of sensor files", sensor_folder, 60),
    Property("folder with TOML, NPY, PCD", toml_folder, 60),
    Property("inspections", inspections, 15),
    Property("names of sensor files", file_names, 50),
)
