import json
import logging
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leapai.data.log import OpenOptions
from leapai.data.nuscenes.nuscenes_reader import open_logs
from leapai.data.transforms import prepare_camera
from leapai.geometry import cameras, poses
from leapai.types import CLASS_NAMES

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "nuscenes"
SIZE_PX = (512, 960)
START_US = 1_500_000_000_000_000
ORIGIN_M = np.array([400_000.0, 5_000_000.0, 0.0])
"""Far from the global origin, where float32 is good for half a metre."""
EGO_SPEED_MPS = 10.0
TURN_90 = [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]
"""The ego drives along global +y, so ego x is global y."""
LANDMARK_M = ORIGIN_M + np.array([-4.0, 30.0, 1.5])
"""A point that stands still in the global frame."""


def global_from_ego(time_s):
    position = ORIGIN_M + np.array([0.0, EGO_SPEED_MPS * time_s, 0.0])
    return poses.from_quaternion(np.array(TURN_90), position)


class Drive:
    """A made-up nuScenes folder: 3 keyframes, half a second apart, with a LiDAR sweep between them.

    Tests change `tables`, then `write`; or break files after writing.
    """

    def __init__(self, root):
        self.root = root
        self.tables = defaultdict(list)
        self.tables["attribute"] = [
            {"token": "ridden", "name": "cycle.with_rider"},
            {"token": "riderless", "name": "cycle.without_rider"},
        ]
        levels = ("v0-40", "v40-60", "v60-80", "v80-100")
        self.tables["visibility"] = [
            {"token": str(i + 1), "level": level} for i, level in enumerate(levels)
        ]
        self.tables["scene"] = [{"token": "scene", "name": "scene-0001"}]
        for channel in ("LIDAR_TOP", "CAM_FRONT", "CAM_BACK"):
            self._mount(channel)
        for i in range(3):
            sample = {"token": f"s{i}", "timestamp": START_US + i * 500_000, "scene_token": "scene"}
            self.tables["sample"].append(sample)
            self._file(i, "LIDAR_TOP", f"lidar{i}", i * 0.5)
            self._file(i, "LIDAR_TOP", f"between{i}", i * 0.5 + 0.25)
            for channel in ("CAM_FRONT", "CAM_BACK"):
                # The shutter opens 40 ms before the LiDAR's time.
                self._file(i, channel, f"{channel}{i}", i * 0.5 - 0.04)

    def _mount(self, channel):
        is_lidar = channel == "LIDAR_TOP"
        matrix = [[50.0, 0.0, 32.0], [0.0, 50.0, 24.0], [0.0, 0.0, 1.0]]
        self.tables["sensor"].append({"token": f"sensor-{channel}", "channel": channel})
        self.tables["calibrated_sensor"].append(
            {
                "token": f"mount-{channel}",
                "sensor_token": f"sensor-{channel}",
                "translation": [1.0, 0.0, 2.0],
                # LiDAR: x right, y forward. Cameras: z forward, x right, y down.
                "rotation": [np.sqrt(0.5), 0, 0, -np.sqrt(0.5)]
                if is_lidar
                else [0.5, -0.5, 0.5, -0.5],
                "camera_intrinsic": [] if is_lidar else matrix,
            }
        )

    def _file(self, sample, channel, token, time_s):
        is_key, is_lidar = not token.startswith("between"), channel == "LIDAR_TOP"
        number = token[-1]
        before = f"lidar{number}" if not is_key else f"between{int(number) - 1}"
        pose = global_from_ego(time_s)
        self.tables["ego_pose"].append(
            {"token": f"pose-{token}", "translation": pose[:3, 3].tolist(), "rotation": TURN_90}
        )
        self.tables["sample_data"].append(
            {
                "token": token,
                "sample_token": f"s{sample}",
                "ego_pose_token": f"pose-{token}",
                "calibrated_sensor_token": f"mount-{channel}",
                "timestamp": START_US + round(time_s * 1e6),
                "is_key_frame": is_key,
                "height": 0 if is_lidar else 48,
                "width": 0 if is_lidar else 64,
                "filename": f"{'samples' if is_key else 'sweeps'}/{channel}/{token}"
                + (".pcd.bin" if is_lidar else ".jpg"),
                "prev": before if is_lidar and token != "lidar0" else "",
            }
        )

    def annotate(self, instance, category, samples, position_of, **fields):
        """Adds an object seen in `samples`, at `position_of(time in s)` in the global frame."""
        if category not in [row["token"] for row in self.tables["category"]]:
            self.tables["category"].append({"token": category, "name": category})
        self.tables["instance"].append({"token": instance, "category_token": category})
        for i, sample in enumerate(samples):
            row = {
                "token": f"{instance}-{sample}",
                "sample_token": f"s{sample}",
                "instance_token": instance,
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": np.asarray(position_of(sample * 0.5)).tolist(),
                "size": [2.0, 5.0, 1.5],
                "rotation": TURN_90,
                "prev": f"{instance}-{samples[i - 1]}" if i else "",
                "next": f"{instance}-{samples[i + 1]}" if i + 1 < len(samples) else "",
                "num_lidar_pts": 1,
            }
            self.tables["sample_annotation"].append(row | fields)

    def write(self):
        folder = self.root / "v1.0-made-up"
        folder.mkdir(parents=True)
        for name in ("category", "instance", "sample_annotation"):
            self.tables[name]  # an empty table is a file too
        for name, rows in self.tables.items():
            (folder / f"{name}.json").write_text(json.dumps(rows))
        for row in self.tables["sample_data"]:
            path = self.root / row["filename"]
            assert path.resolve().is_relative_to(self.root.resolve()), f"{path} is outside"
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".jpg":
                pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path)
            else:
                _write_landmark(path, (row["timestamp"] - START_US) / 1e6)
        return self

    def file(self, token):
        return self.root / next(
            row["filename"] for row in self.tables["sample_data"] if row["token"] == token
        )

    def log(self, options=""):
        (log,) = open_logs(f"{self.root}{options}", OpenOptions(SIZE_PX))
        return log


