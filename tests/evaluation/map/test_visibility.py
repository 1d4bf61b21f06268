"""Which ground is in sight: shadows against a loop, and a lorry that drives by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.evaluation.map.map_results import HIDDEN_GROUND_S
from leapai.evaluation.map.visibility import (
    SightMemory,
    ground_in_picture,
    height_above_ground,
    in_shadow,
    seen_now,
)
from leapai.geometry import cameras as camera_geometry
from leapai.geometry import poses
from leapai.types import CameraFrame, Frame
from tests.evaluation.map.roads import FAR_AWAY, GRID

EYE = np.array([0.5, 0.2, 1.5])


def camera(azimuth: float) -> CameraFrame:
    """A wide pinhole camera 1.5 m above the ego's origin."""
    ego_from_camera = poses.from_xyz_yaw(np.array([0, 0, 1.5]), azimuth)
    ego_from_camera[:3, :3] = ego_from_camera[:3, :3] @ [[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]]
    return CameraFrame(
        name="camera",
        group="side",
        image=np.zeros((64, 120, 3), np.uint8),
        size_px=(64, 120),
        intrinsics=np.array([[45, 0, 59.5], [0, 45, 31.5], [0, 0, 1.0]]),
        distortion=np.zeros(5),
        ego_from_camera=ego_from_camera,
        timestamp_us=0,
    )


def frame(points: np.ndarray, step: int = 0, **changes) -> Frame:
    cameras = tuple(camera(azimuth) for azimuth in np.arange(4) * np.pi / 2)
    rows = np.pad(np.asarray(points, np.float32), ((0, 0), (0, 2)))
    plain = Frame("drive", 1_000_000 + 100_000 * step, np.eye(4), cameras, rows)
    return replace(plain, **changes)


def ground_returns() -> np.ndarray:
    """[P, 3] A coarse carpet of returns on the ground."""
    x, y = np.meshgrid(np.arange(-8, 16, 1.7), np.arange(-8, 8, 1.7))
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3)


