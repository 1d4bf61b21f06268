"""The embedded world as its users see it: frames, their ground truth, and the options."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from leapai.data.log import OpenOptions
from leapai.geometry import angles, cameras, poses
from leapai.geometry import boxes as box_geometry
from leapai.types import CLASS_NAMES, DESIGN, Frame, occlusion_level_of
from leapai_world import open_logs

SIZE_PX = (64, 120)


def digest(frame: Frame) -> str:
    sha = hashlib.sha256()
    for camera in frame.cameras:
        assert camera.image is not None
        sha.update(camera.image.tobytes())
        sha.update(camera.ego_from_camera.tobytes())
    assert frame.points is not None
    assert frame.labels is not None
    sha.update(frame.points.tobytes())
    sha.update(frame.ego2global.tobytes())
    for field in vars(frame.labels).values():
        sha.update(field.tobytes() if isinstance(field, np.ndarray) else repr(field).encode())
    return sha.hexdigest()


@pytest.fixture(scope="module")
def log():
    return open_logs("seed=15,frames=40", OpenOptions(SIZE_PX))[0]


@pytest.fixture(scope="module")
def frame(log):
    return log[20]


def test_names_count_up_from_the_seed_and_options_are_obeyed():
    logs = open_logs("seed=7,drives=2,frames=5,rate_hz=4,beams=8", OpenOptions(SIZE_PX))
    assert [log.name for log in logs] == ["synthetic-0007", "synthetic-0008"]
    assert np.diff(logs[0].timestamps_us).tolist() == [250_000] * 4
    assert len(logs[0][0].points) < 8 * 1080


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("sead=3", "sead.*use: seed, drives, frames, rate_hz, beams, split"),
        ("frames=x", "frames = 'x' must be a whole number"),
        ("frames=0", "frames = 0 must be in 1"),
        ("rate_hz=-1", "rate_hz = -1 must be in"),
        ("rate_hz=nan", "rate_hz = nan must be in"),
        ("beams", "beams = '' must be"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(location, said):
    with pytest.raises(ValueError, match=said):
        open_logs(location, OpenOptions(SIZE_PX))


def test_the_same_bytes_in_another_process_and_in_another_order(log):
    program = (
        "from tests.world.test_sequence import *\n"
        "print(digest(open_logs('seed=15,frames=40', OpenOptions(SIZE_PX))[0][12]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as other:
        log[39], log[0]
        here = digest(log[12])
        there, _ = other.communicate()
    assert other.returncode == 0
    assert there.strip() == here


def test_another_seed_is_another_street(frame):
    other = open_logs("seed=4,frames=40", OpenOptions(SIZE_PX))[0][20]
    assert digest(other) != digest(frame)
    assert np.abs(other.ego2global[:2, 3] - frame.ego2global[:2, 3]).max() > 100


def test_frames_outside_the_drive_do_not_exist(log):
    assert log[-1].timestamp_us == log.timestamps_us[-1]
    with pytest.raises(IndexError):
        log[40]


def test_rig_has_seven_cameras_in_their_groups(frame):
    groups = {camera.name: camera.group for camera in frame.cameras}
    assert groups == {
        "front_narrow": "front_narrow",
        "front_wide": "front_wide",
        "back": "back",
        "front_left": "side",
        "front_right": "side",
        "back_left": "side",
        "back_right": "side",
    }
    for camera in frame.cameras:
        rotation = camera.ego_from_camera[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert camera.image.shape == (*SIZE_PX, 3)
        assert camera.image.dtype == np.uint8


def test_intrinsics_scale_with_the_image():
    small, large = (
        open_logs("frames=1,beams=2", OpenOptions(size))[0][0].cameras[1]
        for size in ((64, 120), (128, 240))
    )
    resized = cameras.resize_and_crop(small.intrinsics, (2.0, 2.0), (0.0, 0.0))
    assert np.allclose(resized, large.intrinsics)


def test_images_show_something(frame):
    for camera in frame.cameras:
        grey = camera.image.mean(-1)
        assert 40 < grey.mean() < 215
        assert grey.std() > 15
        sky, ground = camera.image[:6].mean((0, 1)), camera.image[-6:].mean((0, 1))
        assert np.abs(sky - ground).max() > 10


def test_the_ego_is_far_from_the_origin_and_drives(log):
    first, last = log[0].ego2global, log[39].ego2global
    assert first.dtype == np.float64
    assert np.linalg.norm(first[:2, 3]) > 1e6
    assert 10 < np.linalg.norm(last[:3, 3] - first[:3, 3]) < 60
    assert abs(poses.yaw_of(last) - poses.yaw_of(first)) > 1e-3


def test_every_class_appears_and_most_of_them_in_every_drive():
    everything = set()
    for log in open_logs("drives=5,beams=2", OpenOptions((32, 32))):
        seen = set()
        for index in (0, 39):
            seen |= set(log.ground_truth(index).labels.class_id.tolist())
        assert len(seen) >= 5, log.name
        everything |= seen
    assert everything == set(range(len(CLASS_NAMES)))


def test_labels_are_whole_and_in_range(frame):
    labels = frame.labels
    assert labels.boxes.dtype == np.float64
    assert labels.boxes[:, 0].min() >= -40
    assert labels.boxes[:, 0].max() <= 62.4
    assert np.abs(labels.boxes[:, 1]).max() <= 44.8
    assert np.abs(labels.boxes[:, 6]).max() <= np.pi
    assert labels.velocity_valid.all()
    assert len(set(labels.track_id.tolist())) == len(labels)
    assert ((labels.visible_fraction >= 0) & (labels.visible_fraction <= 1)).all()
    assert np.array_equal(labels.occlusion_level, occlusion_level_of(labels.visible_fraction))
    levels = set(labels.occlusion_level.tolist())
    assert {0, 3} <= levels


def test_bodies_stand_on_road_or_pavement(frame):
    bottom = frame.labels.boxes[:, 2] - frame.labels.boxes[:, 5] / 2
    assert ((bottom > 0) & (bottom < 0.14)).all()


def test_recorded_lidar_points_are_those_inside_the_boxes(frame):
    inside = box_geometry.points_inside(frame.points[:, :3], frame.labels.boxes).sum(1)
    assert np.array_equal(inside, frame.labels.num_lidar_points)
    assert (inside > 50).sum() >= 3


def test_points_have_an_intensity_and_a_time(frame):
    points = frame.points
    assert points.dtype == np.float32
    assert len(points) > 15_000
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 1
    assert points[:, 4].min() < -0.09
    assert points[:, 4].max() == 0
    ground = np.abs(points[:, 2]) < 0.05
    assert 0.2 < ground.mean() < 0.9


def test_truth_of_one_drive_agrees_with_itself_over_time():
    """Differences of global positions and headings give velocity, acceleration and heading."""
    log = open_logs("seed=5,frames=120,rate_hz=100,beams=2", OpenOptions((32, 32)))[0]
    window = [log[index] for index in (59, 60, 61)]
    tracks = [
        dict(zip(f.labels.track_id.tolist(), range(len(f.labels)), strict=True)) for f in window
    ]
    shared = sorted(set.intersection(*map(set, tracks)))
    assert len(shared) > 30
    before, now, after = (
        poses.apply(f.ego2global, f.labels.boxes[[t[i] for i in shared], :3])
        for f, t in zip(window, tracks, strict=True)
    )
    middle = window[1].labels.select(np.array([tracks[1][i] for i in shared]))
    velocity = poses.rotate(window[1].ego2global, middle.velocity_mps)
    acceleration = poses.rotate(window[1].ego2global, middle.acceleration_mps2)
    assert np.allclose((after - before) / 0.02, velocity, atol=2e-3)
    assert np.allclose((after - 2 * now + before) / 1e-4, acceleration, atol=0.02)
    speed = np.linalg.norm(middle.velocity_mps[:, :2], axis=1)
    course = np.arctan2(middle.velocity_mps[:, 1], middle.velocity_mps[:, 0])
    off = np.abs(angles.wrap(course - middle.boxes[:, 6]))
    assert (off[speed > 0.2] < 1e-6).all()
    assert (speed > 0.2).sum() > 5
    static = np.isin(middle.class_id, DESIGN.still_ids)
    assert (speed[static] == 0).all()


def test_pixels_and_projection_agree(frame):
    """A LiDAR return projected into a camera falls on the ray that the renderer cast there."""
    for camera in frame.cameras:
        rays = cameras.pixel_rays(camera.intrinsics, camera.distortion, camera.size_px)
        pixels, _ = cameras.project(
            rays.reshape(-1, 3) * 20.0, camera.intrinsics, camera.distortion
        )
        height, width = camera.size_px
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        assert np.abs(pixels - np.stack([u.ravel(), v.ravel()], -1)).max() < 0.01


def test_map_has_marks_and_kerbs_beside_the_ego(log, frame):
    lines = log.vector_map()
    layers = {line.layer for line in lines}
    assert layers == {"lane_boundary", "road_edge", "road_element", "drivable_area"}
    assert {line.kind for line in lines} >= {"ShortDashedLine", "Curb", "Lane"}
    ego = frame.ego2global[:3, 3]
    nearest = {
        (line.layer, i): np.linalg.norm(line.points_m - ego, axis=1).min()
        for i, line in enumerate(lines)
    }
    assert all(line.points_m.dtype == np.float64 for line in lines)
    assert min(d for (layer, _), d in nearest.items() if layer == "lane_boundary") < 3.0
    assert max(nearest.values()) < 25.0