def _write_landmark(path, time_s):
    """A sweep of one return, from the landmark, with full intensity."""
    x, y, z = poses.apply(poses.invert(global_from_ego(time_s)), LANDMARK_M[None])[0] - [1, 0, 2]
    np.array([-y, x, z, 255.0, 7.0], "<f4").tofile(path)


@pytest.fixture
def drive(tmp_path):
    return Drive(tmp_path)


def test_a_log_lists_keyframes_in_order_of_time(drive):
    drive.tables["sample"].reverse()
    log = drive.write().log()
    assert log.name == "scene-0001"
    assert log.timestamps_us.tolist() == [START_US, START_US + 500_000, START_US + 1_000_000]
    assert log[1].timestamp_us == log.timestamps_us[1]
    assert log.vector_map() is None


def test_gt_is_the_frame_without_its_sensors(drive):
    drive.annotate("a", "vehicle.car", [0, 1, 2], lambda t: LANDMARK_M)
    log = drive.write().log()
    frame, gt = log[1], log.ground_truth(1)
    assert gt.timestamp_us == frame.timestamp_us
    assert np.array_equal(gt.ego2global, frame.ego2global)
    assert len(gt.labels) == 1
    assert np.array_equal(gt.labels.boxes, frame.labels.boxes)
    assert np.array_equal(gt.labels.track_id, frame.labels.track_id)
    assert (gt.cameras, gt.points) == ((), None)


def test_points_are_in_the_ego_frame_with_intensity_up_to_one(drive):
    points = drive.write().log()[1].points
    np.testing.assert_allclose(points, [[25.0, 4.0, 1.5, 1.0, 0.0]], atol=1e-5)


def test_sweeps_add_earlier_points_where_the_world_did_not_move(drive):
    points = drive.write().log(",sweeps=4")[1].points
    assert len(points) == 3  # the scene begins two sweeps before
    np.testing.assert_allclose(points[:, :3], np.tile([25.0, 4.0, 1.5], (3, 1)), atol=1e-5)
    np.testing.assert_allclose(points[:, 4], [0.0, -0.25, -0.5], atol=1e-6)


