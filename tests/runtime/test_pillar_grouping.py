"""Pillars that the host groups with NumPy are those that the network groups with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leapai.config import BevConfig, LidarConfig
from leapai.models.lidar import PillarVfe, pillar_grid
from leapai.runtime.manifest import MOST_LENGTH
from leapai.runtime.pillar_grouping import PillarGrouping

BEV = BevConfig(x_range_m=(-12.8, 12.8), y_range_m=(-12.8, 12.8), cell_m=1.6)


def config(**changes):
    sizes = {"pillar_m": 0.8, "max_pillars": 90, "max_points_per_pillar": 4, "intensity": "ground"}
    return LidarConfig(**(sizes | changes))


def sweep(count, seed=0):
    """Points in and around the range: some on borders, some not finite."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, [6, 6, 1, 30, 0.05], (count, 5)).astype(np.float32)
    points[::50, :2] = np.round(points[::50, :2] / 0.8) * 0.8
    points[7::90, 0], points[3::90, 3], points[5::90, 2] = np.nan, np.inf, 9.0
    return points


def by_network(points, lidar):
    """The points that count, their pillars and the cells of all pillars."""
    vfe = PillarVfe(lidar, pillar_grid(lidar, BEV))
    found = vfe.group(torch.from_numpy(points), torch.zeros(len(points), dtype=torch.int64), 1)
    counts = found.counts.numpy()
    return found.points.numpy()[counts], found.pillar.numpy()[counts], found.cell.numpy()


@pytest.mark.parametrize("count", [3000, 40, 2])
@pytest.mark.parametrize(
    "changes",
    [{}, {"intensity": "reported"}, {"max_points_per_pillar": 48}, {"max_pillars": 5000}],
    ids=str,
)
def test_points_pillars_and_cells_are_those_of_the_network(count, changes):
    lidar, points = config(**changes), sweep(count)
    expected = by_network(points, lidar)
    found = PillarGrouping(lidar, pillar_grid(lidar, BEV), MOST_LENGTH)(points)
    missing = max(2 - len(expected[0]), 0)
    kept = len(found["points"]) - missing
    np.testing.assert_allclose(found["points"][:kept], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(found["point_pillar"][:kept], expected[1])
    np.testing.assert_array_equal(found["pillar_cell"], expected[2])
    assert found["points"].dtype == np.float32


@pytest.mark.parametrize("count", [0, 1])
def test_a_sweep_without_points_has_two_that_are_in_no_pillar(count):
    lidar = config()
    points = np.full((count, 5), 500.0, np.float32)
    found = PillarGrouping(lidar, pillar_grid(lidar, BEV), MOST_LENGTH)(points)
    assert found["point_pillar"].tolist() == [90, 90]
    assert (found["pillar_cell"] == 32 * 32).all()


def test_of_too_many_points_those_of_the_nearest_pillars_stay():
    lidar, points = config(intensity="reported"), sweep(3000)
    grid = pillar_grid(lidar, BEV)
    everything = PillarGrouping(lidar, grid, MOST_LENGTH)(points)
    assert len(everything["points"]) > 57
    found = PillarGrouping(lidar, grid, 57)(points)
    alone = PillarGrouping(lidar, grid, MOST_LENGTH)(everything["points"][:57])
    for name, expected in alone.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
