"""A folder of sensor files as a source: layouts, times, calibration, sensors that are missing."""

from __future__ import annotations

import logging
import pickle
import shutil

import numpy as np
import pytest

from leapai.data.data_names import named_source
from leapai.data.log import open_logs
from leapai.geometry import poses
from leapai.inspection.log_inspection import inspect_logs
from tests.data.folder.made_up_drive import (
    CAMERA,
    EGO_FROM_CAMERA,
    EGO_FROM_LIDAR,
    START_US,
    STEP_US,
    points,
    write_calibration,
    write_drive,
    write_image,
)


@pytest.fixture
def drive(tmp_path):
    return write_drive(tmp_path / "monday")


def opened(path):
    return open_logs(str(path), image_size_px=(64, 96))


def only(path):
    (log,) = opened(path)
    return log


def test_a_frame_is_a_sweep_with_the_newest_image_that_is_not_later(drive):
    log = only(drive)
    assert log.name == "monday"
    assert log.timestamps_us.tolist() == [START_US + i * STEP_US for i in range(3)]
    frame = log[2]
    (camera,) = frame.cameras
    assert (camera.name, camera.group, camera.image.shape) == ("front", "front_wide", (48, 64, 3))
    assert camera.image[-1, -1, 0] == 20  # the image of this frame, not of the one before
    assert camera.timestamp_us == frame.timestamp_us - 20_000
    np.testing.assert_array_equal(camera.ego_from_camera, EGO_FROM_CAMERA)
    assert frame.labels is None
    assert frame.faults == ()


def test_points_are_in_the_ego_frame_with_intensity_up_to_one(drive):
    raw, found = points(1), only(drive)[1].points
    expected = poses.apply(np.array(EGO_FROM_LIDAR, float), raw[:, :3].astype(float))
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 3], raw[:, 3] / 255, rtol=1e-6)
    assert (found[:, 4] == 0).all()
    assert found.dtype == np.float32


def test_an_image_that_is_too_old_or_not_there_is_a_missing_sensor(drive):
    (drive / "front" / f"{START_US + STEP_US - 20_000}.png").unlink()
    frame = only(drive)[1]
    assert frame.cameras[0].image is None
    assert frame.faults == (f"front: front: no image within 0.1 s before {START_US + STEP_US} us",)
    write_calibration(drive, max_image_age_s=0.5)
    frame = only(drive)[1]
    assert frame.cameras[0].timestamp_us == START_US - 20_000
    shutil.rmtree(drive / "front")
    assert only(drive)[1].cameras[0].image is None


def test_a_damaged_sweep_is_a_missing_sensor_and_the_drive_goes_on(drive):
    path = drive / "lidar" / f"{START_US}.bin"
    path.write_bytes(path.read_bytes()[:-5])
    log = only(drive)
    assert log[0].points is None
    assert "no whole points of 4 float32 (x y z intensity)" in log[0].faults[0]
    assert len(log[1].points) == 50


def test_a_pose_given_the_other_way_round_is_the_same(drive):
    frame = only(drive)[0]
    inverse = poses.invert(np.array(EGO_FROM_CAMERA, float)).tolist()
    camera = {k: v for k, v in CAMERA.items() if k != "ego_from_camera"}
    lidar = {"lidar_from_ego": poses.invert(np.array(EGO_FROM_LIDAR, float)).tolist()}
    write_calibration(
        drive, cameras=[camera | {"camera_from_ego": inverse}], lidar=lidar | {"intensity_max": 255}
    )
    again = only(drive)[0]
    np.testing.assert_allclose(again.cameras[0].ego_from_camera, EGO_FROM_CAMERA, atol=1e-12)
    np.testing.assert_allclose(again.points, frame.points, atol=1e-5)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1e-6), ("ms", 1e-3), ("ns", 1e3)])
