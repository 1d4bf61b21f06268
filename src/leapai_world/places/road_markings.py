"""Lane markings of the nine kinds of the design (docs/design.md, section 11), as meshes and as map
lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leapai.types.map_elements import MapLine
from leapai.types.vocabulary import FloatArray
from leapai_world import meshes
from leapai_world.meshes import Material, Mesh, surface

Line = Callable[[FloatArray, FloatArray | float], FloatArray]
"""Function that returns points [..., 3] at s along a line and d to its left, local frame."""
MARK = Material((0.92, 0.92, 0.90), 0.3, 0.7)
MARK_Z_M = 0.006
_DASHED, _SHORT, _WIDE = (3.0, 6.0), (1.0, 1.0), (3.0, 3.0)
_STRIPES: dict[str, tuple[tuple[float, float, tuple[float, float] | None], ...]] = {
    "SolidLine": ((0.0, 0.07, None),),
    "DoubleSolidLine": ((-0.12, 0.07, None), (0.12, 0.07, None)),
    "DashedLine": ((0.0, 0.07, _DASHED),),
    "DoubleDashedLine": ((-0.12, 0.07, _DASHED), (0.12, 0.07, _DASHED)),
    "RightSolidLeftDashed": ((-0.12, 0.07, None), (0.12, 0.07, _DASHED)),
    "LeftSolidRightDashed": ((-0.12, 0.07, _DASHED), (0.12, 0.07, None)),
    "WideSolidLine": ((0.0, 0.15, None),),
    "WideDashedLine": ((0.0, 0.15, _WIDE),),
    "ShortDashedLine": ((0.0, 0.07, _SHORT),),
}
"""Stripes of each kind: offset to the left, half the width, and lengths of dash and gap."""


def painted(kind: str, line: Line, d_m: float, low_m: float, high_m: float) -> list[Mesh]:
    """Builds the marking of a kind at d, from s = `low_m` to `high_m`; dashes keep their places
    along s."""
    parts = []
    for offset, half, dashes in _STRIPES[kind]:
        edges = _dashes(low_m, high_m, dashes) if dashes else pieces(low_m, high_m, 2.5)
        parts.append(surface(ribbon(line, edges, d_m + offset - half, d_m + offset + half), MARK))
    return parts


def _dashes(low: float, high: float, lengths: tuple[float, float]) -> FloatArray:
    dash, pitch = lengths[0], sum(lengths)
    starts = np.arange(np.ceil(low / pitch) * pitch, high, pitch)
    return np.stack([starts, starts + dash], -1)


def ribbon(line: Line, edges_m: FloatArray, right_m: float, left_m: float) -> FloatArray:
    """Returns flat bands from `edges_m` [K, 2] to each, just above the ground: triangles [2 K, 3,
    3]."""
    up = np.array([0.0, 0.0, MARK_Z_M])
    a, b = line(edges_m, right_m) + up, line(edges_m, left_m) + up
    return meshes.quads(np.stack([a[:, 0], a[:, 1], b[:, 1], b[:, 0]], 1))


def pieces(low_m: float, high_m: float, length_m: float) -> FloatArray:
    """Returns both ends [K, 2] of pieces of about `length_m` that fill `low_m` to `high_m`."""
    s = np.linspace(low_m, high_m, max(1, round((high_m - low_m) / length_m)) + 1)
    return np.stack([s[:-1], s[1:]], -1)


def mark(kind: str, line: Line, d_m: float, low_m: float, high_m: float) -> MapLine:
    """Returns the same marking as a map line, a point every 2 m, local frame."""
    s = np.linspace(low_m, high_m, max(1, round((high_m - low_m) / 2.0)) + 1)
    return MapLine(kind, "lane_boundary", line(s, d_m))


def element(kind: str, points_m: FloatArray) -> MapLine:
    """Returns a road element (docs/design.md, section 11), local frame; it is an area where it ends
    at its start."""
    return MapLine(kind, "road_edge" if kind == "Curb" else "road_element", points_m)


def straight(start_m: tuple[float, float], heading_rad: float) -> Line:
    """Returns the line on the ground from a point on, in one direction."""
    along = np.array([np.cos(heading_rad), np.sin(heading_rad)])
    normal = np.array([-along[1], along[0]])

    def at(s: FloatArray, d: FloatArray | float) -> FloatArray:
        s, d = np.broadcast_arrays(np.asarray(s, float), d)
        xy = np.asarray(start_m) + s[..., None] * along + d[..., None] * normal
        return np.concatenate([xy, np.zeros((*s.shape, 1))], -1)

    return at


def arrow(line: Line, s_m: float) -> FloatArray:
    """Returns the outline [8, 3] of an arrow on the ground that points along a line; it ends at its
    start."""
    outline = [(0, -0.1), (2.2, -0.1), (2.2, -0.4), (3.4, 0), (2.2, 0.4), (2.2, 0.1), (0, 0.1)]
    s, d = np.array([*outline, outline[0]], float).T
    return line(s_m + s, d)


def filled(outline_m: FloatArray, material: Material = MARK) -> Mesh:
    """Builds the mesh of an arrow from its outline."""
    p = outline_m + np.array([0.0, 0.0, MARK_Z_M + 0.002])
    shaft, head = np.array([p[0], p[1], p[5], p[6]])[None], np.array([[p[2], p[3], p[4]]])
    return surface(np.concatenate([meshes.quads(shaft), head]), material)


def tiles(
    low: tuple[float, float], high: tuple[float, float], z: float, side_m: float
) -> FloatArray:
    """Returns the triangles of a level rectangle cut into tiles of about `side_m`."""
    x, y = (
        np.linspace(a, b, max(1, round((b - a) / side_m)) + 1)
        for a, b in zip(low, high, strict=True)
    )
    x0, y0 = (g.ravel() for g in np.meshgrid(x[:-1], y[:-1]))
    x1, y1 = (g.ravel() for g in np.meshgrid(x[1:], y[1:]))
    height = np.full_like(x0, z)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return meshes.quads(np.stack([np.stack([*c, height], -1) for c in corners], 1))
