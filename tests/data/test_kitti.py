"""The KITTI tracking benchmark, read from a sequence made by its own formulas."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from leapai.data.data_names import named_source
from leapai.data.frame_check import check_frame
from leapai.data.kitti_reader import open_logs
from leapai.data.log import OpenOptions
from leapai.geometry import poses
from leapai.types import CLASS_NAMES

SIZE_PX = (40, 120)
K = np.array([[70.0, 0, 60], [0, 70, 20], [0, 0, 1]])
BASE_M = {"2": 0.06, "3": -0.47}
"""Cameras 2 and 3 are this far to the left of camera 0."""
SENSORS = ("velodyne/0000", "image_02/0000", "image_03/0000")
FORWARD = np.array([[0, -1.0, 0], [0, 0, -1], [1, 0, 0]])
"""Axes of the vehicle in those of a camera."""
LIDAR_M, CAMERA_M, IMU_M = np.array([0.8, 0, 1.73]), np.array([1.07, 0.06, 1.65]), 0.93
"""Places above the ground below the inertial unit."""
SPEED_MPS = 10.0
LATITUDE = 49.0
RADIUS_M = 6_378_137.0


def row(name, matrix, colon=":"):
    return f"{name}{colon} " + " ".join(f"{value:.12e}" for value in np.ravel(matrix))


def with_translation(rotation, translation):
    return np.hstack([rotation, np.reshape(translation, (3, 1))])


class Sequence:
    """The vehicle drives east; a car drives ahead of it at 3 m/s less, and a bicycle stands."""

    def __init__(self, root, frames=4):
        self.split, self.frames = root / "training", frames
        for name in ("calib", "oxts", "label_02", *SENSORS):
            (self.split / name).mkdir(parents=True)
        self.write("calib", [
            row("P0", K @ np.eye(3, 4)), row("R_rect", np.eye(3), ""),
            *(row(f"P{n}", K @ with_translation(np.eye(3), [b, 0, 0])) for n, b in BASE_M.items()),
            row("Tr_velo_cam", with_translation(FORWARD, FORWARD @ (LIDAR_M - CAMERA_M)), ""),
            row("Tr_imu_velo", with_translation(np.eye(3), [0, 0, IMU_M] - LIDAR_M), ""),
        ])  # fmt: skip
        self.write("oxts", [self.oxts(i) for i in range(frames)])
        self.write("label_02", [line for i in range(frames) for line in self.labels(i)])
        rng = np.random.default_rng(0)
        for i in range(frames):
            points = np.array([[10 - LIDAR_M[0], 2, 1 - LIDAR_M[2], 0.5]] * 4, "<f4")
            points.tofile(self.split / "velodyne/0000" / f"{i:06}.bin")
            pixels = rng.integers(0, 255, (*SIZE_PX, 3), dtype=np.uint8)
            for folder in SENSORS[1:]:
                Image.fromarray(pixels).save(self.split / folder / f"{i:06}.png")

    def write(self, folder, lines):
        (self.split / folder / "0000.txt").write_text("\n".join(lines) + "\n")

    def oxts(self, i):
        east_m = SPEED_MPS * i / 10
        longitude = 8.4 + np.rad2deg(east_m / (RADIUS_M * np.cos(np.deg2rad(LATITUDE))))
        return " ".join(map(repr, [LATITUDE, float(longitude), 110.0, *[0.0] * 27]))

    def labels(self, i):
        """In the axes of camera 0: places on the ground, turned about the axis down."""
        car = self.label(i, 7, "Car", 0, (1.5, 1.6, 4.0), [20 + (7 - SPEED_MPS) * i / 10, 3], 0.0)
        yaw = 0.5
        bike = self.label(i, 8, "Cyclist", 1, (1.7, 0.6, 1.8), [12 - SPEED_MPS * i / 10, -2], yaw)
        dont_care = f"{i} -1 DontCare -1 -1 -10 0 0 9 9 -1 -1 -1 -1000 -1000 -1000 -10"
        return [car, bike, dont_care, self.label(i, 9, "Tram", 3, (3, 2, 9), [30, 9], 0.0)]

    def label(self, i, track, word, occluded, hwl, ground_xy, yaw):
        x, y, z = FORWARD @ (np.array([*ground_xy, 0.0]) - self.camera_0)
        values = [*hwl, x, y, z, -yaw - np.pi / 2]
        return f"{i} {track} {word} 0 {occluded} 0.1 1 2 3 4 " + " ".join(
            map(repr, map(float, values))
        )

    camera_0 = CAMERA_M


@pytest.fixture
def sequence(tmp_path):
    return Sequence(tmp_path)


def opened(root):
    return open_logs(str(root), OpenOptions(SIZE_PX))


def test_frames_are_in_the_vehicles_axes_above_the_ground(sequence, tmp_path):
    (log,) = opened(tmp_path)
    assert log.name == "training-0000"
    assert log.timestamps_us.tolist() == [0, 100_000, 200_000, 300_000]
    frame = check_frame(log[1])
    assert frame.faults == ()
    moved = poses.invert(log[0].ego2global) @ frame.ego2global
    np.testing.assert_allclose(moved, poses.from_xyz_yaw(np.array([1.0, 0, 0]), 0), atol=1e-6)
    np.testing.assert_allclose(frame.points, [[10, 2, 1, 0.5, 0]] * 4, atol=1e-5)
    assert [camera.name for camera in frame.cameras] == ["image_02", "image_03"]
    for camera, base_m in zip(frame.cameras, BASE_M.values(), strict=True):
        np.testing.assert_allclose(camera.intrinsics, K)
        np.testing.assert_allclose(camera.ego_from_camera[:3, :3], FORWARD.T, atol=1e-9)
        expected = CAMERA_M + np.array([0, base_m, 0])
        np.testing.assert_allclose(camera.ego_from_camera[:3, 3], expected, atol=1e-9)
        assert camera.image.shape == (*SIZE_PX, 3)


def test_labels_have_box_velocity_occlusion_and_identity(sequence, tmp_path):
    log = opened(tmp_path)[0]
    labels = log[1].labels
    assert [CLASS_NAMES[i] for i in labels.class_id] == ["car", "non_motor"]  # no tram
    np.testing.assert_allclose(labels.boxes, [
        [19.7, 3, 0.75, 4.0, 1.6, 1.5, 0.0], [11, -2, 0.85, 1.8, 0.6, 1.7, 0.5],
    ], atol=1e-6)  # fmt: skip
    assert labels.velocity_valid.all()
    np.testing.assert_allclose(labels.velocity_mps, [[7, 0, 0], [0, 0, 0]], atol=1e-5)
    assert labels.occlusion_level.tolist() == [0, 2]
    assert labels.track_id.tolist() == [7, 8]
    assert len(log.ground_truth(3).labels) == 2


def test_the_test_split_has_no_labels(sequence, tmp_path):
    sequence.split.rename(tmp_path / "testing")
    for path in (tmp_path / "testing" / "label_02").iterdir():
        path.unlink()
    (tmp_path / "testing" / "label_02").rmdir()
    (log,) = opened(tmp_path / "testing")
    assert log.name == "testing-0000"
    assert log[0].labels is None


def test_sensors_that_are_missing_are_faults(sequence, tmp_path):
    """Four sweeps of sequence 0001 were never published."""
    (sequence.split / "velodyne/0000/000001.bin").unlink()
    (sequence.split / "image_02/0000/000001.png").write_bytes(b"no image")
    frame = opened(tmp_path)[0][1]
    assert frame.points is None
    assert frame.cameras[0].image is None
    assert [fault.split(": ")[0] for fault in frame.faults] == ["image_02", "lidar"]


@pytest.mark.parametrize(("folder", "words", "said"), [
    ("calib", "P2: 1 2 3", r"calib.0000\.txt: P2 = '1 2 3' lacks 12 finite numbers"),
    ("calib", "", "P2 = '' lacks 12 finite numbers"),
    ("oxts", "49.0 8.0", r"oxts.0000\.txt: row 1 = '49.0 8.0' lacks 6 finite numbers"),
    ("oxts", " ".join(["1e5"] * 30), "row 1: latitude = 100000 is not from -85 to 85; get"),
    ("oxts", "49 190" + " 0" * 28, "row 1: longitude = 190 is not from -180 to 180; get"),
    ("oxts", "", r"oxts.0000\.txt: has no row"),
    ("label_02", "0 1 Car nan", r"label_02.0000\.txt: row 1 = '0 1' lacks 10 finite numbers"),
    ("label_02", "0 1 Plane", "'Plane' is no class of KITTI"),
    ("label_02", f"0 1 Car{' 1' * 14}\n-2 1 Car{' 1' * 14}", "frame = -2 is no whole number from"),
    ("label_02", "0.5 1 Car" + " 1" * 14, r"frame = 0\.5 is no whole number from 0 to 3"),
    ("label_02", "0 1.5 Car" + " 1" * 14, r"track = 1\.5 is no whole number"),
    ("label_02", "0 1 Car 0 4" + " 1" * 12, "occluded = 4 is no whole number from -1 to 3"),
    ("calib", "P2: 70 0 60 1e9 0 70 20 0 0 0 1 0", r"calib.0000\.txt: .* on no vehicle; .* again"),
    ("calib", "P2: 1 1 0 0 1 1 0 0 0 0 1 0", r"calib.0000\.txt: P2 = .* is no projection to an im"),
    ("calib", "R_rect 2 0 0 0 2 0 0 0 2", r"R_rect has columns that are not orthonormal"),
    ("calib", f"Tr_imu_velo{' 0' * 12}", r"Tr_imu_velo has columns that are not orthonormal"),
])  # fmt: skip
def test_tables_that_are_damaged_are_errors_with_the_file(sequence, tmp_path, folder, words, said):
    path = sequence.split / folder / "0000.txt"
    rows = path.read_text().splitlines() if folder == "calib" else []
    kept = [row for row in rows if not row.startswith(words.split(" ")[0] or "P2")]
    sequence.write(folder, [*kept, words])
    with pytest.raises(ValueError, match=said):
        opened(tmp_path)[0][0]


GOOD_ROWS = {"label_02": "0 1 Car 0 0 1 1 1 1 1 1.5 1.6 4 3 1.7 20 0.5", "oxts": "49 8 110 0 0 0"}
SIDES, PLACES, TILTS = ("height", "width", "length"), "xyz", ("roll", "pitch")


@pytest.mark.parametrize(("folder", "column", "field", "least", "most"), [
    ("label_02", 0, "frame", 0, 3), ("label_02", 1, "track", -1, 1_000_000),
    ("label_02", 4, "occluded", -1, 3),
    *(("label_02", 10 + i, field, 0.01, 100) for i, field in enumerate(SIDES)),
    *(("label_02", 13 + i, field, -500, 500) for i, field in enumerate(PLACES)),
    ("label_02", 16, "rotation_y", -1000, 1000),
    ("oxts", 0, "latitude", -85, 85), ("oxts", 1, "longitude", -180, 180),
    ("oxts", 2, "altitude", -1000, 10_000), ("oxts", 5, "yaw", -1000, 1000),
    *(("oxts", 3 + i, field, -0.64, 0.64) for i, field in enumerate(TILTS)),
])  # fmt: skip
def test_values_are_bounded_and_named(sequence, tmp_path, folder, column, field, least, most):
    good = GOOD_ROWS[folder]

    def with_value(value):
        words = good.split()
        return " ".join([*words[:column], str(value), *words[column + 1 :]])

    for value in (least, most):
        sequence.write(folder, [with_value(value)] * 4)
        assert len(opened(tmp_path)) == 1
    for value in (least - 0.01, most + 0.01, 1e11):
        sequence.write(folder, ["", good, with_value(value)])
        found = re.escape(f"{folder}/0000.txt: row 3: {field} = {value:.10g} is n")
        with pytest.raises(ValueError, match=found + ".* from .*; get the file again$"):
            opened(tmp_path)


@pytest.mark.parametrize(("inside", "location"), [
    ("", "."), ("training", "."), ("training", ".."), ("training/oxts", ".."),
    ("training/oxts", "../.."),
])  # fmt: skip
def test_a_folder_may_be_named_from_inside_of_it(sequence, tmp_path, monkeypatch, inside, location):
    monkeypatch.chdir(tmp_path / inside)
    (log,) = opened(location)
    assert log.name == "training-0000"
    assert log[0].faults == ()


def test_a_folder_without_sequences_is_an_error(tmp_path):
    (tmp_path / "2011_09_26_drive_0001_extract" / "oxts").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"there is no drive; .* benchmark, .* raw recordings"):
        opened(tmp_path)


def test_a_calibration_is_checked_where_there_are_no_images(sequence, tmp_path):
    for name in ("image_02", "image_03"):
        (sequence.split / name).rename(tmp_path / name)
    rows = (sequence.split / "calib/0000.txt").read_text().splitlines()
    assert opened(tmp_path)[0][0].cameras == ()
    kept = [row for row in rows if not row.startswith("Tr_velo_cam")]
    sequence.write("calib", [*kept, f"Tr_velo_cam{' 3' * 12}"])
    with pytest.raises(ValueError, match=r"0000\.txt: Tr_velo_cam has columns that are not"):
        opened(tmp_path)


def test_empty_rows_are_skipped_and_unknown_occlusion_stays_unknown(sequence, tmp_path):
    words = sequence.label(1, 7, "Car", -1, (1.5, 1.6, 4.0), [20, 3], 0.0)
    sequence.write("label_02", ["", words, "", ""])
    sequence.write("oxts", [*(sequence.oxts(i) for i in range(4)), ""])
    log = opened(tmp_path)[0]
    assert len(log) == 4
    assert log.ground_truth(1).labels.occlusion_level.tolist() == [-1]


def test_another_machine_is_refused_in_words():
    with pytest.raises(ValueError, match="kitti: is not read from s3://; copy it to this machine"):
        opened("s3://bucket/kitti")


def test_a_folder_of_kitti_is_recognised(sequence, tmp_path):
    assert named_source(str(tmp_path)) == f"kitti:{tmp_path}"
