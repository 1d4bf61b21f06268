"""The BEV grid: rows run along y, columns along x (docs/design.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leapai.types.vocabulary import FloatArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BevGrid:
    """A grid of `rows` x `columns` cells over `x_range_m` x `y_range_m`, and the height range of
    points."""

    x_range_m: tuple[float, float] = (-40.0, 62.4)
    y_range_m: tuple[float, float] = (-44.8, 44.8)
    z_range_m: tuple[float, float] = (-3.0, 5.0)
    cell_m: float = 0.8

    def __post_init__(self) -> None:
        for name, (low, high) in (("x", self.x_range_m), ("y", self.y_range_m)):
            cells = (high - low) / self.cell_m
            if cells < 1 or abs(cells - round(cells)) > 1e-6:
                raise ValueError(
                    f"BEV range {name} = ({low}, {high}) m is not a whole number of "
                    f"{self.cell_m} m cells"
                )
        if self.z_range_m[0] >= self.z_range_m[1]:
            raise ValueError(f"BEV range z = {self.z_range_m} m must go from low to high")

    @property
    def rows(self) -> int:
        """Cells along y: 112 at full size."""
        return round((self.y_range_m[1] - self.y_range_m[0]) / self.cell_m)

    @property
    def columns(self) -> int:
        """Cells along x: 128 at full size."""
        return round((self.x_range_m[1] - self.x_range_m[0]) / self.cell_m)

    @property
    def low_m(self) -> tuple[float, float, float]:
        """Lower corner x, y, z of the range."""
        return (self.x_range_m[0], self.y_range_m[0], self.z_range_m[0])

    @property
    def extent_m(self) -> tuple[float, float, float]:
        """Size of the range along x, y, z."""
        ranges = (self.x_range_m, self.y_range_m, self.z_range_m)
        x, y, z = (high - low for low, high in ranges)
        return (x, y, z)

    def part(self, region: BevGrid) -> tuple[slice, slice]:
        """Returns the rows and columns of this grid that `region` is made of, whatever its own
        cells.

        Raises ValueError where it is not made of whole cells of this grid.
        """
        rows = _cells("y_range_m", region.y_range_m, self.y_range_m, self.cell_m)
        return rows, _cells("x_range_m", region.x_range_m, self.x_range_m, self.cell_m)

    def row_centres_m(self) -> FloatArray:
        """Returns y of each row [rows] float32."""
        return _centres(self.y_range_m[0], self.rows, self.cell_m)

    def column_centres_m(self) -> FloatArray:
        """Returns x of each column [columns] float32."""
        return _centres(self.x_range_m[0], self.columns, self.cell_m)

    def cell_centres_m(self) -> FloatArray:
        """Returns x, y of every cell [rows * columns, 2] float32, row by row."""
        y, x = np.meshgrid(self.row_centres_m(), self.column_centres_m(), indexing="ij")
        return np.stack([x, y], -1).reshape(-1, 2)

    def normalise(self, points_m: Tensor) -> Tensor:
        """Maps points [..., 3] in metres to [0, 1] inside the range (beyond it outside)."""
        return (points_m - points_m.new_tensor(self.low_m)) / points_m.new_tensor(self.extent_m)

    def denormalise(self, points: Tensor) -> Tensor:
        """Maps points [..., 3] in [0, 1] back to metres: the inverse of `normalise`."""
        return points * points.new_tensor(self.extent_m) + points.new_tensor(self.low_m)


def _centres(low_m: float, count: int, cell_m: float) -> FloatArray:
    """Returns the centres [count] of cells that start at `low_m`, in float32 throughout."""
    steps = np.arange(count, dtype=np.float32) + np.float32(0.5)
    return np.float32(low_m) + steps * np.float32(cell_m)


def _cells(
    name: str, inner: tuple[float, float], outer: tuple[float, float], cell_m: float
) -> slice:
    """Returns the cells of the range `outer` between the ends of `inner`."""
    ends = [(end - outer[0]) / cell_m for end in inner]
    last = round((outer[1] - outer[0]) / cell_m)
    first, stop = (min(max(round(end), 0), last) for end in ends)
    if abs(ends[0] - first) > 1e-6 or abs(ends[1] - stop) > 1e-6:
        nearest = tuple(round(outer[0] + cell * cell_m, 6) for cell in (first, stop))
        raise ValueError(
            f"{name} = {inner} is not made of whole {cell_m} m cells of the BEV range {outer}; "
            f"the nearest that is: {nearest}"
        )
    return slice(first, stop)
