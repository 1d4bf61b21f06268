"""Logs of py123d: a drive of the embedded world is written in its layout and read back."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("msgpack")

from leapai.data.data_names import named_source
from leapai.data.frame_check import check_frame
from leapai.data.log import OpenOptions
from leapai.data.log import open_logs as open_data
from leapai.data.py123d.py123d_points import read_points
from leapai.data.py123d.py123d_reader import open_logs
from leapai.data.reading import SensorError
from leapai.geometry import poses
from leapai.types import CLASS_NAMES
from tests.data.py123d.arrow_layout import CAMERA_IDS, Written, packed_sweep, row_of

SIZE_PX = (64, 120)
NAME_OF = {name: ours for ours, (name, _) in CAMERA_IDS.items()}


@pytest.fixture(scope="module")
def drive():
    log = open_data("synthetic:seed=3,frames=3,place=street", image_size_px=SIZE_PX)[0]
    return [log[i] for i in range(3)]


@pytest.fixture
def written(drive, tmp_path):
    """A log that a test may change before it writes it: one camera, the labels, the LiDAR."""
    fewer = [replace(frame, cameras=frame.cameras[1:2]) for frame in drive]
    return Written(tmp_path / "one", fewer)


def opened(location, **options):
    return open_logs(str(location), OpenOptions(SIZE_PX, **options))[0]


def assert_same(log, drive, *, xyz_m=0.0, pixels=0.0):
    assert len(log) == len(drive)
    assert log.table_notes == []
    for i, before in enumerate(drive):
        after = check_frame(log[i])
        assert after.faults == ()
        assert after.timestamp_us == before.timestamp_us
        np.testing.assert_allclose(after.ego2global, before.ego2global, atol=1e-9)
        np.testing.assert_allclose(after.points[:, :3], before.points[:, :3], atol=xyz_m, rtol=0)
        assert np.array_equal(after.points[:, 3], before.points[:, 3])
        np.testing.assert_allclose(after.points[:, 4], before.points[:, 4], atol=1e-6)  # 1 us
        assert len(after.cameras) == len(before.cameras)
        ours = {camera.name: camera for camera in before.cameras}
        for camera in after.cameras:
            other = ours[NAME_OF[camera.name]]
            assert camera.group == other.group
            assert camera.timestamp_us == other.timestamp_us
            np.testing.assert_allclose(camera.intrinsics, other.intrinsics)
            np.testing.assert_allclose(camera.distortion, other.distortion)
            np.testing.assert_allclose(camera.ego_from_camera, other.ego_from_camera, atol=1e-6)
            assert np.abs(camera.image.astype(float) - other.image).mean() <= pixels
        assert_same_labels(after.labels, before.labels)


def assert_same_labels(after, before):
    np.testing.assert_allclose(after.boxes[:, :6], before.boxes[:, :6], atol=1e-6)
    turn = after.boxes[:, 6] - before.boxes[:, 6]
    np.testing.assert_allclose(np.sin(turn), 0, atol=1e-6)
    np.testing.assert_allclose(np.cos(turn), 1, atol=1e-6)
    assert np.array_equal(after.class_id, before.class_id)
    np.testing.assert_allclose(after.velocity_mps, before.velocity_mps, atol=1e-9)
    moves = before.velocity_mps.any(-1)
    assert after.velocity_valid[moves].all()
    assert np.array_equal(after.num_lidar_points, before.num_lidar_points)


def test_a_drive_comes_back_with_points_to_the_last_bit(drive, tmp_path):
    Written(tmp_path / "logs" / "val" / "one", drive).write()
    log = opened(tmp_path)
    assert_same(log, drive)
    assert (log.name, log.version) == ("one", "made-up, py123d 0.7.0")
    track = {int(t): i for i, t in enumerate(drive[0].labels.track_id)}
    for t, ours in zip(drive[1].labels.track_id, log[1].labels.track_id, strict=True):
        if int(t) in track:  # an object keeps its number
            assert log[0].labels.track_id[track[int(t)]] == ours
    truth = log.ground_truth(1)
    assert truth.points is None
    assert np.array_equal(truth.labels.boxes, log[1].labels.boxes)
    assert np.array_equal(pickle.loads(pickle.dumps(log))[1].points, log[1].points)


def test_the_inertial_unit_may_be_anywhere_on_the_vehicle(drive, tmp_path):
    imu_from_ego = poses.from_xyz_yaw(np.array([0.05, -0.32, -0.9]), 0.0)  # that of KITTI-360
    written = Written(tmp_path / "one", drive[:2], imu_from_ego, image_format="JPEG")
    written.batch_rows, written.compression = 1, "lz4"
    assert_same(opened(written.write()), drive[:2], xyz_m=2e-5, pixels=8.0)


@pytest.mark.parametrize(
    ("camera", "codec", "xyz_m", "pixels"),
    [("png_binary", "ipc_zstd", 0.0, 0.0), ("jpeg_binary", "laz", 0.0051, 8.0)],
)
def test_logs_of_its_own_writer_come_back(drive, tmp_path, camera, codec, xyz_m, pixels):
    pytest.importorskip("py123d.api")
    from tests.data.py123d.py123d_writer import write_log

    write_log(tmp_path, drive, camera, codec)
    assert_same(opened(tmp_path), drive, xyz_m=xyz_m, pixels=pixels)


def laz_sweep(points):
    laspy = pytest.importorskip("laspy")
    cloud = laspy.create(point_format=3, file_version="1.4")
    cloud.header.scales = [0.01] * 3
    cloud.x, cloud.y, cloud.z = points[:, :3].T
    cloud.add_extra_dims([laspy.ExtraBytesParams("extra_intensity", np.uint8)])
    cloud.extra_intensity = np.rint(points[:, 3] * 255).astype(np.uint8)
    content = io.BytesIO()
    cloud.write(content, do_compress=True)
    return content.getvalue()


def changed(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def test_a_sweep_in_laz_is_read_to_its_grid(written, drive):
    points = drive[0].points[:100]
    written.columns["lidar.lidar_merged"]["data"][0] = laz_sweep(points)
    read = opened(written.write())[0].points
    np.testing.assert_allclose(read[:, :3], points[:, :3], atol=0.0051)
    assert np.array_equal(read[:, 3], points[:, 3])


def test_damaged_sweeps_in_laz_are_faults(written, drive):
    """Their decoders look for billions of records, and reserve memory for billions of chunks or
    for points of any size, which ends the process."""
    packed = laz_sweep(drive[0].points[:100])
    begin = int.from_bytes(packed[96:100], "little")
    table = int.from_bytes(packed[begin : begin + 8], "little")
    sizes = (
        packed.index(b"laszip encoded") + 16 + 36 + 34 + 2
    )  # after the rest of its header, and fixed fields
    damaged = [
        changed(packed, 100, b"\xff" * 4), changed(packed, 243, b"\xff" * 4),
        changed(packed, 247, (10**7 + 1).to_bytes(8, "little")), changed(packed, 96, b"\xff" * 4),
        changed(packed, begin, b"\xff" * 8), changed(packed, table + 4, b"\xff" * 4),
        packed[: begin + 4], packed[:-30],
        changed(changed(packed, 247, (10**7).to_bytes(8, "little")), sizes, b"\xff\xff"),
    ]  # fmt: skip
    for data in damaged:
        with pytest.raises(SensorError, match="row 0 is no whole sweep") as caught:
            read_points(rows_with(data), 0, "made-up", None)
    assert str(caught.value.__cause__) == "claims 10000000 points of 65550 bytes"  # the last one
    written.columns["lidar.lidar_merged"]["data"][1] = damaged[5]
    log = opened(written.write())
    assert log[1].points is None
    assert log[2].points is not None


def test_a_decoder_that_panics_is_a_fault_and_an_interrupt_is_none(drive, monkeypatch):
    raised = type("PanicException", (BaseException,), {})("range end index 9 out of range")
    laspy = pytest.importorskip("laspy")

    def panic(_source, **_options):
        raise raised

    monkeypatch.setattr(laspy, "open", panic)
    rows = rows_with(laz_sweep(drive[0].points[:100]))
    with pytest.raises(SensorError, match="is no whole sweep"):
        read_points(rows, 0, "made-up", None)
    raised = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        read_points(rows, 0, "made-up", None)


def rows_with(data):
    return SimpleNamespace(path=Path("lidar.arrow"), row=lambda number: {"data": data})


@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_sweeps_in_arrow_are_unpacked_within_bounds(compression, monkeypatch):
    values = np.zeros(100_000, np.float32)
    data = packed_sweep({"x": values, "y": values, "z": values, "n": np.arange(4e5, step=4)},
                        compression)  # fmt: skip
    rows = rows_with(data)
    size = 4 * 100_000 * 3 + 8 * 100_000
    monkeypatch.setattr("leapai.data.py123d.py123d_points.MAX_SENSOR_BYTES", size + 1000)
    assert len(read_points(rows, 0, "made-up", None)["x"]) == 100_000
    before = pa.total_allocated_bytes()
    for name, bound in (("MAX_SENSOR_BYTES", size - 1), ("MAX_POINTS", 99_999)):
        monkeypatch.setattr(f"leapai.data.py123d.py123d_points.{name}", bound)
        with pytest.raises(SensorError, match="is no whole sweep") as caught:
            read_points(rows, 0, "made-up", None)
        assert str(caught.value.__cause__).startswith("claims 100000 rows of ")
        assert pa.total_allocated_bytes() == before
        monkeypatch.undo()


def test_sweeps_in_arrow_that_are_damaged_are_faults():
    data = packed_sweep({axis: np.zeros(50, np.float32) for axis in "xyz"})
    rng = np.random.default_rng(0)
    results = set()
    for _ in range(300):
        at = int(rng.integers(4, len(data) - 8))
        damaged = changed(data, at, rng.integers(0, 256, 8, np.uint8).tobytes())
        try:
            results.add(len(read_points(rows_with(damaged), 0, "made-up", None)))
        except SensorError:
            results.add("fault")
    assert "fault" in results


def test_frames_are_at_the_pose_of_the_vehicle(written):
    """In Waymo's the pose is that of the middle of a sweep, and the row that of its begin."""
    written.columns["sync"]["timestamp_us"] = [
        time - 50_000 for time in written.columns["sync"]["timestamp_us"]
    ]
    written.indices["ego_state_se3"] = [0, None, 2]
    log = opened(written.write())
    assert log.timestamps_us.tolist() == [f.timestamp_us for f in written.frames[::2]]
    assert log.table_notes == ["sync.arrow: 1 of 3 rows have no pose of their own"]


