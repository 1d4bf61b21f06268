"""How steady a map is, from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.evaluation.map.map_flicker import MAX_GAP_S, nearest_cells
from leapai.geometry import poses
from tests.evaluation.map.roads import CURB, FAR_AWAY, GRID, SHAPE, SOLID, frame, metrics, view


def street(x_m: float, yaw: float = 0.0) -> np.ndarray:
    """A kerb and a slanted line of the world as seen from `x_m` ahead, drawn anew."""
    world_from_ego = poses.from_xyz_yaw(np.array([x_m, 0.0, 0.0]), yaw)
    centres = np.concatenate([GRID.cell_centres_m(), np.zeros((SHAPE[1] * SHAPE[2], 1))], 1)
    x, y, _ = poses.apply(world_from_ego, centres.astype(float)).T
    planes = np.zeros((SHAPE[0], SHAPE[1] * SHAPE[2]))
    planes[CURB] = np.abs(y - 3.03) <= 0.15
    planes[SOLID] = np.abs(y - 0.3 * x + 2.0) <= 0.15
    return planes.reshape(SHAPE)


def drive(noise: float = 0.0, step_m: float = 0.73, seed: int = 0):
    """Six frames of a static world, `step_m` and some turning from one to the next."""
    rng = np.random.default_rng(seed)
    for step in range(6):
        x, yaw = step_m * step, 0.01 * step
        pose = poses.from_xyz_yaw(FAR_AWAY + np.array([x, 0, 0]), yaw)
        predicted = np.clip(street(x, yaw) + rng.normal(0, noise, SHAPE), 0, 1)
        yield frame(predicted, predicted=view(predicted, step, ego2global=pose))


def test_cells_agree_with_a_loop_over_them():
    other_from_this = poses.from_xyz_yaw(np.array([1.3, -0.7, 0.1]), 0.4)
    row, column, covered = nearest_cells(other_from_this, GRID)
    for i in range(0, GRID.rows, 7):
        for j in range(0, GRID.columns, 7):
            here = np.array([[-8.0 + (j + 0.5) * 0.2, -8.0 + (i + 0.5) * 0.2, 0.0]])
            x, y, _ = poses.apply(other_from_this, here)[0]
            cell = int(np.floor((y + 8) / 0.2)), int(np.floor((x + 8) / 0.2))
            inside = 0 <= cell[0] < GRID.rows and 0 <= cell[1] < GRID.columns
            assert covered[i, j] == inside
            assert (row[i, j], column[i, j]) == (cell if inside else (0, 0))


def test_a_static_world_hardly_flickers():
    got = metrics(*drive())
    assert got.flip_rate.road_elements < 0.005
    assert got.flip_rate.lane_markings < 0.005
    assert got.classes["Curb"].change < 0.02


def test_a_whole_number_of_cells_changes_nothing():
    frames = [frame(street(0.4 * i), predicted=view(street(0.4 * i), i, 0.4 * i)) for i in range(4)]
    got = metrics(*frames)
    assert (
        got.change.lane_markings < 1e-4
    )  # A cell whose centre lies on a border may go either way.
    assert got.flip_rate.lane_markings == 0.0


def test_noise_raises_both_measures():
    by_noise = [metrics(*drive(noise)) for noise in (0.0, 0.1, 0.2, 0.25, 0.3)]
    change = [got.classes["Curb"].change for got in by_noise]
    flips = [got.classes["Curb"].flip_rate for got in by_noise]
    assert change == sorted(change)
    assert flips == sorted(flips)
    assert flips[-1] > 0.2


def test_a_wrong_pose_flickers():
    frames = list(drive(step_m=2.0))
    assert metrics(*frames).flip_rate.lane_markings < 0.01
    still = [
        frame(each.predicted.probability, predicted=each.predicted._replace(ego2global=np.eye(4)))
        for each in frames
    ]
    assert metrics(*still).flip_rate.lane_markings > 0.2


def test_a_line_that_comes_and_goes_flips_wholly():
    shown = street(0.0)
    frames = [frame(shown * (i % 2), predicted=view(shown * (i % 2), i)) for i in range(4)]
    got = metrics(*frames)
    assert got.flip_rate.lane_markings == 1.0
    assert got.classes["SolidLine"].change == pytest.approx(shown[SOLID].mean())
    assert got.classes["DashedLine"].flip_rate is None
    assert got.classes["DashedLine"].change == 0.0


def test_flips_count_where_they_lie_as_the_ego_sees_them_now():
    frames = []
    for step in range(4):
        predicted = street(0.4 * step)
        predicted[:, :, 65:] *= step % 2  # beyond 5 m ahead, lines come and go
        frames.append(frame(predicted, predicted=view(predicted, step, 0.4 * step)))
    got = metrics(*frames)
    near, far = (got.flip_rate_bands[name].lane_markings for name in ("0-5 m", "5-10 m"))
    assert near < 0.1
    assert far > 0.3
    assert near < got.flip_rate.lane_markings < far
    assert metrics(frames[0]).flip_rate_bands["0-5 m"].lane_markings is None


def test_a_speck_of_a_class_that_is_not_there_hardly_counts_in_the_raster():
    frames = []
    for i in range(3):
        predicted = street(0.4 * i)
        predicted[SOLID + 1, 5, 10 + 20 * i] = 1
        frames.append(frame(predicted, predicted=view(predicted, i, 0.4 * i)))
    got = metrics(*frames)
    assert got.classes["DoubleSolidLine"].flip_rate == 1.0
    assert 0 < got.flip_rate.lane_markings < 0.05


@pytest.mark.parametrize(
    "apart",
    [
        {"sequence": "other"},
        {"timestamp_us": 1_000_001 + round(MAX_GAP_S * 1e6)},
        {"timestamp_us": 5},
    ],
)
def test_frames_that_do_not_follow_each_other_say_nothing(apart):
    first, second = np.zeros(SHAPE), np.ones(SHAPE)
    together = metrics(frame(first), frame(second, predicted=view(second, 1)))
    separate = metrics(frame(first), frame(second, predicted=view(second, **apart)))
    assert together.change.lane_markings == 1.0
    assert separate.change.lane_markings is None
    assert separate.flip_rate.road_elements is None


def test_cells_of_one_view_only_are_left_out():
    first, second = np.zeros(SHAPE), np.zeros(SHAPE)
    second[SOLID, :, -10:] = 1  # The ego went ten cells ahead: the frame before did not see these.
    got = metrics(frame(first), frame(second, predicted=view(second, 1, x_m=2.0)))
    assert got.change.lane_markings == 0.0
    assert got.flip_rate.lane_markings is None