def test_cameras_account_for_motion_between_exposure_and_frame(drive):
    front = drive.write().log()[1].cameras[0]
    assert (front.name, front.group, front.size_px) == ("CAM_FRONT", "front_wide", (48, 64))
    assert front.timestamp_us == START_US + 460_000
    # 40 ms at 10 m/s: the camera was 0.4 m behind its mount.
    np.testing.assert_allclose(front.ego_from_camera[:3, 3], [0.6, 0.0, 2.0], atol=1e-6)
    landmark = poses.apply(poses.invert(front.ego_from_camera), np.array([[25.0, 4.0, 1.5]]))
    pixel, depth = cameras.project(landmark, front.intrinsics, front.distortion)
    np.testing.assert_allclose(depth, [24.4], atol=1e-6)
    np.testing.assert_allclose(pixel, [[32 - 50 * 4 / 24.4, 24 + 50 * 0.5 / 24.4]], atol=1e-5)


def test_boxes_are_centred_in_the_ego_frame_length_first(drive):
    drive.annotate("car", "vehicle.car", [0, 1], lambda t: LANDMARK_M)
    labels = drive.write().log()[1].labels
    np.testing.assert_allclose(labels.boxes, [[25.0, 4.0, 1.5, 5.0, 2.0, 1.5, 0.0]], atol=1e-6)
    assert labels.num_lidar_points.tolist() == [1]
    assert labels.num_radar_points.tolist() == [-1]


def test_an_object_that_only_radar_saw_counts_as_in_the_official_evaluation(drive):
    for name, lidar, radar in (("one", 0, 3), ("two", 0, 0), ("three", 2, 0)):
        points = {"num_lidar_pts": lidar, "num_radar_pts": radar}
        drive.annotate(name, "vehicle.car", [0, 1], lambda t: LANDMARK_M, **points)
    labels = drive.write().log()[1].labels
    assert labels.num_radar_points.tolist() == [3, 0, 0]
    assert labels.seen.tolist() == [True, False, True]
    # No frame brings radar data, so a network cannot have seen it.
    assert labels.seen_with(lidar=True, cameras=True).tolist() == [False, False, True]
    assert labels.select(np.array([True, False, False])).num_radar_points.tolist() == [3]


def test_velocity_is_a_central_difference_over_ground_in_ego_axes(drive):
    def accelerating(time_s):
        return LANDMARK_M + np.array([0.0, 4.0 * time_s**2, 0.0])

    drive.annotate("car", "vehicle.car", [0, 1, 2], accelerating)
    log = drive.write().log()
    velocities = np.concatenate([log[i].labels.velocity_mps for i in range(3)])
    # One-sided at the ends: 1 m in the first half second, 3 m in the second.
    np.testing.assert_allclose(velocities, [[2, 0, 0], [4, 0, 0], [6, 0, 0]], atol=1e-6)


def test_velocity_is_unknown_for_a_single_annotation_and_across_a_gap(drive):
    drive.annotate("once", "vehicle.car", [1], lambda t: LANDMARK_M)
    drive.annotate("rare", "vehicle.bus.rigid", [0, 2], lambda t: LANDMARK_M)
    drive.tables["sample"][2]["timestamp"] += 10_000_000
    for row in drive.tables["sample_data"]:
        row["timestamp"] += 10_000_000 if row["sample_token"] == "s2" else 0
    log = drive.write().log()
    for index in range(3):
        assert not log[index].labels.velocity_valid.any()
        assert (log[index].labels.velocity_mps == 0).all()


@pytest.mark.parametrize(
    ("attributes", "name"),
    [(["ridden"], "non_motor"), (["riderless"], "riderless_non_motor"), ([], "non_motor")],
)
@pytest.mark.parametrize("category", ["vehicle.bicycle", "vehicle.motorcycle"])
def test_the_rider_attribute_decides_the_class_of_cycles(drive, category, attributes, name):
    drive.annotate("cycle", category, [0], lambda t: LANDMARK_M, attribute_tokens=attributes)
    assert [CLASS_NAMES[i] for i in drive.write().log()[0].labels.class_id] == [name]