def test_sensors_without_a_row_and_damaged_ones_are_faults(written):
    (camera,) = [key for key in written.columns if key.startswith("camera.")]
    written.indices[camera] = [0, None, 2]
    written.columns[camera]["data"][2] = written.columns[camera]["data"][2][:200]
    written.indices["lidar.lidar_merged"] = [None, 1, 2]
    written.columns["lidar.lidar_merged"]["data"][1] = b"DRACO" + bytes(20)
    written.columns["lidar.lidar_merged"]["data"][2] = packed_sweep({"x": [1.0], "y": [2.0]})
    log = opened(written.write())
    said = [fault.split(": ", 2) for i in range(3) for fault in log[i].faults]
    assert [(name, words.split(" ")[0]) for name, _, words in said] == [
        ("lidar", "no"), ("pcam_f0", "no"), ("lidar", "is"), ("pcam_f0", "cannot"), ("lidar", "row")
    ]  # fmt: skip
    assert "lidar_codec=laz" in said[2][2]
    assert [log.has_sweep(i) for i in range(3)] == [False, True, True]


def test_a_camera_without_a_pose_gets_that_of_the_vehicle_at_its_exposure(written):
    key = "camera.pcam_f0"
    recorded = opened(written.write())[1].cameras[0]
    written.columns[key]["camera_to_global_se3"] = [None] * 3
    mount = written.frames[0].cameras[0]
    moved = written.frames[0].ego2global @ mount.ego_from_camera  # at its exposure
    at = poses.invert(written.frames[0].ego2global) @ moved
    written.metadata[key]["camera_to_imu_se3"] = row_of(at)
    written.folder = written.folder.with_name("two")
    frame = opened(written.write())[1]
    assert frame.faults == ()
    exposed = frame.cameras[0]
    assert exposed.timestamp_us == recorded.timestamp_us < frame.timestamp_us
    behind_m = (exposed.ego_from_camera - at)[:3, 3]
    speed_mps = np.linalg.norm(
        (written.frames[1].ego2global - written.frames[0].ego2global)[:3, 3]
    ) / ((written.frames[1].timestamp_us - written.frames[0].timestamp_us) / 1e6)
    age_s = (frame.timestamp_us - exposed.timestamp_us) / 1e6
    np.testing.assert_allclose(np.linalg.norm(behind_m), speed_mps * age_s, rtol=0.05)