def test_times_of_names_are_in_the_unit_of_the_calibration(drive, unit, factor):
    for folder in ("lidar", "front"):
        for path in (drive / folder).iterdir():
            time = int(path.stem) * factor
            name = (
                f"{int(time)}" if unit == "ns" else f"{time:.6f}" if unit == "s" else f"{time:.3f}"
            )
            path.rename(path.with_name(f"car1__{name}{path.suffix}"))
    write_calibration(drive, time_unit=unit)
    log = only(drive)
    assert log.timestamps_us.tolist() == [START_US + i * STEP_US for i in range(3)]
    assert log[1].cameras[0].timestamp_us == START_US + STEP_US - 20_000


def test_a_wrong_unit_is_refused_with_the_right_one(drive):
    write_calibration(drive, time_unit="ns")
    with pytest.raises(ValueError, match=r"lidar: time_unit = 'ns' puts the frames 0.0001 s apart"):
        opened(drive)
    write_calibration(drive, time_unit="ms")
    with pytest.raises(ValueError, match="puts the frames 100 s apart; is it 'us'"):
        opened(drive)
    write_calibration(drive, time_unit="s")
    with pytest.raises(ValueError, match="too large for time_unit = 's'; name a finer unit"):
        opened(drive)


def test_names_without_times_follow_each_other_at_a_rate(tmp_path):
    folder = tmp_path / "kitti"
    (folder / "lidar").mkdir(parents=True)
    for index in (1, 2, 10):
        points(index).tofile(folder / "lidar" / f"{index}.bin")
    write_image(folder / "front" / "10.jpg", 7)
    write_calibration(folder, time_unit=None, rate_hz=5)
    log = only(folder)
    assert log.timestamps_us.tolist() == [0, 200_000, 400_000]
    assert log[2].cameras[0].image[-1, -1, 0] == 7
    assert log[0].cameras[0].image is None


def test_poses_move_the_ego_and_a_camera_to_the_time_of_the_sweep(drive, caplog):
    rows = [f"{START_US + i * STEP_US - 50_000},{2 * i - 1.0},0,0,1,0,0,0" for i in range(5)]
    (drive / "poses.csv").write_text("\n".join(["time,x,y,z,qw,qx,qy,qz", *rows]))
    write_calibration(drive, poses="poses.csv")
    frame = only(drive)[1]  # 20 m/s: at 0 at the first sweep, images 20 ms earlier
    np.testing.assert_allclose(frame.ego2global[:3, 3], [2.0, 0, 0], atol=1e-6)
    ahead_m = np.array(EGO_FROM_CAMERA, float)[0, 3] - 0.4
    np.testing.assert_allclose(frame.cameras[0].ego_from_camera[0, 3], ahead_m, atol=1e-6)
    np.testing.assert_allclose(only(drive).ground_truth(1).ego2global, frame.ego2global)
    assert "the motion of the vehicle during a sweep is not undone" in caplog.text


def test_poses_that_do_not_reach_a_frame_are_refused(drive):
    (drive / "poses.csv").write_text(f"time,x,y,z,qw,qx,qy,qz\n{START_US},0,0,0,1,0,0,0\n")
    write_calibration(drive, poses="poses.csv")
    assert len(only(drive)) == 3
    (drive / "poses.csv").write_text(
        f"time,x,y,z,qw,qx,qy,qz\n{START_US - 1_000_000},0,0,0,1,0,0,0"
    )
    with pytest.raises(ValueError, match=r"poses.csv: no pose within 0.2 s of 17"):
        opened(drive)
    (drive / "poses.csv").write_text("time,x,y\n1,2,3\n")
    with pytest.raises(ValueError, match="has no column z; it must begin with a line time,x,y,z"):
        opened(drive)


def test_cameras_alone_are_frames_at_the_times_of_the_first(drive):
    shutil.rmtree(drive / "lidar")
    log = only(drive)
    assert log.timestamps_us.tolist() == [START_US + i * STEP_US - 20_000 for i in range(3)]
    assert log[0].points is None
    assert log[0].cameras[0].image is not None


