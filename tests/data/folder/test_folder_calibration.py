"""The calibration file: TOML and JSON, and what is wrong with it in one line."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

from leapai.data.folder.folder_calibration import (
    Calibration,
    CameraEntry,
    find_calibration,
    read_calibration,
)
from leapai.types import CAMERA_GROUPS
from tests.data.folder.made_up_drive import CALIBRATION, CAMERA, EGO_FROM_CAMERA

TOML = """
time_unit = "us"
[lidar]
columns = ["x", "y", "z", "intensity", "ring"]
intensity_max = 255
[[cameras]]
name = "front"
group = "front_wide"
size_px = [48, 64]
intrinsics = [[50, 0, 32], [0, 50, 24], [0, 0, 1]]
ego_from_camera = [[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]]
"""


def written(folder, content):
    path = folder / "calibration.json"
    path.write_text(json.dumps(content))
    return path


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "calibration.toml").write_text(TOML)
    of_toml = read_calibration(tmp_path / "calibration.toml")
    of_json = read_calibration(written(tmp_path, CALIBRATION))
    assert of_toml.cameras == of_json.cameras
    assert of_toml.lidar.columns == ("x", "y", "z", "intensity", "ring")
    np.testing.assert_array_equal(of_toml.cameras[0].pose(), EGO_FROM_CAMERA)


def test_two_calibrations_in_a_folder_are_refused(tmp_path):
    assert find_calibration(tmp_path) is None
    for name in ("calibration.toml", "calibration.json"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="keep one of them"):
        find_calibration(tmp_path)


def test_groups_are_those_of_the_network():
    assert get_args(CameraEntry.model_fields["group"].annotation) == CAMERA_GROUPS


def camera(**changes):
    entry = {k: v for k, v in (CAMERA | changes).items() if v is not None}
    return {"cameras": [entry]}


MIRRORED = [[-x for x in row[:3]] + [0] for row in EGO_FROM_CAMERA[:3]] + [[0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"time_unit": "h"}, "time_unit = 'h': must be 's', 'ms', 'us' or 'ns'"),
        ({"time_unit": "s", "rate_hz": 10}, "give time_unit .* or rate_hz .*, not both"),
        ({"rate_hz": 0}, "rate_hz = 0: must be greater than or equal to 0.01"),
        ({"camera": []}, "camera = .*: unknown name; did you mean cameras"),
        ({"poses": "../poses.csv"}, "poses: must be a path inside the folder"),
        ({"poses": "/etc/passwd"}, "poses: must be a path inside the folder"),
        (camera(fx=3), "cameras.0.fx = 3: unknown name"),
        (camera(group="front"), "cameras.0.group = 'front': must be 'front_narrow'"),
        (camera(ego_from_camera=None), r"cameras.0: ego_from_camera .* is missing; give a 4 x 4"),
        (camera(camera_from_ego=EGO_FROM_CAMERA), "ego_from_camera or camera_from_ego, not both"),
        (camera(ego_from_camera=MIRRORED), "must be a rotation: right-handed"),
        (camera(size_px=[20, 64]), "inside the image of size_px = .20, 64."),
        (camera(intrinsics=[[0, 0, 3], [0, 5, 3], [0, 0, 1]]), "must be ..fx, 0, cx."),
        (camera(intrinsics=[[float("nan"), 0, 3], [0, 5, 3], [0, 0, 1]]), "a finite number"),
        ({"cameras": [CAMERA, CAMERA]}, "'front' is the name of several"),
        ({"lidar": {"columns": ["x", "y", "i"]}}, "lidar: columns = .* must name x, y and z"),
    ],
)
def test_a_mistake_is_one_line_with_file_field_and_remedy(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_calibration(written(tmp_path, content))
    assert str(caught.value).startswith(f"{tmp_path / 'calibration.json'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1", "\x00", "[" * 100_000])
def test_what_is_no_json_and_no_toml_is_refused(tmp_path, text):
    for name in ("calibration.json", "calibration.toml"):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"{name}: is not valid"):
            read_calibration(tmp_path / name)


def test_without_a_file_defaults_hold():
    assert Calibration().lidar.pose()[2, 3] == 1.8
    assert Calibration().cameras == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cameras": [CAMERA | {"name": "../front"}]}, "must be a path inside the folder"),
        ({"cameras": [CAMERA | {"name": "/front"}]}, "must be a path inside the folder"),
        ({"cameras": [CAMERA | {"folder": "a/../../b"}]}, "must be a path inside the folder"),
        ({"cameras": [CAMERA | {"name": "lidar"}]}, "other than 'lidar'"),
        ({"cameras": [CAMERA | {"name": "a: b"}]}, "without ': '"),
        ({"cameras": [CAMERA | {"name": "a\x1b[2J"}]}, "must be printable"),
        ({"time_unit": None, "rate_hz": 1e-300}, "rate_hz = 1e-300"),
        ({"lidar": {"intensity_max": 1e-300}}, r"lidar\.intensity_max = 1e-300"),
        (
            {"lidar": {"ego_from_lidar": [[1, 0, 0, 1e4], *np.eye(4).tolist()[1:]]}},
            "1e\\+04 m .* on no vehicle; give metres",
        ),
    ],
)
def test_what_no_vehicle_has_is_refused(tmp_path, changes, words):
    path = written(tmp_path, {k: v for k, v in (CALIBRATION | changes).items() if v is not None})
    with pytest.raises(ValueError, match=words) as error:
        read_calibration(path)
    assert str(error.value).startswith(f"{path}: ")
