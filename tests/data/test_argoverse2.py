import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from PIL import Image

from leapai.data.argoverse2.argoverse2_classes import OTHER_NAMES
from leapai.data.argoverse2.argoverse2_reader import open_logs
from leapai.data.argoverse2.argoverse2_tables import (
    CAMERA_GROUPS_OF,
    CLASS_OF,
    EGO_HEIGHT_M,
    NO_COUNTERPART,
)
from leapai.data.log import OpenOptions
from leapai.geometry import cameras, poses
from leapai.types import CAMERA_GROUPS, CLASS_NAMES

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "argoverse2"
SIZE_PX = (512, 960)
START_NS = 315_966_253_660_357_000
STEP_NS = 100_000_000
EXPOSURE_NS = 20_000_000
"""Cameras of the made-up log expose 20 ms after the sweep."""
EGO_SPEED_MPS = 10.0
ORIGIN_M = np.array([5_000.0, 2_000.0, 70.0])
TURN_90 = {"qw": np.sqrt(0.5), "qx": 0.0, "qy": 0.0, "qz": np.sqrt(0.5)}
"""The ego drives along city +y, so ego x is city y."""
LANDMARK_M = ORIGIN_M + np.array([-4.0, 30.0, 1.0])
FRAMES = 5


def time_ns(frame):
    return START_NS + frame * STEP_NS


def position_m(at_ns):
    return ORIGIN_M + np.array([0.0, EGO_SPEED_MPS * (at_ns - START_NS) / 1e9, 0.0])


def pose_row(at_ns):
    x, y, z = position_m(at_ns)
    return {"timestamp_ns": at_ns, **TURN_90, "tx_m": x, "ty_m": y, "tz_m": z}


def in_av2_ego(point_m, at_ns):
    city_from_av2 = poses.from_quaternion(np.array(list(TURN_90.values())), position_m(at_ns))
    return poses.apply(poses.invert(city_from_av2), np.asarray(point_m)[None])[0]


class Drive:
    """A made-up Argoverse 2 log of 5 frames and 7 cameras; tests change the rows, then `write`."""

    def __init__(self, folder):
        self.folder = folder
        times = [time_ns(i) + late for i in range(FRAMES) for late in (0, EXPOSURE_NS)]
        self.poses = [pose_row(at_ns) for at_ns in times]
        self.annotations = []
        names = (*CAMERA_GROUPS_OF, "stereo_front_left")
        # Cameras: z forward, x right, y down.
        mount = {
            "qw": 0.5,
            "qx": -0.5,
            "qy": 0.5,
            "qz": -0.5,
            "tx_m": 1.0,
            "ty_m": 0.0,
            "tz_m": 1.5,
        }
        lens = {"fx_px": 50.0, "fy_px": 50.0, "cx_px": 32.0, "cy_px": 24.0}
        lens |= {"k1": -0.28, "k2": -0.1, "k3": 0.1, "height_px": 48, "width_px": 64}
        self.mounts = [{"sensor_name": name, **mount} for name in names]
        self.lenses = [{"sensor_name": name, **lens} for name in names]

    def annotate(self, track, category, frames, position_of):
        """Adds an object seen in `frames`, at `position_of(time in s)` in the city frame."""
        for frame in frames:
            x, y, z = in_av2_ego(position_of(frame * STEP_NS / 1e9), time_ns(frame))
            self.annotations.append(
                {"timestamp_ns": time_ns(frame), "track_uuid": track, "category": category}
                | {"length_m": 5.0, "width_m": 2.0, "height_m": 1.5}
                | {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0}
                | {"tx_m": x, "ty_m": y, "tz_m": z, "num_interior_pts": 1}
            )

    def write(self):
        self.folder.mkdir(parents=True)
        _write(self.folder / "city_SE3_egovehicle.feather", self.poses)
        _write(self.folder / "calibration" / "egovehicle_SE3_sensor.feather", self.mounts)
        _write(self.folder / "calibration" / "intrinsics.feather", self.lenses)
        if self.annotations:
            _write(self.folder / "annotations.feather", self.annotations)
        for frame in range(FRAMES):
            self._write_sensors(frame)
        return self

    def _write_sensors(self, frame):
        x, y, z = in_av2_ego(LANDMARK_M, time_ns(frame)).astype(np.float16)
        sweep = {"x": [x], "y": [y], "z": [z], "intensity": [255], "laser_number": [3]}
        table = pa.table(sweep | {"offset_ns": [50_000_000]})
        types = [*[pa.float16()] * 3, pa.uint8(), pa.uint8(), pa.int32()]
        schema = pa.schema(list(zip(table.column_names, types, strict=True)))
        path = self.sweep(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.feather.write_feather(table.cast(schema), path)
        for name in CAMERA_GROUPS_OF:
            path = self.image(name, frame)
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(frame).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)

    def sweep(self, frame):
        return self.folder / "sensors" / "lidar" / f"{time_ns(frame)}.feather"

    def image(self, name, frame):
        return self.folder / "sensors" / "cameras" / name / f"{time_ns(frame) + EXPOSURE_NS}.jpg"

    def log(self):
        (log,) = open_logs(str(self.folder), OpenOptions(SIZE_PX))
        return log


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.feather.write_feather(pa.Table.from_pylist(rows), path)


