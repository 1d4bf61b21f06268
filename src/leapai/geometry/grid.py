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
    centres = torch.from_numpy(grid.cell_centres_m()).to(other_from_this)
    points = torch.cat([centres, torch.zeros_like(centres[:, :1])], 1)
    xy = poses.apply(other_from_this, points)[..., :2]
    cell = (xy - xy.new_tensor(grid.low_m[:2])) / grid.cell_m
    inside = ((cell >= 0) & (cell < cell.new_tensor([grid.columns, grid.rows]))).all(-1)
    return torch.where(inside[..., None], cell, 0.0), inside