def test_sensors_outside_of_the_log_are_read_from_a_named_folder(written, tmp_path):
    """As KITTI-360 is converted by default: points in the frame of the LiDAR."""
    root, key = tmp_path / "kitti360", "lidar.lidar_merged"
    root.mkdir()
    written.metadata["sync"]["dataset"] = "kitti360"
    written.metadata[key]["2"]["lidar_to_imu_se3"] = [1.0, 0, 0.5, 1, 0, 0, 0]
    np.array([[10, 2, 1, 0.5]] * 5, "<f4").tofile(root / "sweep.bin")
    (root / "image.png").write_bytes(written.columns["camera.pcam_f0"]["data"][0])
    names_of = {key: ["sweep.bin", "../x.bin", "gone.bin"],
                "camera.pcam_f0": ["image.png", "/etc/passwd", "image.png"]}  # fmt: skip
    for table, names in names_of.items():
        written.columns[table]["data"] = names
        written.types[table]["data"] = pa.string()
    folder = written.write()
    log = opened(f"{folder},sensors={root}")
    np.testing.assert_allclose(log[0].points, [[11, 2, 1.5, 0.5, 0]] * 5)
    assert np.array_equal(log[0].cameras[0].image, written.frames[0].cameras[0].image)
    assert all("is no file inside the folder of sensors" in fault for fault in log[1].faults)
    assert log[2].faults == (f"lidar: {root / 'gone.bin'}: no such file",)
    assert all("sensors=FOLDER" in fault for fault in opened(folder)[0].faults)
    with pytest.raises(ValueError, match="'images=x' is no option"):
        opened(f"{folder},images=x")