def camera_of(frame, name):
    return next(camera for camera in frame.cameras if camera.name == name)


@pytest.fixture
def drive(tmp_path):
    drive = Drive(tmp_path / "train" / "log-a")
    drive.annotate("car", "REGULAR_VEHICLE", range(FRAMES), lambda t: LANDMARK_M)
    return drive


def test_frames_are_the_annotated_times(drive):
    log = drive.write().log()
    assert (log.name, len(log)) == ("log-a", FRAMES)
    assert log.timestamps_us.tolist() == [time_ns(i) // 1000 for i in range(FRAMES)]
    assert log[2].timestamp_us == log.timestamps_us[2]


def test_frames_are_the_sweeps_where_nothing_is_annotated(drive):
    drive.annotations.clear()
    drive.write().sweep(1).unlink()
    log = drive.log()
    assert log.timestamps_us.tolist() == [time_ns(i) // 1000 for i in (0, 2, 3, 4)]
    assert log[0].labels is None
    assert log.annotated_boxes(0) is None


def test_gt_is_the_frame_without_its_sensors(drive):
    log = drive.write().log()
    frame, gt = log[1], log.ground_truth(1)
    assert gt.timestamp_us == frame.timestamp_us
    assert np.array_equal(gt.ego2global, frame.ego2global)
    assert np.array_equal(gt.labels.boxes, frame.labels.boxes)
    assert np.array_equal(gt.labels.track_id, frame.labels.track_id)
    assert (gt.cameras, gt.points) == ((), None)


def test_the_ego_frame_is_moved_to_the_ground_for_everything(drive):
    frame = drive.write().log()[2]
    x, y, z = in_av2_ego(LANDMARK_M, time_ns(2))
    on_ground = [x, y, z + EGO_HEIGHT_M]
    np.testing.assert_allclose(frame.points[0, :3], on_ground, atol=0.01)  # half floats
    np.testing.assert_allclose(frame.labels.boxes[0, :3], on_ground, atol=1e-9)
    camera = frame.cameras[0]
    assert camera.ego_from_camera[2, 3] == pytest.approx(1.5 + EGO_HEIGHT_M)
    in_city = poses.apply(frame.ego2global, np.array([on_ground]))
    np.testing.assert_allclose(in_city, LANDMARK_M[None], atol=1e-9)


def test_points_carry_intensity_and_time_since_the_sweep_began(drive):
    np.testing.assert_allclose(drive.write().log()[0].points[0, 3:], [1.0, 0.05], atol=1e-6)


def test_cameras_account_for_motion_between_frame_and_exposure(drive):
    frame = drive.write().log()[2]
    assert [camera.name for camera in frame.cameras] == list(CAMERA_GROUPS_OF)
    front, rear = camera_of(frame, "ring_front_center"), camera_of(frame, "ring_rear_left")
    assert (front.name, front.group, front.size_px) == (
        "ring_front_center",
        "front_narrow",
        (48, 64),
    )
    assert (rear.name, rear.group) == ("ring_rear_left", "back")
    assert front.timestamp_us - frame.timestamp_us == EXPOSURE_NS // 1000
    # 20 ms at 10 m/s: the camera was 0.2 m ahead of its mount.
    landmark = poses.apply(poses.invert(front.ego_from_camera), frame.labels.boxes[:, :3])
    pixel, depth = cameras.project(landmark, front.intrinsics, front.distortion)
    forward, left, up = in_av2_ego(LANDMARK_M, time_ns(2))
    np.testing.assert_allclose(depth, [forward - 1.2], atol=1e-6)
    expected = [32 - 50 * left / depth[0], 24 - 50 * (up - 1.5) / depth[0]]
    np.testing.assert_allclose(pixel, [expected], atol=1e-5)  # images come undistorted


def test_a_camera_without_calibration_is_not_used_and_named_once(drive, caplog):
    drive.lenses = [row for row in drive.lenses if row["sensor_name"] != "ring_rear_left"]
    log = drive.write().log()
    with caplog.at_level(logging.WARNING):
        rigs = [{camera.name for camera in log[i].cameras} for i in range(FRAMES)]
    assert rigs == [set(CAMERA_GROUPS_OF) - {"ring_rear_left"}] * FRAMES
    (record,) = caplog.records
    assert "no calibration of ring_rear_left" in record.message


def test_velocity_is_a_central_difference_over_ground_in_ego_axes(drive):
    def accelerating(time_s):
        return LANDMARK_M + np.array([0.0, 10.0 * time_s**2, 0.0])

    drive.annotate("bus", "BUS", [0, 1, 2], accelerating)
    log = drive.write().log()
    bus, car = CLASS_NAMES.index("bus"), CLASS_NAMES.index("car")
    velocities = {bus: [], car: []}
    for i in range(3):
        labels = log[i].labels
        assert labels.velocity_valid.all()
        for class_id, velocity in zip(labels.class_id, labels.velocity_mps, strict=True):
            velocities[int(class_id)].append(velocity)
    # One-sided at the ends: 0.1 m in the first tenth of a second, 0.3 m in the second.
    np.testing.assert_allclose(velocities[bus], [[1, 0, 0], [2, 0, 0], [3, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(velocities[car], np.zeros((3, 3)), atol=1e-6)


def test_velocity_is_unknown_across_a_gap(drive):
    drive.annotate("bus", "BUS", [0, 4], lambda t: LANDMARK_M)
    labels = drive.write().log()[0].labels
    assert dict(zip(labels.class_id.tolist(), labels.velocity_valid.tolist(), strict=True)) == {
        CLASS_NAMES.index("car"): True,
        CLASS_NAMES.index("bus"): False,
    }


def test_what_is_not_labelled_is_marked(drive):
    labels = drive.write().log()[0].labels
    assert labels.occlusion_level.tolist() == [-1]
    assert np.isnan(labels.visible_fraction).all()
    assert np.isnan(labels.acceleration_mps2).all()


def test_boxes_without_counterpart_are_no_labels_but_are_told_apart(drive):
    drive.annotate("dog", "DOG", [0], lambda t: LANDMARK_M)
    log = drive.write().log()
    assert len(log[0].labels) == 1
    assert sorted(log.annotated_boxes(0).words) == ["DOG", "REGULAR_VEHICLE"]


def test_every_class_of_the_taxonomy_is_decided_once():
    assert len(CLASS_OF) + len(NO_COUNTERPART) == 30 + len(OTHER_NAMES)
    assert not set(CLASS_OF) & set(NO_COUNTERPART)
    assert set(CLASS_OF.values()) == set(CLASS_NAMES)


def test_a_class_that_is_unknown_everywhere_is_named(drive):
    drive.annotations.clear()
    drive.annotate("ufo", "SAUCER", [0], lambda t: LANDMARK_M)
    with pytest.raises(ValueError, match=r"annotations\.feather: 1 of 1 .* = SAUCER: unknown"):
        len(drive.write().log())


def _empty(path):
    path.write_bytes(b"")


def _halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damage", [_empty, _halve])
def test_a_broken_image_is_a_failed_camera_named_once(drive, damage, caplog):
    damage(drive.write().image("ring_rear_left", 1))
    log = drive.log()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            frame = log[1]
    assert camera_of(frame, "ring_rear_left").image is None
    assert sum(camera.image is not None for camera in frame.cameras) == 6
    assert frame.faults[0].startswith("ring_rear_left: sensors/cameras/ring_rear_left/")
    assert len(frame.faults) == len(caplog.records) == 1
    assert not log[2].faults


def test_an_image_that_was_lost_is_not_replaced_by_one_too_far_in_time(drive):
    drive.write().image("ring_rear_left", 1).unlink()
    frame = drive.log()[1]
    camera = camera_of(frame, "ring_rear_left")
    assert (camera.image, camera.timestamp_us) == (None, frame.timestamp_us)
    assert frame.faults == (
        f"ring_rear_left: sensors/cameras/ring_rear_left: no image within 50 ms of {time_ns(1)} ns",
    )


def test_a_missing_camera_folder_is_named_once(drive, caplog):
    drive.write()
    for frame in range(FRAMES):
        drive.image("ring_rear_left", frame).unlink()
    drive.image("ring_rear_left", 0).parent.rmdir()
    log = drive.log()
    with caplog.at_level(logging.WARNING):
        frames = [log[i] for i in range(FRAMES)]
    expected = ("ring_rear_left: sensors/cameras/ring_rear_left: no such folder",)
    assert all(frame.faults == expected for frame in frames)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("damage", [_empty, _halve, Path.unlink])
def test_a_broken_sweep_is_a_failed_lidar(drive, damage):
    damage(drive.write().sweep(1))
    log = drive.log()
    frame = log[1]
    assert frame.points is None
    assert len(frame.labels) == 1
    assert frame.faults[0].startswith(f"lidar: sensors/lidar/{time_ns(1)}.feather: ")
    assert len(log[0].points) == 1


def test_a_sweep_without_a_column_is_a_failed_lidar(drive):
    path = drive.write().sweep(1)
    pyarrow.feather.write_feather(pyarrow.feather.read_table(path).drop(["offset_ns"]), path)
    assert drive.log()[1].points is None


@pytest.mark.parametrize(
    "table",
    [
        "city_SE3_egovehicle.feather",
        "calibration/intrinsics.feather",
        "calibration/egovehicle_SE3_sensor.feather",
    ],
)
def test_a_missing_or_broken_table_is_named(drive, table):
    path = drive.write().folder / table
    _halve(path)
    with pytest.raises(ValueError, match=rf"{table} cannot be read .*; get this log again"):
        len(drive.log())
    path.unlink()
    with pytest.raises(ValueError, match=rf"{table} is missing; get this log again"):
        len(drive.log())


def test_a_gap_in_the_poses_is_named(drive):
    del drive.poses[4:]
    with pytest.raises(ValueError, match="no pose within 50 ms"):
        len(drive.write().log())


def test_logs_are_found_in_a_log_a_split_or_a_root(drive):
    Drive(drive.write().folder.parent / "log-b").write()
    split, root = drive.folder.parent, drive.folder.parent.parent
    names = [
        [log.name for log in open_logs(str(folder), OpenOptions(SIZE_PX))]
        for folder in (drive.folder, split, root)
    ]
    assert names == [["log-a"], ["log-a", "log-b"], ["log-a", "log-b"]]
    with pytest.raises(ValueError, match="there is no log; give a log folder"):
        open_logs(str(root.parent), OpenOptions(SIZE_PX))


def test_the_map_tells_marks_crossings_and_drivable_areas(drive):
    def line(*points):
        return [{"x": x, "y": y, "z": 0.0} for x, y in points]

    shared = line((0, 0), (10, 0))
    inner = {"is_intersection": True}
    segments = {
        "1": inner
        | {"left_lane_boundary": shared, "left_lane_mark_type": "DASHED_WHITE"}
        | {"right_lane_boundary": line((0, -3), (10, -3)), "right_lane_mark_type": "NONE"},
        "2": inner
        | {"left_lane_boundary": line((0, 3), (9, 3)), "left_lane_mark_type": "SOLID_WHITE"}
        | {"right_lane_boundary": shared, "right_lane_mark_type": "DASHED_WHITE"},
    }
    crossing = {"edge1": line((0, 0), (0, 5)), "edge2": line((2, 0), (2, 5))}
    area = {"area_boundary": line((0, 0), (9, 0), (9, 9))}
    content = {"lane_segments": segments, "pedestrian_crossings": {"3": crossing}}
    content["drivable_areas"] = {"4": area}
    log = drive.write().log()
    assert log.vector_map() is None
    (drive.folder / "map").mkdir()
    path = drive.folder / "map" / "log_map_archive_log-a____PIT_city_1.json"
    path.write_text(json.dumps(content))
    lines = log.vector_map()
    boundaries = [line.kind for line in lines if line.layer == "lane_boundary"]
    assert sorted(boundaries) == ["DashedLine", "NONE", "SolidLine"]  # the shared one once
    polygon = next(line for line in lines if line.layer == "crossing").points_m
    assert polygon[:, :2].tolist() == [[0, 0], [0, 5], [2, 5], [2, 0], [0, 0]]
    assert [line.layer for line in lines].count("drivable_area") == 1


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip(f"no Argoverse 2 sample at {REAL}")
    (log,) = open_logs(str(REAL), OpenOptions(SIZE_PX))
    return log


def test_the_real_log_has_its_frames_boxes_and_tracks(real):
    assert len(real) == 156
    recorded = [real.annotated_boxes(i) for i in range(len(real))]
    assert sum(len(boxes.words) for boxes in recorded) == 11_364
    labels = [real[i].labels for i in range(0, 156, 5)]
    assert max(frame.track_id.max() for frame in labels) < 114
    assert np.mean(np.concatenate([frame.velocity_valid for frame in labels])) > 0.99


def test_the_real_rig_goes_on_without_images(real):
    with_sweep = [i for i in range(len(real)) if real.has_sweep(i)]
    assert with_sweep == [116, 117]
    frame = real[116]
    assert frame.points.shape == (99_229, 5)
    assert len(frame.cameras) == 7
    assert {camera.group for camera in frame.cameras} < set(CAMERA_GROUPS)
    assert all(camera.image is None for camera in frame.cameras)
    assert real[0].points is None
    assert len(real[0].faults) == 8


def test_the_real_ground_is_at_zero_under_the_car(real):
    points = real[116].points
    near = (np.hypot(points[:, 0], points[:, 1]) < 5) & (np.abs(points[:, 2]) < 0.4)
    assert near.sum() > 500
    assert abs(np.median(points[near, 2])) < 0.03


def test_the_real_map_lies_around_the_drive(real):
    lines = real.vector_map()
    assert {line.layer for line in lines} == {
        "lane_boundary", "centreline", "crossing", "drivable_area", "road_edge",
    }  # fmt: skip
    ego_m = real[140].ego2global[:3, 3]
    points_m = np.concatenate([line.points_m for line in lines])
    nearest = points_m[np.linalg.norm(points_m[:, :2] - ego_m[:2], axis=1).argmin()]
    np.testing.assert_allclose(nearest, ego_m, atol=0.2)


def test_two_logs_of_one_name_are_refused(drive):
    root = drive.write().folder.parents[1]
    assert [log.name for log in open_logs(str(root), OpenOptions(SIZE_PX))] == ["log-a"]
    shutil.copytree(root / "train", root / "val")
    with pytest.raises(ValueError, match=r"train/log-a and .*val/log-a are two logs of one name"):
        open_logs(str(root), OpenOptions(SIZE_PX))
    assert len(open_logs(str(root / "val"), OpenOptions(SIZE_PX))) == 1
