"""Cells of a BEV grid seen from another ego pose."""

from __future__ import annotations

import torch
from torch import Tensor

from leapai.geometry import poses
from leapai.types.bev_grid import BevGrid


def cells_in(grid: BevGrid, other_from_this: Tensor) -> tuple[Tensor, Tensor]:
    """Locates the cells in the same grid about another ego: column and row [..., rows * columns,
    2], whose floor is the cell there, and whether that grid covers it [..., rows * columns] (0, 0
    where not).

    `other_from_this` [..., 4, 4] moves the cells' centres on the ground; its precision is that of
    the result.
    """
    points = _centres_on_ground(grid, other_from_this.device).to(other_from_this.dtype)
    x, y, _ = poses.apply(other_from_this, points).unbind(-1)
    (x_low_m, y_low_m, _), cell_m = grid.low_m, grid.cell_m
    cell = torch.stack([(x - x_low_m) / cell_m, (y - y_low_m) / cell_m], -1)
    column, row = cell.unbind(-1)
    inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    return torch.where(inside[..., None], cell, 0.0), inside


def _centres_on_ground(grid: BevGrid, device: torch.device) -> Tensor:
    """Returns the centres [rows * columns, 3] of `BevGrid.cell_centres_m` at z = 0, made on the
    device, so that nothing is copied there."""
    x = (torch.arange(grid.columns, device=device) + 0.5) * grid.cell_m + grid.x_range_m[0]
    y = (torch.arange(grid.rows, device=device) + 0.5) * grid.cell_m + grid.y_range_m[0]
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)], -1).flatten(0, 1)