def test_sweeps_of_nuplan_are_in_the_frame_of_the_vehicle(written, tmp_path):
    pytest.importorskip("pypcd4")
    names, types = ("x", "y", "z", "intensity", "ring", "lidar_info"), "F F F U U U"
    header = [
        "# .PCD v0.7", "VERSION 0.7", f"FIELDS {' '.join(names)}", "SIZE 4 4 4 1 1 1",
        f"TYPE {types}", "COUNT 1 1 1 1 1 1", "WIDTH 4", "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0",
        "POINTS 4", "DATA binary",
    ]  # fmt: skip
    dtype = list(zip(names, ["<f4", "<f4", "<f4", "u1", "u1", "u1"], strict=True))
    body = np.array([(10, 2, 1, 51, 7, 3)] * 4, dtype).tobytes()
    (tmp_path / "sweep.pcd").write_bytes("\n".join(header).encode() + b"\n" + body)
    key = "lidar.lidar_merged"
    written.metadata["sync"]["dataset"] = "nuplan"
    written.metadata[key]["2"]["lidar_to_imu_se3"] = [1.0, 0, 0.5, 1, 0, 0, 0]
    written.columns[key]["data"], written.types[key]["data"] = ["sweep.pcd"] * 3, pa.string()
    log = opened(f"{written.write()},sensors={tmp_path}")
    np.testing.assert_allclose(log[0].points, [[10, 2, 1, 0.2, 0]] * 4)


