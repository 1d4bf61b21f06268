"""Rigs of the embedded world: by name, of a real vehicle, from the user's own file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from leapai.data import transforms
from leapai.data.argoverse2 import argoverse2_reader
from leapai.data.log import OpenOptions
from leapai_world import open_logs
from leapai_world.sensors.rig_files import open_rig

SIZE_PX = (48, 90)
AV2_LOG = (
    Path(__file__).resolve().parents[2].parent
    / "shared/data/argoverse2/val/7fab2350-7eaf-3b7e-a39d-6937a4c1bede"
)
OWN = {
    "cameras": [
        {
            "name": "windscreen",
            "group": "front_wide",
            "position_m": [1.7, 0.0, 1.4],
            "yaw_deg": 0.0,
            "pitch_deg": 2.0,
            "horizontal_view_deg": 90.0,
            "distortion": [-0.05, 0.005, 0.0, 0.0, 0.0],
        },
        {
            "name": "mirror",
            "group": "side",
            "position_m": [2.0, 1.1, 0.9],
            "yaw_deg": 110.0,
            "horizontal_view_deg": 120.0,
        },
    ],
    "lidar": {"position_m": [1.0, 0.0, 2.2], "elevation_deg": [-15.0, 15.0]},
}


def test_six_cameras_as_on_the_cars_of_nuscenes():
    frame = open_logs("rig=six,frames=1,beams=2", OpenOptions(SIZE_PX))[0][0]
    assert [(c.name, c.group) for c in frame.cameras] == [
        ("CAM_FRONT", "front_wide"),
        ("CAM_FRONT_RIGHT", "side"),
        ("CAM_FRONT_LEFT", "side"),
        ("CAM_BACK", "back"),
        ("CAM_BACK_LEFT", "side"),
        ("CAM_BACK_RIGHT", "side"),
    ]
    assert all(c.image.shape == (*SIZE_PX, 3) for c in frame.cameras)
    assert frame.cameras[1].ego_from_camera[1, 2] < -0.7  # The right one looks to the right.


@pytest.mark.skipif(not AV2_LOG.is_dir(), reason=f"{AV2_LOG} is not there")
def test_the_rig_of_a_real_log_has_the_calibration_of_its_prepared_images():
    rig = open_rig(f"argoverse2:{AV2_LOG}", SIZE_PX, 2)
    frame = argoverse2_reader.open_logs(str(AV2_LOG), OpenOptions(SIZE_PX))[0][0]
    real = [transforms.prepare_camera(camera, SIZE_PX) for camera in frame.cameras]
    assert [c.name for c in rig.cameras] == [c.name for c in real]
    assert [c.group for c in rig.cameras] == [c.group for c in real]
    for made, camera in zip(rig.cameras, real, strict=True):
        assert np.allclose(made.intrinsics, camera.intrinsics)
        assert np.abs(made.ego_from_camera[:3, :3] - camera.ego_from_camera[:3, :3]).max() < 0.01
        assert 1.2 < made.ego_from_camera[2, 3] < 2.2
    log = open_logs(f"frames=1,beams=2,rig=argoverse2:{AV2_LOG}", OpenOptions(SIZE_PX))[0]
    assert len(log[0].cameras) == 7


def written(folder: Path, content: object) -> str:
    path = folder / "own.json"
    path.write_text(json.dumps(content))
    return str(path)


def test_a_rig_of_ones_own(tmp_path):
    log = open_logs(f"frames=1,beams=4,rig={written(tmp_path, OWN)}", OpenOptions(SIZE_PX))[0]
    windscreen, mirror = log[0].cameras
    assert (windscreen.name, windscreen.group) == ("windscreen", "front_wide")
    assert np.isclose(windscreen.intrinsics[0, 0], SIZE_PX[1] / 2)
    assert windscreen.distortion[0] == -0.05
    # It looks 110 degrees to the left, and so just after the LiDAR has passed three quarters.
    assert mirror.ego_from_camera[:2, 2] @ [np.cos(1.92), np.sin(1.92)] > 0.99
    assert -25_000 < mirror.timestamp_us - log.timestamps_us[0] < -15_000


@pytest.mark.parametrize(
    ("lidar", "beams"), [({"lidar": None}, None), ({}, 4), ({"lidar": OWN["lidar"]}, 4)]
)
@pytest.mark.parametrize("cameras", [[], OWN["cameras"]])
def test_a_rig_without_cameras_or_without_a_lidar(tmp_path, cameras, lidar, beams):
    """`null` is no LiDAR; one that is left out is the usual one."""
    if not cameras and beams is None:
        return
    name = written(tmp_path, {"cameras": cameras} | lidar)
    frame = open_logs(f"frames=1,beams=4,rig={name}", OpenOptions(SIZE_PX))[0][0]
    assert len(frame.cameras) == len(cameras)
    assert (frame.points is None) == (beams is None)
    rig = open_rig(name, SIZE_PX, 4)
    assert (rig.lidar.beams if rig.lidar else None) == beams


def changed(*path: str | int, to: object) -> dict[str, object]:
    content = copy.deepcopy(OWN)
    place = content
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"cameras": [], "lidar": None}, "own.json: the file: .*neither a camera nor a LiDAR"),
        (changed("cameras", 0, "groop", to="side"), "cameras.0.groop = 'side'"),
        (changed("cameras", 0, "group", to="top"), "cameras.0.group = 'top'.*'front_narrow'"),
        (changed("cameras", 0, "yaw_deg", to="left"), "cameras.0.yaw_deg = 'left'.*number"),
        (changed("cameras", 0, "yaw_deg", to=float("nan")), "cameras.0.yaw_deg = nan.*finite"),
        (changed("cameras", 1, "horizontal_view_deg", to=200), "horizontal_view_deg = 200.*150"),
        (
            changed("cameras", 1, "position_m", to=[1.5, 0.2, 0.6]),
            r"cameras.1: position_m = \[1.5, 0.2, 0.6\] lies inside.*body.*mount it outside",
        ),
        (changed("cameras", 1, "position_m", to=[2, 2, -1]), "position_m = .*below the ground"),
        (changed("cameras", 1, "name", to="windscreen"), "'windscreen' is the name of several"),
        (changed("cameras", 0, "distortion", to=[-0.9, 0, 0, 0, 0]), "'windscreen' folds"),
        (changed("lidar", "elevation_deg", to=[10, -10]), "elevation_deg = .*low, then high"),
        ([], "the file = .*valid dictionary"),
    ],
)
def test_what_is_wrong_in_a_rig_file_is_named(tmp_path, content, said):
    with pytest.raises(ValueError, match=f"(?s){said}"):
        open_rig(written(tmp_path, content), SIZE_PX, 2)


def test_an_unreadable_rig_file_and_an_unknown_name(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.json is missing; give a rig"):
        open_rig(str(tmp_path / "missing.json"), SIZE_PX, 2)
    (tmp_path / "broken.json").write_text('{"cameras": [')
    with pytest.raises(ValueError, match=r"broken\.json is not valid JSON"):
        open_rig(str(tmp_path / "broken.json"), SIZE_PX, 2)
    with pytest.raises(ValueError, match="no rig 'eight'; use one of: seven, six"):
        open_logs("rig=eight", OpenOptions(SIZE_PX))
    with pytest.raises(ValueError, match="blur = 'yes' must be true or false"):
        open_logs("blur=yes", OpenOptions(SIZE_PX))