def test_boxes_without_counterpart_are_no_labels_but_are_told_apart(drive):
    drive.annotate("dog", "animal", [0], lambda t: LANDMARK_M)
    drive.annotate("car", "vehicle.car", [0], lambda t: LANDMARK_M)
    log = drive.write().log()
    assert [CLASS_NAMES[i] for i in log[0].labels.class_id] == ["car"]
    recorded = log.annotated_boxes(0)
    assert recorded.words == ("animal", "vehicle.car")
    assert recorded.class_id.tolist() == [-1, 0]


def test_visibility_becomes_an_occlusion_level(drive):
    for token in ("1", "2", "3", "4", ""):
        drive.annotate(
            f"car{token}", "vehicle.car", [0], lambda t: LANDMARK_M, visibility_token=token
        )
    assert drive.write().log()[0].labels.occlusion_level.tolist() == [3, 2, 1, 0, -1]


def test_a_reduced_image_has_the_reduced_calibration(drive):
    root = drive.write().root
    drive.file("CAM_BACK1").unlink()
    least_px = (10, 16)
    (whole,) = open_logs(f"{root}", OpenOptions(least_px))
    (log,) = open_logs(f"{root}", OpenOptions(least_px, reduce_images=True))
    for camera, full in zip(log[1].cameras, whole[1].cameras, strict=True):
        assert (camera.size_px, full.size_px) == ((12, 16), (48, 64))
        assert (camera.image is None) == (full.image is None)
        assert full.image is None or camera.image.shape == (12, 16, 3)
        # Where a point is seen, in pixels whose centres are whole numbers, four to one.
        ray = np.array([0.3, -0.2, 1.0])
        seen, in_full = (each.intrinsics @ ray for each in (camera, full))
        np.testing.assert_allclose(seen[:2], (in_full[:2] + 0.5) / 4 - 0.5)
        # Both are cut to the same picture, but for a pixel at which the horizon is rounded.
        small, large = (prepare_camera(each, least_px) for each in (camera, full))
        np.testing.assert_allclose(small.intrinsics[:, :2], large.intrinsics[:, :2])
        assert np.abs(small.intrinsics - large.intrinsics).max() <= 1.0 + 1e-9


def test_two_scenes_number_their_tracks_each_from_the_start(drive):
    drive.tables["scene"].append({"token": "second", "name": "scene-0002"})
    drive.tables["sample"][2]["scene_token"] = "second"
    drive.annotate("a", "vehicle.car", [0], lambda t: LANDMARK_M)
    drive.annotate("b", "vehicle.truck", [0, 1, 2], lambda t: LANDMARK_M)
    first, second = open_logs(f"{drive.write().root}", OpenOptions(SIZE_PX))
    assert [first[i].labels.track_id.tolist() for i in range(2)] == [[0, 1], [1]]
    assert second[0].labels.track_id.tolist() == [0]
    assert second.sample_tokens == ["s2"]
    assert second.timestamps_us.tolist() == [START_US + 1_000_000]


def test_an_opened_data_set_follows_its_tables(drive):
    drive.annotate("a", "vehicle.car", [0], lambda t: LANDMARK_M)
    assert len(drive.write().log()[0].labels) == 1
    path = drive.root / "v1.0-made-up" / "sample_annotation.json"
    path.write_text("[]")
    assert drive.log()[0].labels is None


def test_a_track_keeps_its_number_through_the_scene(drive):
    drive.annotate("a", "vehicle.car", [0, 2], lambda t: LANDMARK_M)
    drive.annotate("b", "vehicle.truck", [0, 1, 2], lambda t: LANDMARK_M)
    log = drive.write().log()
    numbers = [
        dict(zip(log[i].labels.class_id.tolist(), log[i].labels.track_id.tolist(), strict=True))
        for i in range(3)
    ]
    assert numbers == [{0: 0, 1: 1}, {1: 1}, {0: 0, 1: 1}]


