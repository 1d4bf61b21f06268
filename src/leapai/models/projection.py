"""Projection of BEV cells into the cameras: tables that depend on the calibration alone.

They are made on the host, so that the network that reads them has no shape that depends on values,
and kept until a calibration changes.

Letters: B streams, N cameras, Q BEV cells, Z heights, M pairs (stream, cell, camera) in which the
camera sees at least one height of the cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import accumulate

import torch
from torch import Tensor

from leapai.models import sampling
from leapai.models.cell_projection import FeatureMaps, Rigs, projected_cells
from leapai.models.tensors import HostValues, Tensors, moved
from leapai.types import BevGrid


@dataclass(frozen=True)
class Projection(Tensors):
    """Projection of the BEV cells of all streams into the feature maps. Pairs are sorted by stream,
    cell, camera."""

    pair_map: Tensor
    """[M] int32: stream * N + camera."""
    pair_cell: Tensor
    """[M] int64: stream * Q + cell."""
    cell_offsets: Tensor
    """[B * Q] int64: first pair of each cell."""
    cameras_of_cell: Tensor
    """[B * Q] float32: how many cameras see the cell, at least 1."""
    anchor: Tensor
    """[M, Z, 2] x y in cells of the feature map."""
    anchor_seen: Tensor
    """[M, Z] bool."""
    ipm_index: Tensor
    """[M, Z * 4] int32 rows of the padded maps."""
    ipm_weight: Tensor
    """[M, Z * 4] bilinear weight over the number of samples of the cell; 0 where not seen."""
    depth_m: Tensor
    """[M, Z] depth of each anchor along the camera's axis, metres."""


@dataclass(frozen=True)
class Calibration(Tensors):
    """Calibration of all cameras: everything that projections depend on."""

    intrinsics: Tensor
    """[B, N, 3, 3]"""
    distortion: Tensor
    """[B, N, 5]"""
    ego_from_camera: Tensor
    """[B, N, 4, 4]"""
    camera_valid: Tensor
    """[B, N] bool: a failed camera sees nothing."""

    @classmethod
    def of(cls, values: HostValues) -> Calibration:
        """Returns the calibration of a batch as the host has it."""
        return cls(**{f.name: getattr(values, f.name) for f in fields(cls)})

    def stream(self, index: int) -> Calibration:
        """Returns the calibration [1, N, ...] of one stream."""
        return self.mapped(lambda tensor: tensor[index : index + 1])

    def rigs(self) -> Rigs:
        """Returns the same as arrays, on the host."""
        return Rigs(**{f.name: getattr(self, f.name).cpu().numpy() for f in fields(self)})

    def fingerprint(self) -> bytes:
        """Returns all values as bytes."""
        return b"".join(getattr(self, f.name).cpu().numpy().tobytes() for f in fields(self))


@dataclass(frozen=True)
class _Kept:
    """The projection of a batch, and those of its streams by what they depend on."""

    place: tuple[tuple[int, int], torch.device]
    """Size of the feature maps, and where the tables are."""
    keys: tuple[bytes, ...]
    parts: dict[bytes, Projection]
    whole: Projection


class Projector:
    """Projects the cells of a grid at some heights into cameras, once for each calibration: a
    stream whose calibration did not change since the last call is not projected again."""

    def __init__(self, grid: BevGrid, heights_m: tuple[float, ...], stride: int) -> None:
        """`stride`: image pixels of a cell of a feature map."""
        self.grid, self.heights_m, self.stride = grid, heights_m, stride
        self._kept: _Kept | None = None

    @torch.inference_mode(False)  # what is kept may be trained with afterwards
    @torch.no_grad()
    def __call__(
        self, calibration: Calibration, size: tuple[int, int], device: torch.device
    ) -> Projection:
        """Returns the projection into maps of `size` (H, W) on `device`. Does not wait where the
        calibration is on the CPU."""
        streams = [calibration.stream(i) for i in range(len(calibration.camera_valid))]
        keys, place = tuple(stream.fingerprint() for stream in streams), (size, device)
        # Read once: streams in other threads may share the network and replace it meanwhile.
        kept = self._kept
        if kept is not None and kept.place == place and kept.keys == keys:
            return kept.whole
        parts = dict(kept.parts) if kept is not None and kept.place == place else {}
        for key, stream in zip(keys, streams, strict=True):
            if key not in parts:
                made = project_cells(self.grid, self.heights_m, stream, size, self.stride)
                parts[key] = made.mapped(lambda tensor: moved(tensor, device))
        parts = {key: parts[key] for key in keys}
        maps = calibration.camera_valid.shape[1]
        steps = {
            "pair_map": maps,
            "pair_cell": self.grid.rows * self.grid.columns,
            "ipm_index": maps * math.prod(sampling.padded_size(*size)),
        }
        whole = _joined([parts[key] for key in keys], steps)
        self._kept = _Kept(place, keys, parts, whole)
        return whole


@torch.no_grad()
def project_cells(
    grid: BevGrid,
    heights_m: tuple[float, ...],
    calibration: Calibration,
    size: tuple[int, int],
    stride: int,
) -> Projection:
    """Projects every cell centre at every height into every camera of every stream, on the CPU.

    `size` (H, W) of the feature map, `stride` image pixels a feature cell.
    """
    cells = projected_cells(grid, heights_m, calibration.rigs(), FeatureMaps(size, stride))
    return with_taps({name: torch.from_numpy(array) for name, array in vars(cells).items()}, size)


def with_taps(cells: Mapping[str, Tensor], size: tuple[int, int]) -> Projection:
    """Returns the projection of the tensors of a `CellProjection`, by name, into maps of `size`
    (H, W): with where each anchor samples a map, for an average over the cell."""
    anchor, cell = cells["anchor"], cells["pair_cell"]
    index, weight = sampling.bilinear_taps(anchor, cells["pair_map"][:, None], size)
    share = cells["anchor_seen"] / cells["samples_of_cell"][cell][:, None]
    taps = anchor.shape[1] * 4
    return Projection(
        ipm_index=index.reshape(-1, taps),
        ipm_weight=(weight * share[..., None]).reshape(-1, taps),
        **{name: tensor for name, tensor in cells.items() if name != "samples_of_cell"},
    )


def _joined(parts: list[Projection], steps: dict[str, int]) -> Projection:
    """Joins the projections of single streams. `steps`: by how much the numbers in a table grow
    from one stream to the next."""
    if len(parts) == 1:
        return parts[0]
    firsts = accumulate((len(part.pair_cell) for part in parts), initial=0)
    offsets = [first + part.cell_offsets for first, part in zip(firsts, parts, strict=False)]
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(Projection)}
    for name, step in steps.items():
        columns[name] = [values + number * step for number, values in enumerate(columns[name])]
    columns["cell_offsets"] = offsets
    return Projection(**{name: torch.cat(values) for name, values in columns.items()})