def test_velocities_that_are_not_recorded_follow_from_the_track(written):
    table = written.columns["box_detections_se3"]
    table["velocity_3d"] = [[None for _ in row] for row in table["velocity_3d"]]
    log = opened(written.write())
    before, after = written.frames[1].labels, log[1].labels
    straight = after.velocity_valid & (np.linalg.norm(before.velocity_mps, axis=-1) > 1)
    assert straight.sum() >= 3
    np.testing.assert_allclose(
        after.velocity_mps[straight], before.velocity_mps[straight], atol=0.7
    )


def test_a_velocity_of_zero_is_unknown_for_an_object_that_is_seen_once(written):
    """The writer of py123d has no other word for it."""
    table = written.columns["box_detections_se3"]
    table["velocity_3d"] = [[[0.0, 0.0, 0.0] for _ in row] for row in table["velocity_3d"]]
    table["track_token"][1][0] = "seen once"
    labels = opened(written.write())[1].labels
    ids, counts = np.unique(
        [token for row in table["track_token"] for token in row], return_counts=True
    )
    again = dict(zip(ids.tolist(), (counts > 1).tolist(), strict=True))
    expected = [again[token] for token in table["track_token"][1]]
    assert labels.velocity_valid.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_labels_and_numbers_of_other_classes_have_no_counterpart(written):
    words = [0, 3]  # of KITTI-360: a bicycle, whose rider has a box of its own; a car
    written.metadata["box_detections_se3"] = {
        "box_detection_label_class": "a.KITTI360BoxDetectionLabel"
    }
    table = written.columns["box_detections_se3"]
    table["label"] = [[words[i % 2] if i else 8 for i in range(len(row))] for row in table["label"]]
    log = opened(written.write())
    found = {CLASS_NAMES[i] for i in log[0].labels.class_id}
    assert found == {"riderless_non_motor", "car"}
    assert log.annotated_boxes(0).words[0] == "POLE"
    assert len(log[0].labels) == len(written.frames[0].labels) - 1


def test_cameras_that_are_no_pinholes_or_see_the_same_are_not_used(written):
    front = written.columns["camera.pcam_f0"], written.types["camera.pcam_f0"]
    for name, model in (("fmcam_l", "fisheye_mei"), ("pcam_stereo_l", "pinhole")):
        key = f"camera.{name}"
        metadata = {**written.metadata["camera.pcam_f0"], "camera_model": model}
        written.table(key, *front, metadata)
        written.indices[key] = [0, 1, 2]
    written.metadata["camera.pcam_f0"]["is_undistorted"] = True
    log = opened(written.write())
    assert not log[0].cameras[0].distortion.any()
    assert log.unused_cameras == ("fmcam_l", "pcam_stereo_l")
    assert [camera.name for camera in log[0].cameras] == ["pcam_f0"]


@pytest.mark.parametrize(("key", "field", "value", "said"), [
    ("box_detections_se3", "box_detection_label_class", "os.system", "'os.system' is not known"),
    ("ego_state_se3", "height", "tall", r"ego_state_se3\.arrow: metadata: height = 'tall'"),
    ("ego_state_se3", "center_to_imu_se3", [0] * 7, "center_to_imu_se3: must be x y z in metres"),
    ("sync", "dataset", None, r"sync\.arrow: metadata: dataset = None"),
])  # fmt: skip
def test_metadata_that_are_wrong_are_errors_with_file_field_and_value(
    written, key, field, value, said
):
    written.metadata[key][field] = value
    with pytest.raises(ValueError, match=said):
        opened(written.write())[0]


def test_tables_that_are_damaged_are_errors(written):
    folder = written.write()
    path = folder / "ego_state_se3.arrow"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"ego_state_se3\.arrow cannot be read .*; convert"):
        len(opened(folder))
    path.unlink()
    with pytest.raises(ValueError, match=r"ego_state_se3\.arrow is missing; convert"):
        len(opened(folder))
    written.indices["box_detections_se3"] = [0, 1, 7]
    with pytest.raises(ValueError, match=r"7 is no row of box_detections_se3\.arrow, which has 3"):
        opened(written.write())[0]