def test_a_version_without_annotations_is_unlabelled(drive):
    log = drive.write().log()
    assert log[0].labels is None
    assert log.annotated_boxes(0) is None


def test_recorded_point_numbers_are_not_compared_with_several_sweeps(drive):
    drive.annotate("car", "vehicle.car", [0], lambda t: LANDMARK_M)
    drive.write()
    assert drive.log().annotated_boxes(0).num_lidar_points.tolist() == [1]
    assert drive.log(",sweeps=2").annotated_boxes(0).num_lidar_points.tolist() == [-1]


def _empty(path):
    path.write_bytes(b"")


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-11])


def _halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damage", [_empty, _halve, Path.unlink])
def test_a_broken_image_is_a_failed_camera(drive, damage, caplog):
    damage(drive.write().file("CAM_BACK1"))
    log = drive.log()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            frame = log[1]
    front, back = frame.cameras
    assert front.image.shape == (48, 64, 3)
    assert back.image is None
    assert back.size_px == (48, 64)
    (fault,) = frame.faults
    assert fault.startswith("CAM_BACK: samples/CAM_BACK/CAM_BACK1.jpg: ")
    assert len(caplog.records) == 1  # named once
    assert not log[0].faults


def test_a_missing_camera_folder_is_named_once(drive, caplog):
    drive.write()
    for i in range(3):
        drive.file(f"CAM_BACK{i}").unlink()
    drive.file("CAM_BACK0").parent.rmdir()
    log = drive.log()
    with caplog.at_level(logging.WARNING):
        frames = [log[i] for i in range(3)]
    assert all(frame.faults == ("CAM_BACK: samples/CAM_BACK: no such folder",) for frame in frames)
    assert len(caplog.records) == 1


def test_a_keyframe_without_a_row_for_a_camera_keeps_the_camera(drive):
    rows = drive.tables["sample_data"]
    rows.remove(next(row for row in rows if row["token"] == "CAM_BACK1"))
    frame = drive.write().log()[1]
    back = frame.cameras[1]
    assert (back.name, back.image, back.timestamp_us) == ("CAM_BACK", None, frame.timestamp_us)
    np.testing.assert_allclose(back.ego_from_camera[:3, 3], [1.0, 0.0, 2.0], atol=1e-9)
    assert frame.faults[0].startswith("CAM_BACK: samples/CAM_BACK: no keyframe image")


@pytest.mark.parametrize("damage", [_empty, _truncate, Path.unlink])
def test_a_broken_sweep_is_a_failed_lidar(drive, damage):
    drive.annotate("car", "vehicle.car", [1], lambda t: LANDMARK_M)
    damage(drive.write().file("lidar1"))
    frame = drive.log()[1]
    assert frame.points is None
    assert len(frame.labels) == 1
    assert frame.faults[0].startswith("LIDAR_TOP: samples/LIDAR_TOP/lidar1.pcd.bin: ")


def test_a_broken_earlier_sweep_leaves_the_others(drive):
    _truncate(drive.write().file("between0"))
    frame = drive.log(",sweeps=3")[1]
    np.testing.assert_allclose(frame.points[:, 4], [0.0, -0.5], atol=1e-6)
    assert len(frame.faults) == 1


@pytest.mark.parametrize("table", ["sample", "ego_pose", "instance", "visibility"])
def test_a_missing_table_is_named(drive, table):
    drive.annotate("car", "vehicle.car", [0], lambda t: LANDMARK_M)
    (drive.write().root / "v1.0-made-up" / f"{table}.json").unlink()
    with pytest.raises(ValueError, match=rf"{table}\.json is missing; unpack"):
        drive.log()


def test_a_category_that_is_unknown_everywhere_is_named(drive):
    drive.annotate("ufo", "vehicle.saucer", [0], lambda t: LANDMARK_M)
    with pytest.raises(ValueError, match=r"category\.json: 1 of 1 .* = vehicle\.saucer: unknown"):
        drive.write().log()


