"""The BEV grid of docs/design.md, section 2."""

from __future__ import annotations

import pytest
import torch

from leapai.types import BevGrid


def test_full_size_grid_has_112_rows_and_128_columns():
    grid = BevGrid()
    assert (grid.rows, grid.columns) == (112, 128)


def test_rows_run_along_y_and_columns_along_x():
    centres = BevGrid().cell_centres_m().reshape(112, 128, 2)
    for i, j in ((0, 0), (0, 127), (111, 0), (37, 90)):
        x, y = centres[i, j].tolist()
        assert y == pytest.approx(-44.8 + (i + 0.5) * 0.8, abs=1e-4)
        assert x == pytest.approx(-40 + (j + 0.5) * 0.8, abs=1e-4)


def test_normalising_takes_the_range_to_the_unit_cube_and_back():
    grid = BevGrid()
    corners = torch.tensor([[-40.0, -44.8, -3.0], [62.4, 44.8, 5.0], [11.2, 0.0, 1.0]])
    unit = grid.normalise(corners)
    torch.testing.assert_close(unit, torch.tensor([[0.0] * 3, [1.0] * 3, [0.5] * 3]))
    torch.testing.assert_close(grid.denormalise(unit), corners)
    assert grid.normalise(torch.tensor([70.0, 0.0, 0.0]))[0] > 1


def test_normalising_keeps_the_precision_of_its_input():
    grid = BevGrid()
    point = torch.tensor([[1.23456789012, -7.0, 0.1]], dtype=torch.float64)
    back = grid.denormalise(grid.normalise(point))
    assert back.dtype == torch.float64
    torch.testing.assert_close(back, point, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell_m": 0.7}, "x = .*whole number of 0.7 m cells"),
        ({"y_range_m": (-44.8, 44.9)}, r"y = \(-44.8, 44.9\)"),
        ({"x_range_m": (62.4, -40.0)}, "x = "),
        ({"z_range_m": (5.0, -3.0)}, "z = "),
    ],
)
def test_a_range_that_cannot_be_cut_into_cells_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        BevGrid(**change)
