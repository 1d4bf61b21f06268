"""The embedded world as a nuScenes data set, read back through our own adapter."""

import json

import numpy as np
import pytest

from leapai.data.log import open_logs
from leapai.types import CLASS_NAMES
from leapai_world.export_nuscenes import export_nuscenes

SIZE_PX = (64, 96)


def world(options="seed=3,frames=16,rig=six,place=street"):
    return open_logs(f"synthetic:{options}", image_size_px=SIZE_PX)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("export") / "nuscenes"
    drives = world()
    assert export_nuscenes(drives, root) == 4  # 10 Hz for 1.6 s: keyframes at 0, 0.5, 1.0, 1.5 s
    return drives[0], open_logs(f"nuscenes:{root}", image_size_px=SIZE_PX)[0], root


def test_keyframes_come_back_as_they_were(exported):
    drive, read, _ = exported
    assert read.timestamps_us.tolist() == drive.timestamps_us[::5].tolist()
    for i in range(len(read)):
        before, after = drive[5 * i], read[i]
        np.testing.assert_allclose(after.ego2global, before.ego2global, atol=1e-9)
        np.testing.assert_allclose(after.points[:, :4], before.points[:, :4], atol=1e-4)
        same = {c.name: c for c in before.cameras}
        assert {c.name for c in after.cameras} == set(same)
        for camera in after.cameras:
            other = same[camera.name]
            assert (camera.group, camera.timestamp_us) == (other.group, other.timestamp_us)
            np.testing.assert_allclose(camera.intrinsics, other.intrinsics)
            # The world interpolates the ego's path; the export asks for the exact pose.
            np.testing.assert_allclose(camera.ego_from_camera, other.ego_from_camera, atol=1e-4)
            difference = camera.image.astype(float) - other.image
            assert np.sqrt((difference**2).mean()) < 12  # JPEG of a noisy image of 64 x 96


def test_labels_come_back_as_they_were(exported):
    drive, read, _ = exported
    ids = {}
    for i in range(len(read)):
        before, after = drive[5 * i].labels, read[i].labels
        np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-6)
        assert np.array_equal(after.class_id, before.class_id)
        assert np.array_equal(after.num_lidar_points, before.num_lidar_points)
        assert np.array_equal(after.occlusion_level, before.occlusion_level)
        for ours, theirs in zip(before.track_id, after.track_id, strict=True):
            assert ids.setdefault(int(ours), int(theirs)) == theirs
    assert len(set(ids.values())) == len(ids)
    assert set(before.class_id) == set(range(len(CLASS_NAMES)))


def test_velocities_can_be_derived(exported):
    drive, read, _ = exported
    before, after = drive[5].labels, read[1].labels
    stands = np.linalg.norm(before.velocity_mps, axis=1) == 0
    assert np.abs(after.velocity_mps[stands & after.velocity_valid]).max() < 1e-6
    moves = ~stands & after.velocity_valid
    away = np.linalg.norm(after.velocity_mps - before.velocity_mps, axis=1)[moves]
    assert np.median(away) < 0.3  # a second apart against an instant


def test_sweeps_lie_between_keyframes(exported):
    drive, _, root = exported
    assert len(list(root.glob("samples/LIDAR_TOP/*.bin"))) == 4
    assert len(list(root.glob("sweeps/LIDAR_TOP/*.bin"))) == 12
    assert len(list(root.glob("sweeps/CAM_BACK/*.jpg"))) == 12
    several = open_logs(f"nuscenes:{root},sweeps=3", image_size_px=SIZE_PX)[0][2]
    counts = [len(drive[i].points) for i in (10, 9, 8)]
    assert len(several.points) == sum(counts)
    times = np.unique(several.points[:, 4])
    np.testing.assert_allclose(times, [-0.2, -0.1, 0.0], atol=1e-6)


def test_drives_keep_apart_and_tokens_are_unique(tmp_path):
    root = tmp_path / "two"
    export_nuscenes(world("seed=3,drives=2,frames=2,rate_hz=2,rig=six"), root)
    logs = open_logs(f"nuscenes:{root}", image_size_px=SIZE_PX)
    assert [log.name for log in logs] == ["synthetic-0003", "synthetic-0004"]
    assert [len(log) for log in logs] == [2, 2]


def test_the_official_evaluators_find_a_split_of_all_scenes(exported):
    _, read, root = exported
    splits = json.loads((root / "v1.0-mini" / "splits.json").read_text())
    assert splits == {"world": [read.name]}


def test_what_exists_is_never_overwritten(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match=r"there exists; name a new folder"):
        export_nuscenes(world(), tmp_path / "there")


def test_distorted_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lens distortion.*rig=six"):
        export_nuscenes(world("frames=1"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def own_rig(folder, **rig):
    path = folder / "rig.json"
    path.write_text(json.dumps(rig))
    return world(f"seed=3,frames=2,rate_hz=2,beams=8,rig={path}")


def test_a_rig_without_a_lidar_is_refused(tmp_path):
    camera = {"name": "CAM_FRONT", "group": "front_wide", "position_m": [1.7, 0, 1.5]}
    drives = own_rig(
        tmp_path, cameras=[camera | {"yaw_deg": 0, "horizontal_view_deg": 70}], lidar=None
    )
    with pytest.raises(ValueError, match=r"synthetic-0003 has no LiDAR.*use rig=six"):
        export_nuscenes(drives, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drives_have_calibrations_of_their_own_and_need_no_camera(tmp_path):
    low = own_rig(
        tmp_path, cameras=[], lidar={"position_m": [1, 0, 1.5], "elevation_deg": [-20, 5]}
    )
    other = world("seed=4,frames=2,rate_hz=2,beams=8,rig=six")
    export_nuscenes([*low, *other], tmp_path / "out")
    for before, after in zip(
        (*low, *other),
        open_logs(f"nuscenes:{tmp_path / 'out'}", image_size_px=SIZE_PX),
        strict=True,
    ):
        np.testing.assert_allclose(after[1].points[:, :4], before[1].points[:, :4], atol=1e-4)
        read = [camera for camera in after[1].cameras if camera.image is not None]
        assert len(read) == len(before.rig.cameras)
    tables = tmp_path / "out" / "v1.0-mini"
    sensors, calibrations = (
        json.loads((tables / f"{name}.json").read_text())
        for name in ("sensor", "calibrated_sensor")
    )
    assert len(sensors) == 7
    assert len(calibrations) == 8
    heights = {row["translation"][2] for row in calibrations if not row["camera_intrinsic"]}
    assert heights == {1.5, 1.9}


def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leapai_world.export_nuscenes._Writer.write_tables", full)
    with pytest.raises(ValueError, match=r"out: No space left on device; nothing is left"):
        export_nuscenes(world("frames=1,rig=six"), tmp_path / "out")
    assert not list(tmp_path.iterdir())