@pytest.mark.parametrize(("key", "sensor"), [
    ("lidar.lidar_merged", "lidar"), ("camera.pcam_f0", "pcam_f0"),
])  # fmt: skip
def test_frames_go_on_without_a_sensor_whose_file_is_damaged(written, key, sensor):
    folder = written.write()
    path = folder / f"{key}.arrow"
    content = path.read_bytes()
    log = opened(folder)
    assert len(log) == 3  # its tables are read, so the camera is known
    path.write_bytes(content[:500])
    (fault,) = check_frame(log[1]).faults
    assert fault.startswith(f"{sensor}: {key}.arrow: cannot be read (")
    assert log.has_sweep(1) == (sensor != "lidar")
    written.indices[key] = [0, 1, 7]
    log = opened(written.write())
    (fault,) = check_frame(log[0]).faults
    assert "7 is no row of" in fault
    assert log.has_sweep(1) == (sensor != "lidar")


@pytest.mark.parametrize("damage", [
    lambda written: written.metadata["camera.pcam_f0"].update(intrinsics=[0.1] * 5),
    lambda written: written.metadata["camera.pcam_f0"].update(width="wide"),
    lambda written: (written.write() / "camera.pcam_f0.arrow").write_bytes(b"ARROW1"),
])  # fmt: skip
def test_a_camera_whose_metadata_cannot_be_read_is_not_used(written, damage, tmp_path):
    damage(written)
    if not written.folder.exists():
        written.write()
    log = opened(written.folder)
    frame = check_frame(log[0])
    assert (frame.cameras, frame.faults, log.unused_cameras) == ((), (), ("pcam_f0",))
    (note,) = log.table_notes
    assert note.startswith(str(written.folder / "camera.pcam_f0.arrow"))
    assert note.endswith("; frames go on without pcam_f0")


@pytest.mark.parametrize("time_us", [2**62, -5, 0])
def test_a_camera_at_a_time_that_cannot_be_is_a_fault(written, time_us):
    written.columns["camera.pcam_f0"]["timestamp_us"][1] = time_us
    time = written.frames[1].timestamp_us
    frame = check_frame(opened(written.write())[1])
    assert frame.cameras[0].image is None
    assert frame.cameras[0].timestamp_us == time
    (fault,) = frame.faults
    assert fault.startswith(f"pcam_f0: camera.pcam_f0.arrow: timestamp_us = {time_us} is ")


def test_boxes_that_cannot_be_used_are_left_out_and_counted(written):
    table = written.columns["box_detections_se3"]
    table["bounding_box_se3"][0][0][7] = -1.0
    table["label"][1][0] = 99
    log = opened(written.write())
    assert len(log[0].labels) == len(written.frames[0].labels) - 1
    (note,) = log.table_notes
    assert "2 of" in note


def test_folders_are_recognised_and_two_logs_of_one_name_are_refused(written, tmp_path):
    written.folder = tmp_path / "train" / "one"
    written.write()
    assert named_source(str(tmp_path)) == f"py123d:{tmp_path}"
    written.folder = tmp_path / "val" / "one"
    written.write()
    with pytest.raises(ValueError, match="two logs of one name"):
        opened(tmp_path)
    (tmp_path / "links").mkdir()
    for split in ("train", "val"):
        (tmp_path / "links" / split).symlink_to(tmp_path / split / "one")
    with pytest.raises(ValueError, match="two logs of one name"):
        opened(tmp_path / "links")
    for location in ("s3://bucket/logs", f"{tmp_path / 'val'},sensors=s3://bucket"):
        with pytest.raises(ValueError, match="py123d: is not read from s3://; copy it"):
            opened(location)
    with pytest.raises(ValueError, match="there is no log"):
        opened(tmp_path / "nowhere")
