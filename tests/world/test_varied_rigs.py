"""Rigs drawn from a seed: what may be drawn, and that every one gives frames in order."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from leapai.config.load import load_config
from leapai.data.frame_check import check_frame
from leapai.data.log import OpenOptions
from leapai.data.transforms import collate, fitted, on_one_rig
from leapai.geometry import poses
from leapai.inspection.log_inspection import inspect_logs
from leapai.models.build import build_model
from leapai.types import CAMERA_GROUPS
from leapai_world import open_logs
from leapai_world.sensors.lidar_sensor import PACKETS
from leapai_world.sensors.rig import Rig
from leapai_world.sensors.varied_rigs import BEAM_TABLES, varied_rig
from leapai_world.sequence import SyntheticSequence

SIZE_PX = (32, 64)
SEEDS = range(2_000_000, 2_000_100)


@cache
def drawn() -> list[Rig]:
    return [varied_rig(seed, (2, 4)) for seed in SEEDS]


@pytest.fixture(scope="module")
def rigs() -> list[Rig]:
    return drawn()


def test_the_same_seed_draws_the_same_rig(rigs):
    varied_rig.cache_clear()
    again = varied_rig(SEEDS[5], (2, 4))
    assert again is not rigs[5]
    assert [c.name for c in again.cameras] == [c.name for c in rigs[5].cameras]
    assert again.conditions == rigs[5].conditions
    assert again.lidar.receiver == rigs[5].lidar.receiver
    assert np.array_equal(again.lidar.rays_ego, rigs[5].lidar.rays_ego)
    large = varied_rig(SEEDS[5], (32, 60))
    assert [c.dt_us for c in large.cameras] == [c.dt_us for c in again.cameras]


def test_rigs_have_none_to_seven_cameras_and_some_lack_a_sensor(rigs):
    counts = Counter(len(rig.cameras) for rig in rigs)
    assert {0, 1, 2, 3, 4, 6, 7} == set(counts)
    assert all(rig.cameras or rig.lidar is not None for rig in rigs)
    without_lidar = np.mean([rig.lidar is None for rig in rigs])
    without_cameras = np.mean([not rig.cameras for rig in rigs])
    assert 0.02 < without_lidar < 0.15
    assert 0.05 < without_cameras < 0.20
    assert {c.group for rig in rigs for c in rig.cameras} == set(CAMERA_GROUPS)


def test_beams_heights_and_errors_spread_as_on_real_vehicles(rigs):
    lidars = [rig.lidar for rig in rigs if rig.lidar is not None]
    assert {lidar.beams for lidar in lidars} == {16, 32, 40, 64, 128}
    assert {(len(e), steps) for e, steps in BEAM_TABLES.values()} >= {
        (lidar.beams, lidar.azimuth_steps) for lidar in lidars
    }
    believed = [poses.apply(li.calibrated_from_true, li.position_ego_m[None])[0] for li in lidars]
    height = np.array(believed)[:, 2]
    assert ((height >= 1.4) & (height <= 2.25)).all()
    assert height.max() - height.min() > 0.5
    error_m = [
        np.linalg.norm(a - li.position_ego_m) for a, li in zip(believed, lidars, strict=True)
    ]
    assert 0.005 < np.median(error_m) < 0.08
    tilt_deg = [np.degrees(np.arccos(li.calibrated_from_true[2, 2])) for li in lidars]
    assert 0.2 < np.median(tilt_deg) < 1.0
    assert max(tilt_deg) < 2.5
    body = np.mean([np.isfinite(lidar.body_m).any() for lidar in lidars])
    assert 0.3 < body < 0.7


def test_receivers_report_the_ground_as_real_ones_do(rigs):
    """Most are linear with a ground of .03 to .055; some report .2 to .4, compressed."""
    receivers = [rig.lidar.receiver for rig in rigs if rig.lidar is not None]
    ground = np.array([r.gain * 0.04**r.gamma for r in receivers])
    assert ((ground > 0.029) & (ground < 0.41)).all()
    usual = (ground < 0.056).mean()
    bright = (ground >= 0.2).mean()
    assert 0.4 < usual < 0.7
    assert 0.12 < bright < 0.4
    assert all(0.9 <= r.gamma <= 1.1 for r, g in zip(receivers, ground, strict=True) if g < 0.05)
    assert 0.3 < np.mean([r.second_returns > 0 for r in receivers]) < 0.7
    assert 0.03 < np.mean([r.wetness > 0 for r in receivers]) < 0.25


def test_cameras_are_moved_and_turned_and_look_about_where_their_group_does(rigs):
    for rig in rigs:
        for camera in rig.cameras:
            x, y, z = camera.ego_from_camera[:3, 3]
            assert -1.4 < x < 2.2
            assert abs(y) < 1.0
            assert 1.0 < z < 2.2
            assert -100_000 <= camera.dt_us <= 0
            ahead = camera.ego_from_camera[:2, 2] / np.linalg.norm(camera.ego_from_camera[:2, 2])
            if camera.group.startswith("front"):
                assert ahead[0] > np.cos(np.radians(20))
            if camera.group == "back":
                assert ahead[0] < -0.8
    heights = {round(float(c.ego_from_camera[2, 3]), 3) for rig in rigs for c in rig.cameras}
    assert len(heights) > 200


def test_a_triggered_camera_exposes_when_the_sweep_looks_its_way(rigs):
    """A camera that follows the LiDAR sees the packets of its direction at its own time."""
    followed = 0
    for rig in rigs:
        if rig.lidar is None or len({c.dt_us for c in rig.cameras}) < 3:
            continue
        followed += 1
        ring = rig.lidar.rays_ego[: rig.lidar.azimuth_steps]
        for camera in rig.cameras:
            nearest = int((ring[:, :2] @ camera.ego_from_camera[:2, 2]).argmax())
            seen_s = rig.lidar.dt_s[rig.lidar.instant[nearest]]
            late_s = abs(camera.dt_us * 1e-6 - seen_s)
            assert min(late_s, 0.1 - late_s) < 2.5 * 0.1 / PACKETS
    assert followed > 30


@cache
def drives() -> list[SyntheticSequence]:
    """One drive of each layout of cameras with a LiDAR, and one without a LiDAR."""
    found: dict[tuple[str, ...], int] = {}
    for number, rig in enumerate(drawn()):
        layout = ("no LiDAR",) if rig.lidar is None else tuple(c.name for c in rig.cameras)
        found.setdefault(layout, number)
    logs = open_logs(f"split=train,drives={len(SEEDS)},frames=2,rig=varied", OpenOptions(SIZE_PX))
    return [logs[number] for number in sorted(found.values())]


@cache
def frames():
    return [log[1] for log in drives()]


def test_every_layout_gives_frames_in_order():
    kinds = [(len(frame.cameras), frame.points is None) for frame in frames()]
    assert (0, False) in kinds
    assert any(no_lidar for _, no_lidar in kinds)
    for frame in frames():
        checked = check_frame(frame)
        assert checked.faults == ()
        assert len(checked.cameras) == len(frame.cameras)
        assert all(c.image is not None and c.image.shape == (*SIZE_PX, 3) for c in checked.cameras)
        if frame.points is None:
            assert (frame.labels.num_lidar_points == 0).all()
        else:
            assert len(frame.points) > 1000
            assert ((frame.points[:, 3] >= 0) & (frame.points[:, 3] <= 1)).all()


def test_every_layout_passes_the_inspection():
    for log in drives():
        inspection = inspect_logs([log], 1)
        assert inspection.warnings == (), log.name
        assert inspection.faults == ()


def test_ground_truth_does_not_depend_on_the_rig():
    for log, frame in zip(drives()[:3], frames(), strict=False):
        seed = int(log.name.removeprefix("synthetic-"))
        (plain,) = open_logs("split=train,frames=2,beams=2", OpenOptions((2, 4)))
        plain = SyntheticSequence(seed, 2, 10.0, lambda _, rig=plain.rig: rig)
        truth = plain.ground_truth(1)
        assert np.array_equal(truth.labels.boxes, frame.labels.boxes)
        assert np.array_equal(truth.labels.track_id, frame.labels.track_id)
        assert np.array_equal(truth.labels.velocity_mps, frame.labels.velocity_mps)
        assert np.array_equal(truth.ego2global, frame.ego2global)
        assert truth.timestamp_us == frame.timestamp_us


def test_visibility_and_raw_points_of_rigs_that_lack_a_sensor():
    for log, frame in zip(drives(), frames(), strict=True):
        if log.rig.cameras and log.rig.lidar is not None:
            continue
        assert log.visibility(1).shape == (len(frame.labels), len(log.rig.cameras))
        count = 0 if frame.points is None else len(frame.points)
        assert log.raw_points(1).shape == (count, 5)


def test_drives_of_different_rigs_share_a_batch_and_padding_costs_nothing():
    """Absent cameras are padded: no backbone sees them."""
    config = load_config("tiny_step1")
    ready = on_one_rig([fitted(frame, SIZE_PX) for frame in frames()])
    batch = collate(ready, [True] * len(ready))
    real = sum(len(frame.cameras) for frame in frames())
    assert batch.camera_valid.shape[1] > 7
    assert int(batch.camera_valid.sum()) == real
    assert batch.lidar_valid.tolist() == [frame.points is not None for frame in frames()]
    model = build_model(config).eval()
    seen = []
    for name, module in model.named_children():
        if name.startswith("stage1_backbone"):
            module.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    features = model.camera_features(batch.images, model.prepared(batch).tables)
    assert sum(seen) == real
    assert (features.flatten(2).abs().sum(-1) > 0).tolist() == batch.camera_valid.tolist()