def wall(x: float, height: float, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """[P, 3] returns of a wall across at `x`, from the ground to `height`."""
    y, z = np.meshgrid(np.arange(low, high, 0.05), np.linspace(0, height, 9))
    return np.stack([np.full_like(y, x), y, z], -1).reshape(-1, 3)


def seen(points: np.ndarray) -> np.ndarray:
    return seen_now(frame(np.concatenate([ground_returns(), points])), GRID)


def at(mask: np.ndarray, x: float, y: float) -> bool:
    return bool(mask[int((y + 8.0) / 0.2), int((x + 8.0) / 0.2)])


@pytest.mark.parametrize("seed", range(3))
def test_shadows_agree_with_a_loop_over_obstacles(seed):
    """The slow twin: each point asks each obstacle of its degree of azimuth."""
    rng = np.random.default_rng(seed)
    ground, obstacles = rng.uniform(-15, 15, (400, 2)), rng.uniform(-10, 10, (60, 2))
    height = rng.uniform(0.4, 2.0, 60)
    got = in_shadow(ground, EYE, obstacles, height)
    decided = 0
    for point, hidden in zip(ground, got, strict=True):
        dx, dy = point - EYE[:2]
        distance, degree = np.hypot(dx, dy), np.floor(np.degrees(np.arctan2(dy, dx)) % 360)
        inner = outer = False
        for obstacle, a in zip(obstacles, height, strict=True):
            ox, oy = obstacle - EYE[:2]
            if np.floor(np.degrees(np.arctan2(oy, ox)) % 360) == degree:
                r = np.hypot(ox, oy)
                end = r * 1.5 / (1.5 - a) if a < 1.5 else np.inf
                inner |= r + 0.6 < distance < end - 0.3  # Surely in it, whatever the rounding.
                outer |= r + 0.0 < distance < end + 0.3
        if inner == outer:
            assert hidden == inner
            decided += 1
    assert decided > 350
    assert 20 < got.sum() < 380


@pytest.mark.parametrize("seed", range(4))
def test_ground_in_a_picture_is_what_projecting_every_cell_finds(seed):
    """The slow twin: all centres of the grid, one matrix product, no cell left out."""
    rng = np.random.default_rng(seed)
    tilted = poses.from_quaternion(np.array([1, *rng.normal(0, 0.05, 3)]), rng.normal(0, 1, 3))
    seeing = replace(
        camera(rng.uniform(-3, 3)), distortion=np.array([-0.2, 0.05, 0.003, -0.002, 0.0])
    )
    seeing = replace(seeing, ego_from_camera=tilted @ seeing.ego_from_camera)
    ground = np.pad(GRID.cell_centres_m().astype(np.float64), ((0, 0), (0, 1)))
    in_camera = poses.apply(poses.invert(seeing.ego_from_camera), ground)
    pixels, _ = camera_geometry.project(in_camera, seeing.intrinsics, seeing.distortion)
    height, width = seeing.size_px
    shown = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(1)
    among = rng.random((GRID.rows, GRID.columns)) < 0.7
    assert shown.sum() > 500
    found = ground_in_picture(seeing, GRID, among)
    assert np.array_equal(found, np.flatnonzero(shown & among.reshape(-1)))


def test_what_stands_upright_hides_what_lies_behind():
    mask = seen(wall(5.0, 2.0))
    assert at(mask, 4.5, 0.0)
    assert at(mask, 5.05, 0.0)
    assert not at(mask, 7.1, 0.9)
    assert not at(mask, 15.1, 0.9)
    assert at(mask, 7.1, 5.9)
    assert at(mask, -5.1, 0.9)


def test_what_is_low_hides_less():
    mask = seen(wall(5.0, 0.75))
    assert not at(mask, 9.1, 0.9)
    assert at(mask, 11.1, 0.9)
    assert seen(wall(5.0, 0.2))[:, 80:].mean() > seen(wall(5.0, 0.75))[:, 80:].mean() + 0.05


def test_ground_with_a_return_is_seen_wherever_it_lies():
    behind = np.array([[10.1, 0.1, 0.02]])
    mask = seen(np.concatenate([wall(5.0, 2.0), behind]))
    assert at(mask, 10.1, 0.1)
    assert not at(mask, 10.7, 0.1)


def test_a_slope_hides_nothing():
    uphill = ground_returns()
    uphill[:, 2] = 0.04 * np.maximum(uphill[:, 0], 0)
    assert height_above_ground(uphill).max() < 0.4
    assert height_above_ground(wall(5.0, 2.0)).max() == pytest.approx(2.0)
    assert height_above_ground(np.array([[30.0, 0.0, 3.0]])) == pytest.approx([1.5])


def test_a_failed_camera_sees_nothing_and_without_lidar_nobody_knows():
    whole = frame(ground_returns())
    front = replace(whole.cameras[0], image=None)
    ahead, all_round = (
        seen_now(f, GRID) for f in (replace(whole, cameras=(front, *whole.cameras[1:])), whole)
    )
    assert at(all_round, 12.1, 1.1)
    assert not at(ahead, 12.1, 1.1)
    assert at(ahead, -6.1, 1.1)
    assert seen_now(frame(np.zeros((0, 3))), GRID).mean() > 0.9
    assert seen_now(replace(whole, points=None), GRID) is None
    assert SightMemory(GRID).sight(replace(whole, points=None)) is None


def test_ground_behind_a_lorry_is_remembered_for_a_while_in_the_world():
    """The ego stands 2 m further on when the lorry has come."""
    memory = SightMemory(GRID)
    behind = (10.1, 0.1)
    before = memory.sight(frame(ground_returns(), ego2global=poses.from_xyz_yaw(FAR_AWAY, 0.0)))
    assert at(before.seen_now, *behind)
    assert not before.seen_before.any()
    here = poses.from_xyz_yaw(FAR_AWAY + np.array([2.0, 0, 0]), 0.0)
    blocked = np.concatenate([ground_returns(), wall(5.0, 3.0, -6.0, 6.0)])
    last = round(HIDDEN_GROUND_S * 10)
    by_step = {s: memory.sight(frame(blocked, s, ego2global=here)) for s in (1, last, last + 1)}
    assert at(by_step[1].hidden(), *behind)
    assert at(by_step[last].hidden(), *behind)
    assert not at(by_step[1].hidden(), 4.1, 0.1)
    assert not at(by_step[1].seen_before, 14.9, 0.1)  # It was beyond the grid.
    assert not at(by_step[last + 1].hidden(), *behind)


def test_another_drive_remembers_nothing():
    memory = SightMemory(GRID)
    memory.sight(frame(ground_returns()))
    assert memory.sight(frame(ground_returns(), 1)).seen_before.any()
    assert not memory.sight(frame(ground_returns(), 2, sequence="other")).seen_before.any()