def test_the_version_is_found_or_asked_for(drive):
    (drive.write().root / "v1.0-other").mkdir()
    with pytest.raises(ValueError, match=r"v1\.0-made-up, v1\.0-other"):
        drive.log()
    assert len(drive.log(",version=v1.0-made-up")) == 3


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/nowhere", "no folder v1"),
        ("/nowhere,sweep=2", "unknown option 'sweep'; use one of: version, sweeps, split, scenes"),
        ("/nowhere,sweeps=none", "sweeps must be a whole number"),
        ("/nowhere,version=v1.0-mini", r"scene\.json is missing"),
    ],
)
def test_a_wrong_location_says_what_to_do(location, message):
    with pytest.raises(ValueError, match=message):
        open_logs(location, OpenOptions(SIZE_PX))


def test_a_split_is_a_file_of_scenes(drive, tmp_path):
    drive.tables["scene"].append({"token": "second", "name": "scene-0002"})
    drive.tables["sample"][2]["scene_token"] = "second"
    root, split = drive.write().root, tmp_path / "split.txt"
    split.write_text("scene-0002\nscene-0001\n")
    logs = open_logs(f"{root},scenes={split}", OpenOptions(SIZE_PX))
    assert [log.name for log in logs] == ["scene-0002", "scene-0001"]
    split.write_text("scene-0001\n")
    (log,) = open_logs(f"{root},scenes={split}", OpenOptions(SIZE_PX))
    assert log.sample_tokens == ["s0", "s1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("scene-0001 scene-0404", "names scene-0404, which is not"), ("", "names no scene")],
)
def test_a_split_that_does_not_fit_is_refused(drive, tmp_path, content, message):
    root, split = drive.write().root, tmp_path / "split.txt"
    split.write_text(content)
    with pytest.raises(ValueError, match=message):
        open_logs(f"{root},scenes={split}", OpenOptions(SIZE_PX))
    with pytest.raises(ValueError, match=r"nowhere\.txt cannot be read"):
        open_logs(f"{root},scenes={tmp_path / 'nowhere.txt'}", OpenOptions(SIZE_PX))


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip(f"no nuScenes sample at {REAL}")
    (log,) = open_logs(str(REAL), OpenOptions(SIZE_PX))
    return log[0]


def test_every_sensor_of_the_real_keyframe_is_read(real):
    assert real.sequence == "scene-0061"
    assert not real.faults
    assert real.points.shape == (34_688, 5)
    assert len(real.cameras) == 6
    assert all(camera.image.shape == (900, 1600, 3) for camera in real.cameras)
    assert [camera.group for camera in real.cameras].count("side") == 4


def test_a_single_real_sample_has_boxes_without_velocity(real):
    assert len(real.labels) == 69
    assert not real.labels.velocity_valid.any()
    assert len(set(real.labels.track_id.tolist())) == 69


def test_real_boxes_stand_on_the_ground_of_the_ego_frame(real):
    near = np.hypot(*real.labels.boxes[:, :2].T) < 20
    bottom = real.labels.boxes[near, 2] - real.labels.boxes[near, 5] / 2
    assert near.sum() > 10
    assert abs(np.median(bottom)) < 0.3


def test_the_real_ground_runs_down_the_front_picture(real):
    front = next(camera for camera in real.cameras if camera.name == "CAM_FRONT")
    ahead = real.points[real.points[:, 0] > 5].astype(float)
    ground = ahead[(np.abs(ahead[:, 2]) < 0.2) & (np.abs(ahead[:, 1]) < 3), :3]
    in_camera = poses.apply(poses.invert(front.ego_from_camera), ground)
    pixels, depth = cameras.project(in_camera, front.intrinsics, front.distortion)
    # On a plane, the row below the horizon is proportional to inverse depth.
    assert np.corrcoef(1 / depth, pixels[:, 1])[0, 1] > 0.98
    assert pixels[:, 1].min() > 400