def test_a_lone_sweep_works_by_defaults_that_are_said(tmp_path, caplog):
    points(0).tofile(tmp_path / "sweep7.bin")
    with caplog.at_level(logging.WARNING):
        log = only(tmp_path / "sweep7.bin")
    assert (log.name, len(log)) == ("sweep7", 1)
    frame = log[0]
    assert frame.cameras == ()
    np.testing.assert_allclose(frame.points[:, 2], points(0)[:, 2] + 1.8, atol=1e-5)
    assert frame.points[:, 3].max() <= 1
    for words in ("there is no calibration.toml", "1.8 m above the ground", "intensity is 255"):
        assert words in caplog.text


def test_a_lone_sweep_of_a_drive_has_its_calibration_and_its_image(drive):
    log = only(drive / "lidar" / f"{START_US + STEP_US}.bin")
    assert log.timestamps_us.tolist() == [START_US + STEP_US]
    assert log[0].cameras[0].image[-1, -1, 0] == 10


def test_a_folder_of_drives_may_share_a_calibration(tmp_path, caplog):
    for name in ("b", "a"):
        write_drive(tmp_path / name)
        (tmp_path / name / "calibration.json").unlink()
    write_calibration(tmp_path)
    logs = opened(tmp_path)
    assert [log.name for log in logs] == ["a", "b"]
    assert logs[0][0].cameras[0].image is not None
    assert "the vehicle stands still" in caplog.text


def test_sweeps_alone_in_a_folder_are_a_drive_and_two_comes_before_ten(tmp_path):
    for number in (10, 2):
        points(number).tofile(tmp_path / f"{number}.bin")
    (tmp_path / "._2.bin").write_bytes(b"of another system")
    log = only(tmp_path)
    assert log.timestamps_us.tolist() == [0, 100_000]
    np.testing.assert_allclose(log[0].points[:, 0], points(2)[:, 0], atol=1e-5)


def test_what_is_no_drive_is_refused_with_the_layout(tmp_path):
    with pytest.raises(ValueError, match=r"there is no drive; a drive holds lidar/\*.bin"):
        opened(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes.txt: is no LiDAR sweep \(.pcd.bin, .bin"):
        opened(tmp_path / "notes.txt")


@pytest.mark.parametrize("inner", ["", "front"])
def test_images_without_a_calibration_are_told_what_they_lack(tmp_path, inner):
    write_image(tmp_path / inner / "0.png", shade=0)
    with pytest.raises(ValueError, match=r"images but no calibration.toml, which states how the"):
        opened(tmp_path)


def test_a_log_survives_pickling_and_passes_inspection(drive):
    log = pickle.loads(pickle.dumps(only(drive)))
    inspection = inspect_logs([log])
    assert (inspection.frames, inspection.frames_with_points) == (3, 3)
    assert inspection.cameras[0].frames_with_image == 3
    assert inspection.frames_annotated == 0


def test_a_bare_path_is_recognised_by_its_files(tmp_path):
    (tmp_path / "v1.0-mini").mkdir()
    (tmp_path / "v1.0-mini" / "sample.json").touch()
    assert named_source(f"{tmp_path},sweeps=3") == f"nuscenes:{tmp_path},sweeps=3"
    (tmp_path / "val" / "log").mkdir(parents=True)
    (tmp_path / "val" / "log" / "city_SE3_egovehicle.feather").touch()
    for path in (tmp_path / "val", tmp_path / "val" / "log"):
        assert named_source(str(path)) == f"argoverse2:{path}"
    (tmp_path / "other").mkdir()
    assert named_source(str(tmp_path / "other")) == f"folder:{tmp_path / 'other'}"
    for data in ("synthetic:frames=2", "nuscenes:/x", "module:function:/x", "no_such_folder"):
        assert named_source(data) == data
