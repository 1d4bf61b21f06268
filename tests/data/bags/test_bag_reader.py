"""ROS 2 bags as a source: frames are assembled causally, and sensors that fail are named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("rosbags")
from rosbags.rosbag2 import StoragePlugin

from leapai.data.bags.bag_reader import open_logs
from leapai.data.data_names import named_source
from leapai.data.log import OpenOptions
from tests.data.bags.made_up_bag import (
    SPEED_MPS,
    START_US,
    TABLE,
    MadeUpBag,
    header,
    opened,
    points,
)

ONE = points([[10, 0, -1]], intensity=("<f4", [50.0]))
STEP_US = 100_000


def plain_bag(folder, *, poses_until=3, plugin=StoragePlugin.MCAP):
    """Three sweeps at 10 Hz, images 30 ms before and 20 ms after each, poses at 20 Hz."""
    with MadeUpBag(folder, plugin) as bag:
        for time_us in range(START_US - STEP_US, START_US + poses_until * STEP_US, STEP_US // 2):
            bag.pose(time_us)
        for i in range(3):
            sweep_us = START_US + i * STEP_US
            bag.info(sweep_us)
            bag.image(sweep_us - 30_000, 10 * i + 1)
            bag.sweep(sweep_us, ONE)
            bag.image(sweep_us + 20_000, 10 * i + 2)
    return bag.path


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_frame_is_a_sweep_with_the_newest_images_that_are_not_later(tmp_path, plugin):
    log = opened(plain_bag(tmp_path, plugin=plugin))
    assert log.timestamps_us.tolist() == [START_US + i * STEP_US for i in range(3)]
    for i in range(3):
        frame = log[i]
        camera = frame.cameras[0]
        assert frame.faults == ()
        assert camera.timestamp_us == frame.timestamp_us - 30_000  # the next one is nearer
        assert (camera.image == 10 * i + 1).all()
        np.testing.assert_allclose(frame.ego2global[:3, 3], [i, 0, 0], atol=1e-9)
        # The camera was 30 ms behind, and looks ahead: its z axis is x of the ego.
        np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [-0.3, 0, 1], atol=1e-9)
        np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1, 0, 0], atol=1e-9)
        np.testing.assert_allclose(frame.points, [[10, 0, 1, 0.5, 0]])
        assert frame.labels is None


def test_the_calibration_is_that_of_the_camera_info(tmp_path):
    path = plain_bag(tmp_path)
    camera = opened(path)[0].cameras[0]
    assert camera.distortion.tolist() == [0.1, 0, 0, 0, 0]
    assert camera.intrinsics[0].tolist() == [8, 0, 5]


def test_rectified_images_have_no_lens_and_may_be_turned(tmp_path):
    cos, sin = np.cos(0.2), np.sin(0.2)
    with MadeUpBag(tmp_path) as bag:
        bag.pose(START_US)
        bag.info(START_US, r=np.array([cos, 0, sin, 0, 1, 0, -sin, 0, cos]))
        bag.image(START_US, 1)
        bag.sweep(START_US, ONE)
    rectified = TABLE["cameras"][0] | {"rectified": True}
    camera = opened(bag.path, cameras=[rectified])[0].cameras[0]
    assert not camera.distortion.any()
    assert camera.intrinsics[0].tolist() == [7, 0, 5]
    # The camera looks along x of the ego; its rectified image looks to the left of that.
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [cos, sin, 0], atol=1e-9)
    np.testing.assert_allclose(opened(bag.path)[0].cameras[0].ego_from_camera[:3, 2], [1, 0, 0])


def test_frames_without_a_pose_are_left_out_and_counted(tmp_path, caplog):
    path = plain_bag(tmp_path, poses_until=1)  # the last pose is at 50 ms, 50 ms before a sweep
    assert len(opened(path)) == 2
    assert "1 of 3 frames are left out" in caplog.text
    # Motion goes on for 50 ms, and no longer.
    np.testing.assert_allclose(opened(path)[1].ego2global[:3, 3], [1, 0, 0], atol=1e-9)
    with pytest.raises(ValueError, match="no message of /points has a time with a pose"):
        opened(path, max_pose_gap_s=0.01, max_extrapolation_s=0.0, stamps="log", lidar={
            "topic": "/points", "frame_after_stamp_s": 0.01})  # fmt: skip


def test_motion_comes_from_transforms_where_no_odometry_is_named(tmp_path):
    """As robots with SLAM have it: map <- odom, which is corrected now and then, <- vehicle."""
    with MadeUpBag(tmp_path) as bag:
        for i in range(5):
            time_us = START_US + i * STEP_US // 2
            bag.place("/tf", time_us, ("/map", "/odom"), [100, 5, 0])
            bag.place("/tf", time_us, ("odom", "base_link"), [0.5 * i, 0, 0])
        for time_us in (START_US + 25_000, START_US + 125_000):
            bag.sweep(time_us, ONE)
    table = {"global_frame": "map", "lidar": {"topic": "/points", "intensity_max": 100.0}}
    log = opened(bag.path, table)
    places = [log[i].ego2global[:3, 3].tolist() for i in range(2)]
    np.testing.assert_allclose(places, [[100.25, 5, 0], [101.25, 5, 0]], atol=1e-9)
    np.testing.assert_allclose(log[0].points, [[10, 0, 1, 0.5, 0]])


def test_clocks_of_sensors_that_differ_are_replaced_by_times_of_recording(tmp_path):
    with MadeUpBag(tmp_path) as bag:
        for time_us in range(START_US, START_US + 3 * STEP_US, STEP_US):
            bag.pose(time_us)
        bag.sweep(START_US, ONE, header=header(0, "lidar"))
        bag.sweep(START_US + STEP_US, ONE, header=header(7_000_000, "lidar"))
    table = {"odometry": "/odom", "lidar": TABLE["lidar"]}
    with pytest.raises(ValueError, match=r"do their clocks differ \(stamps: log\)\?"):
        opened(bag.path, table)
    log = opened(bag.path, table, stamps="log")
    assert log.timestamps_us.tolist() == [START_US, START_US + STEP_US]


@pytest.mark.parametrize(("kind", "unit", "scale", "from_clock"), [
    ("<f4", "s", 1.0, False),
    ("<u4", "ns", 1e-9, False),
    ("<f8", "s", 1.0, True),
    ("<f8", "ns", 1e-9, True),
])  # fmt: skip
def test_points_are_moved_to_where_they_were_at_the_time_of_the_frame(
    tmp_path, kind, unit, scale, from_clock
):
    """A wall 20 m ahead of where the sweep ended, seen on the way there."""
    since_stamp_s = np.array([0.0, 0.025, 0.05, 0.1])
    seen_m = 20.0 + SPEED_MPS * (0.1 - since_stamp_s)
    begin_us = 1_700_000_000_000_000 if from_clock else START_US
    times = (since_stamp_s + (begin_us / 1e6 if from_clock else 0)) / scale
    xyz = np.stack([seen_m, 0 * seen_m, 0 * seen_m], -1)
    with MadeUpBag(tmp_path) as bag:
        for time_us in range(begin_us, begin_us + 200_000, 50_000):
            bag.pose(time_us)
        bag.sweep(begin_us, points(xyz, t=(kind, times)))
    lidar = {
        "topic": "/points",
        "time_field": "t",
        "time_unit": unit,
        "frame_after_stamp_s": 0.1,
    }
    log = opened(bag.path, {"odometry": "/odom", "lidar": lidar})
    frame = log[0]
    assert frame.timestamp_us == begin_us + 100_000
    np.testing.assert_allclose(frame.points[:, 0], 20, atol=2e-3)
    np.testing.assert_allclose(frame.points[:, 4], since_stamp_s - 0.1, atol=1e-5)
    still = opened(bag.path, {"global_frame": None, "lidar": lidar})[0]
    np.testing.assert_allclose(still.points[:, 0], seen_m, atol=1e-5)


@pytest.mark.parametrize("ticks", [[0.0, 1e8], [0.0, np.nan], [1e300, -1e300]])
def test_times_that_are_of_no_sweep_cost_the_points_and_name_the_unit(tmp_path, ticks):
    with MadeUpBag(tmp_path) as bag:
        bag.pose(START_US)
        bag.sweep(START_US, points([[9, 0, 0], [10, 0, 0]], t=("<f8", ticks)))
    lidar = {"topic": "/points", "time_field": "t", "time_unit": "s"}
    frame = opened(bag.path, {"odometry": "/odom", "lidar": lidar})[0]
    assert frame.points is None
    assert "correct time_field = 't' and time_unit = 's'" in frame.faults[0]


def test_a_sensor_that_fails_is_named_and_the_frame_goes_on(tmp_path, caplog):
    with MadeUpBag(tmp_path) as bag:
        for time_us in range(START_US - STEP_US, START_US + 5 * STEP_US, STEP_US):
            bag.pose(time_us)
        bag.info(START_US)
        bag.image(START_US, 1)
        bag.sweep(START_US, ONE)
        bag.image(START_US + STEP_US, 1, step=4)
        bag.sweep(START_US + STEP_US, ONE, point_step=8)
        bag.image(START_US + 2 * STEP_US, 1, encoding="x" * 100)
        bag.sweep(START_US + 2 * STEP_US, ONE, width=4_000_000_000)
        bag.raw("/image", START_US + 3 * STEP_US, bag_header(START_US + 3 * STEP_US))
        bag.raw("/points", START_US + 3 * STEP_US, bag_header(START_US + 3 * STEP_US))
    log = opened(bag.path)
    assert [len(log[i].faults) for i in range(4)] == [0, 2, 2, 2]
    for i in range(1, 4):
        frame = log[i]
        assert frame.points is None
        assert frame.cameras[0].image is None
        assert [fault.split(": ")[:2] for fault in frame.faults] == [
            ["front", "image"],
            ["lidar", "points"],
        ]
    assert "holds 180 bytes in rows of 4" in log[1].faults[0]
    assert "lies outside of a point of 8 bytes" in log[1].faults[1]
    assert "encoding" in log[2].faults[0]
    assert "cannot be decoded as sensor_msgs/msg/PointCloud2" in log[3].faults[1]


def bag_header(time_us):
    """A message that ends after its time."""
    stamp = np.array([time_us // 10**6, time_us % 10**6 * 1000], "<u4")
    return bytes([0, 1, 0, 0]) + stamp.tobytes()


@pytest.mark.parametrize("encoding", ["uyvy", "yuyv"])
def test_an_image_whose_encoding_does_not_fit_its_size_costs_the_camera(tmp_path, encoding):
    pixels = {"width": 9, "step": 18, "data": np.zeros(6 * 18, np.uint8)}
    with MadeUpBag(tmp_path) as bag:
        bag.pose(START_US)
        bag.info(START_US, width=9)
        bag.image(START_US, 0, encoding, **pixels)  # two pixels share their colour
        bag.sweep(START_US, ONE)
    frame = opened(bag.path)[0]
    assert frame.cameras[0].image is None
    assert frame.faults == (f"front: image: encoding '{encoding}' does not fit 9 x 6 pixels",)
    assert len(frame.points) == 1


def test_transforms_that_are_none_are_left_out_and_counted(tmp_path, caplog):
    """One node that sends nonsense, about frames that nobody asked for or of a moment, does not
    refuse the drive."""
    with MadeUpBag(tmp_path) as bag:
        bag.mount("arm", [0, 0, 0], [0, 0, 0, 0])
        for i in range(5):
            time_us = START_US + i * STEP_US // 2
            bag.place("/tf", time_us, ("odom", "base_link"), [0.5 * i, 0, 0])
            bag.place("/tf", time_us, ("gripper", "finger"), [np.nan, 0, 0])
        bag.place("/tf", START_US + STEP_US // 4, ("odom", "base_link"), [9, 0, 0], [0, 0, 0, 0])
        bag.raw("/tf", START_US, b"")
        for time_us in (START_US + STEP_US // 4, START_US + STEP_US):
            bag.sweep(time_us, ONE)
    log = opened(bag.path, {"lidar": TABLE["lidar"]})
    ahead_m = [log[i].ego2global[0, 3] for i in range(2)]
    np.testing.assert_allclose(ahead_m, [0.25, 1.0], atol=1e-9)
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 2
    assert "/tf_static: 1 transforms cannot be decoded, or are no pose" in warned[0]
    assert "/tf: 7 transforms cannot be decoded, or are no pose" in warned[1]


def test_odometry_that_cannot_be_used_leaves_a_gap(tmp_path, caplog):
    """The rules on gaps decide what is lost: a long one costs its frames, a short one none."""
    with MadeUpBag(tmp_path) as bag:
        for i in range(9):
            time_us = START_US + i * STEP_US
            if 2 <= i <= 3 or i == 6:
                bag.raw("/odom", time_us, bag_header(time_us))
            else:
                bag.pose(time_us, np.nan if i == 4 else None)
            bag.sweep(time_us, ONE)
    log = opened(bag.path, {"odometry": "/odom", "lidar": TABLE["lidar"]})
    known = [0, 1, 5, 6, 7, 8]
    assert log.timestamps_us.tolist() == [START_US + i * STEP_US for i in known]
    ahead_m = [log[i].ego2global[0, 3] for i in range(len(known))]
    np.testing.assert_allclose(ahead_m, known, atol=1e-9)
    assert "/odom: 4 transforms cannot be decoded" in caplog.text
    assert "3 of 9 frames are left out" in caplog.text


def test_an_image_that_is_too_old_is_not_used(tmp_path):
    log = opened(plain_bag(tmp_path), max_image_age_s=0.02)
    assert log[0].cameras[0].image is None
    assert log[0].faults[0].startswith("front: image: no image within 0.02 s before 1000000000 us")


@pytest.mark.parametrize(("changes", "words"), [
    ({"odometry": "/odo"}, "odometry = '/odo' is not in the bag; topics of type "
     "nav_msgs/msg/Odometry: /odom"),
    ({"odometry": None}, "no transform connects the frames 'odom' and 'base_link'; frames of the "
     "bag: base_link, camera, lidar; correct ego_frame and global_frame"),
    ({"lidar": {"topic": "/info"}}, "lidar.topic = '/info' is of type sensor_msgs/msg/CameraInfo"),
    ({"cameras": [TABLE["cameras"][0] | {"frame": "nose"}]}, "camera front: no transform connects "
     "the frames 'base_link' and 'nose'"),
    ({"max_image_age": 1}, "max_image_age = 1: unknown name"),
    ({"lidar": None, "cameras": []}, "there is neither lidar nor cameras"),
    ({"lidar": {"topic": "/image"}, "stamps": "clock"}, "stamps = 'clock'"),
])  # fmt: skip
def test_a_table_that_does_not_fit_is_an_error_with_the_remedy(tmp_path, changes, words):
    with pytest.raises(ValueError, match=r"drive|topics\.json") as error:
        opened(plain_bag(tmp_path), **changes)
    assert words in str(error.value)


@pytest.mark.parametrize(("changes", "words"), [
    ({"distortion_model": "equidistant"}, "distortion_model = 'equidistant' is not plumb_bob"),
    ({"d": np.arange(8.0)}, "has more than five coefficients"),
    ({"k": np.zeros(9)}, "is no calibration of a camera"),
    ({"height": 0}, "height and width are (0, 10)"),
    ({"binning_x": 2}, "binning of (2, 0) and a region of interest (0, 0, 0, 0) leave a part"),
    ({"r": np.ones(9), "rectified": True}, "is no rotation"),
])  # fmt: skip
def test_a_calibration_that_cannot_be_is_an_error(tmp_path, changes, words):
    camera = TABLE["cameras"][0] | {"rectified": "rectified" in changes}
    with MadeUpBag(tmp_path) as bag:
        bag.pose(START_US)
        bag.info(START_US, **{name: changes[name] for name in changes if name != "rectified"})
        bag.image(START_US, 1)
        bag.sweep(START_US, ONE)
    with pytest.raises(ValueError, match=r"/info at 1000\.000 s") as error:
        opened(bag.path, cameras=[camera])
    assert words in str(error.value)


def test_without_a_table_the_sensors_of_the_bag_are_listed(tmp_path):
    path = plain_bag(tmp_path)
    with pytest.raises(ValueError, match=r"topics\.json is missing") as error:
        open_logs(str(path), OpenOptions((6, 10)))
    assert str(error.value).endswith("/image (Image), /points (PointCloud2)")
    table = tmp_path / "elsewhere.json"
    table.write_text(json.dumps(TABLE))
    assert len(open_logs(f"{path},topics={table}", OpenOptions((6, 10)))) == 1


def test_bags_are_recognised_by_their_files_and_read_alone_or_in_folders(tmp_path):
    path = plain_bag(tmp_path)
    single = next(path.glob("*.mcap"))
    for place in (path, single, tmp_path):
        assert named_source(str(place)) == f"rosbag:{place}"
    (tmp_path / "topics.json").write_text(json.dumps(TABLE))
    shutil.copy(single, tmp_path / "alone.mcap")
    options = OpenOptions((6, 10))
    assert [log.name for log in open_logs(str(tmp_path), options)] == ["alone", "drive"]
    with pytest.raises(ValueError, match="rosbags-convert"):
        open_logs(str(tmp_path / "nothing"), options)


@pytest.mark.parametrize("calibration", ["calibration.json", "drive/calibration.toml"])
def test_a_calibration_file_says_that_a_folder_is_of_sensor_files(tmp_path, calibration):
    """The recording that they were taken from, or metadata of any kind, may lie with them."""
    (tmp_path / "drive").mkdir()
    for name in ("drive/metadata.yaml", "raw.mcap"):
        (tmp_path / name).touch()
        assert named_source(str(tmp_path)) == f"rosbag:{tmp_path}"
    (tmp_path / calibration).touch()
    assert named_source(str(tmp_path)) == f"folder:{tmp_path}"
    assert named_source(str(tmp_path / "raw.mcap")) == f"rosbag:{tmp_path / 'raw.mcap'}"


def test_bags_of_one_name_are_an_error_that_names_both(tmp_path):
    path = plain_bag(tmp_path)
    shutil.copy(next(path.glob("*.mcap")), tmp_path / "drive.mcap")
    with pytest.raises(ValueError, match="are both drive 'drive'; name one of them") as error:
        open_logs(str(tmp_path), OpenOptions((6, 10)))
    assert f"{path} and {path}.mcap" in str(error.value)
    assert opened(path).name == "drive"


def test_a_damaged_bag_is_an_error_that_names_it(tmp_path):
    path = plain_bag(tmp_path)
    file = next(path.glob("*.mcap"))
    content = bytearray(file.read_bytes())
    (tmp_path / "topics.json").write_text(json.dumps(TABLE))
    for damaged in (content[:100], b"no bag", content[: len(content) // 2]):
        (tmp_path / "damaged.mcap").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged\.mcap: cannot be read as a bag of ROS 2"):
            open_logs(str(tmp_path / "damaged.mcap"), OpenOptions((6, 10)))


def test_frames_are_the_same_in_any_order(tmp_path):
    log = opened(plain_bag(tmp_path))
    forward = [log[i] for i in range(3)]
    for i in (2, 1, 0):
        assert np.array_equal(log[i].points, forward[i].points)
        assert np.array_equal(log[i].ego2global, forward[i].ego2global)
        assert np.array_equal(log[i].cameras[0].image, forward[i].cameras[0].image)


def test_a_bag_that_breaks_while_it_is_read_costs_sensors_and_not_the_drive(tmp_path):
    path = plain_bag(tmp_path)
    log = opened(path)
    assert log[0].faults == ()
    file = next(path.glob("*.mcap"))
    with file.open("r+b") as content:  # in place: the bag is open
        content.truncate(file.stat().st_size // 4)
    frame = log[0]
    assert frame.points is None
    assert frame.cameras[0].image is None
    assert [fault.split(": ")[0] for fault in frame.faults] == ["front", "lidar"]
    assert all("cannot be read as a bag of ROS 2" in fault for fault in frame.faults)
    np.testing.assert_allclose(frame.ego2global[:3, 3], [0, 0, 0], atol=1e-9)
