"""A bad row of a table costs that row, or that frame, and is counted."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from leapai.data.argoverse2 import argoverse2_reader
from leapai.data.log import OpenOptions
from leapai.data.nuscenes import nuscenes_reader
from tests.data import test_argoverse2, test_nuscenes
from tests.data.test_argoverse2 import LANDMARK_M as LANDMARK_2_M
from tests.data.test_argoverse2 import time_ns
from tests.data.test_nuscenes import LANDMARK_M, START_US

NAN = float("nan")


@pytest.fixture
def nuscenes(tmp_path):
    drive = test_nuscenes.Drive(tmp_path / "a, b")  # a comma in a path is no option
    for name in ("car", "bus", "van"):
        word = "vehicle.bus.rigid" if name == "bus" else "vehicle.car"
        drive.annotate(name, word, [0, 1, 2], lambda t: LANDMARK_M)
    return drive


@pytest.fixture
def argoverse2(tmp_path):
    drive = test_argoverse2.Drive(tmp_path / "log-a")
    for name in ("car", "bus"):
        drive.annotate(name, "BUS", range(test_argoverse2.FRAMES), lambda t: LANDMARK_2_M)
    return drive


@pytest.mark.parametrize("table", ["ego_pose", "sample_annotation"])
def test_quaternions_of_the_other_order_are_refused_with_the_word(nuscenes, table):
    for row in nuscenes.tables[table]:
        row["rotation"] = [*row["rotation"][1:], row["rotation"][0]]
    match = rf"{table}\.json: rotation: its quaternions seem to be x y z w, .* must be w x y z"
    with pytest.raises(ValueError, match=match):
        nuscenes.write().log()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", [2.0, 5.0]),
        ("size", [2.0, NAN, 1.5]),
        ("size", [2.0, 0.0, 1.5]),
        ("size", [2.0, -5.0, 1.5]),
        ("size", [2.0, 1e30, 1.5]),
        ("size", None),
        ("translation", [1e300, 0, 0]),
        ("translation", [0.0, 0.0, 0.0]),  # 5000 km from the vehicle
        ("translation", ["1", "2", "3"]),
        ("rotation", [1.0, 0.0, 0.0]),
        ("rotation", [0.0, 0.0, 0.0, 0.0]),
        ("rotation", [1e300, 0.0, 0.0, 0.0]),
        ("instance_token", "bus"),  # a second box of the bus in this sample
        ("instance_token", ["a list"]),
        ("sample_token", None),
        ("num_lidar_pts", -3),
        ("num_lidar_pts", 1e300),
        ("visibility_token", "nine"),
        ("attribute_tokens", ["nothing"]),
        ("token", 10**30),
    ],
)
def test_a_bad_annotation_costs_that_box_and_is_counted(nuscenes, caplog, field, value):
    row = nuscenes.tables["sample_annotation"][-1]
    row[field] = value
    with caplog.at_level(logging.WARNING):
        log = nuscenes.write().log()
    assert [len(log[i].labels) for i in range(3)] == [3, 3, 2]
    (words,) = log.table_notes
    assert words.startswith("sample_annotation.json: 1 of 9 rows cannot be used; the first, row ")
    assert field in words
    assert len(caplog.records) == 1


def test_a_row_that_is_bad_everywhere_stops_with_the_file_and_the_value(nuscenes):
    for row in nuscenes.tables["sample_annotation"]:
        row["size"] = [2.0, 5.0]
    match = r"sample_annotation\.json: 9 of 9 .* row car-0: size = \[2\.0, 5\.0\]: must be three"
    with pytest.raises(ValueError, match=match):
        nuscenes.write().log()


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("sample_data", "timestamp", None),
        ("sample_data", "timestamp", START_US + 60_000_000),
        ("sample_data", "filename", "/nowhere/x.bin"),
        ("sample_data", "filename", "../../secret.bin"),
        ("sample_data", "filename", "a\0b"),
        ("ego_pose", "translation", [NAN, 0, 0]),
        ("ego_pose", "translation", [0, 0, 0]),  # the others are 5000 km away
        ("ego_pose", "rotation", None),
    ],
)
def test_a_bad_row_of_the_lidar_leaves_the_frame_its_cameras(nuscenes, table, field, value):
    # After `write`, which makes the files that rows name, wherever these lie.
    path = nuscenes.write().root / "v1.0-made-up" / f"{table}.json"
    rows = json.loads(path.read_text())
    next(row for row in rows if row["token"].endswith("lidar1"))[field] = value
    path.write_text(json.dumps(rows))
    log = nuscenes.log()
    assert len(log) == 3
    frame = log[1]
    assert frame.points is None
    assert not log.has_sweep(1)
    assert frame.faults[0].startswith("LIDAR_TOP: no keyframe sweep")
    assert frame.timestamp_us == START_US + 460_000  # of the cameras
    assert [camera.image is None for camera in frame.cameras] == [False, False]
    np.testing.assert_allclose(frame.labels.boxes[0, :3], [25.4, 4.0, 1.5], atol=1e-6)


def test_a_bad_sample_costs_that_frame(nuscenes):
    nuscenes.tables["sample"][1]["timestamp"] = None
    log = nuscenes.write().log()
    assert log.sample_tokens == ["s0", "s2"]
    assert any(words.startswith("sample.json: 1 of 3 rows") for words in log.table_notes)


@pytest.mark.parametrize(
    "matrix",
    [
        [],
        [[0.0] * 3] * 3,
        [[50, 0, 32], [0, 50, 24]],
        [[50, 0, 32, 9], [0, 50, 24, 0], [0, 0, 1, 0]],
    ],
)
def test_a_camera_without_intrinsics_is_not_used(nuscenes, matrix):
    nuscenes.tables["calibrated_sensor"][2]["camera_intrinsic"] = matrix
    log = nuscenes.write().log()
    assert [camera.name for camera in log[0].cameras] == ["CAM_FRONT"]
    assert log.table_notes


def test_intrinsics_of_a_projection_are_accepted(nuscenes):
    matrix = [[50.0, 0.0, 32.0, 0.0], [0.0, 50.0, 24.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    nuscenes.tables["calibrated_sensor"][1]["camera_intrinsic"] = matrix
    log = nuscenes.write().log()
    np.testing.assert_array_equal(log[0].cameras[0].intrinsics, np.array(matrix)[:, :3])
    assert not log.table_notes


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000, "nanoseconds"), (0.001, "milliseconds"), (1e-6, "seconds")]
)
def test_times_of_another_unit_are_refused_with_the_word(nuscenes, factor, unit):
    for i, row in enumerate(nuscenes.tables["sample"]):
        row["timestamp"] = int(START_US * factor) + round(i * max(500_000 * factor, 1))
    with pytest.raises(ValueError, match=rf"sample\.json: its times, .* seem to be {unit}"):
        nuscenes.write().log()


def test_two_scenes_of_one_name_are_refused(nuscenes):
    nuscenes.tables["scene"].append({"token": "other", "name": "scene-0001"})
    with pytest.raises(ValueError, match=r"scene\.json: two scenes are called 'scene-0001'"):
        nuscenes.write().log()


@pytest.mark.parametrize("table", ["scene", "sample", "sample_data"])
def test_a_version_without_frames_is_an_error(nuscenes, table):
    nuscenes.write()
    folder = nuscenes.root / "v1.0-made-up"
    (folder / f"{table}.json").write_text("[]")
    words = "no scene|9 of 12 rows cannot be used"
    with pytest.raises(ValueError, match=words):
        nuscenes.log()


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"rows": []}', "null", "[1, 2]", "[{}", '[{"token": "x"}, null, null]'],
)
def test_a_table_that_is_none_stops_with_one_line(nuscenes, content):
    path = nuscenes.write().root / "v1.0-made-up" / "ego_pose.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"ego_pose\.json") as raised:
        nuscenes.log()
    assert "\n" not in str(raised.value)


def test_points_in_millimetres_are_refused_with_the_word(nuscenes):
    path = nuscenes.write().file("lidar1")
    points = np.fromfile(path, "<f4").reshape(-1, 5)
    points[:, :3] *= 1000
    points.tofile(path)
    (fault,) = nuscenes.log()[1].faults
    assert "are they in millimetres?" in fault


def test_a_home_folder_and_a_byte_order_mark_are_understood(nuscenes, monkeypatch):
    monkeypatch.setenv("HOME", str(nuscenes.write().root.parent))
    split = nuscenes.root.parent / "split.txt"
    split.write_text("\ufeffscene-0001\n", encoding="utf-8")
    location = "~/a, b,scenes=~/split.txt"
    (log,) = nuscenes_reader.open_logs(location, OpenOptions((48, 64)))
    assert log.name == "scene-0001"


def test_a_real_sized_table_is_checked_in_little_time(nuscenes, tmp_path):
    """A million rows take seconds: here are 20 000, which a row at a time would not end soon."""
    import time

    row = nuscenes.tables["sample_annotation"][0]
    many = [row | {"token": f"{i}", "instance_token": f"{i}"} for i in range(20_000)]
    nuscenes.tables["sample_annotation"] = many
    nuscenes.tables["instance"] = [
        {"token": f"{i}", "category_token": "vehicle.car"} for i in range(20_000)
    ]
    nuscenes.write()
    start = time.process_time()
    log = nuscenes.log()
    assert time.process_time() - start < 3.0
    assert not log.table_notes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("length_m", NAN),
        ("width_m", 0.0),
        ("height_m", -1.0),
        ("length_m", 1e30),
        ("tx_m", 1e300),
        ("qw", 0.0),
        ("num_interior_pts", -1),
        ("category", "SAUCER"),
        ("track_uuid", "bus"),  # a second box of the bus at this time
    ],
)
def test_a_bad_annotation_of_argoverse_costs_that_box(argoverse2, field, value):
    argoverse2.annotations[0][field] = value
    log = argoverse2.write().log()
    assert [len(log[i].labels) for i in range(3)] == [1, 2, 2]
    assert log.table_notes[0].startswith("annotations.feather: 1 of 10 rows cannot be used")


def test_boxes_of_the_vehicle_itself_are_left_out(argoverse2):
    argoverse2.annotate("ego", "EGO_VEHICLE", range(3), lambda t: LANDMARK_2_M)
    log = argoverse2.write().log()
    assert [len(log.annotated_boxes(i).words) for i in range(3)] == [2, 2, 2]


def test_a_bad_pose_costs_the_frames_that_need_it(argoverse2):
    argoverse2.poses[4]["ty_m"] = argoverse2.poses[5]["ty_m"] = NAN
    log = argoverse2.write().log()
    assert log.timestamps_us.tolist() == [time_ns(i) // 1000 for i in (0, 1, 3, 4)]


def test_floats_for_nanoseconds_are_refused(argoverse2):
    for row in argoverse2.poses:
        row["timestamp_ns"] = float(row["timestamp_ns"])
    with pytest.raises(ValueError, match=r"city_SE3_egovehicle\.feather: timestamp_ns holds float"):
        len(argoverse2.write().log())


def test_a_log_without_calibration_is_one_of_lidar_alone(argoverse2):
    log = argoverse2.write().log()
    for path in (argoverse2.folder / "calibration").iterdir():
        path.unlink()
    (argoverse2.folder / "calibration").rmdir()
    argoverse2_reader.read_tables.cache_clear()
    frame = log[0]
    assert frame.cameras == ()
    assert len(frame.points) == 1
    assert frame.faults == ()


def test_an_empty_table_of_boxes_leaves_the_sweeps(argoverse2):
    argoverse2.annotate("ego", "EGO_VEHICLE", [0], lambda t: LANDMARK_2_M)
    argoverse2.annotations = argoverse2.annotations[-1:]
    log = argoverse2.write().log()
    assert len(log) == test_argoverse2.FRAMES
    assert log[0].labels is None
    assert log.table_notes == ("annotations.feather: no row: nothing is labelled",)


@pytest.mark.parametrize("name", ["._1.jpg", "thumb.jpg", "²³.jpg", "9" * 30 + ".jpg"])
def test_foreign_files_beside_images_and_sweeps_are_none_of_the_sensors(argoverse2, name):
    argoverse2.annotations.clear()
    argoverse2.write()
    (argoverse2.image("ring_rear_left", 0).parent / name).write_bytes(b"x")
    sweep = argoverse2.sweep(0)
    (sweep.parent / name.replace(".jpg", ".feather")).write_bytes(b"x")
    log = argoverse2.log()
    assert len(log) == test_argoverse2.FRAMES
    assert log[0].faults == ()


def test_an_element_of_a_map_that_is_bad_is_left_out(argoverse2, caplog):
    outline = [{"x": float(x), "y": float(y), "z": 0.0} for x, y in ((0, 0), (9, 0), (9, 9))]
    areas = {"1": {"area_boundary": outline}, "2": {"area_boundary": outline}}
    areas["3"] = {"area_boundary": [{"x": NAN, "y": 0.0, "z": 0.0}, *outline]}
    content = {"lane_segments": {}, "pedestrian_crossings": {}, "drivable_areas": areas}
    folder = argoverse2.write().folder / "map"
    folder.mkdir()
    path = folder / "log_map_archive_log-a____PIT_city_1.json"
    path.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        lines = argoverse2.log().vector_map()
    assert [line.layer for line in lines].count("drivable_area") == 2
    assert "drivable_areas: 1 of 3 cannot be used; the first is '3'" in caplog.text
    del content["drivable_areas"]
    other = folder.with_name("map") / "log_map_archive_log-a____PIT_city_0.json"
    other.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="has no table drivable_areas"):
        argoverse2.log().vector_map()
