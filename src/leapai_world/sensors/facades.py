"""Windows in house fronts: cameras see panes there, and the LiDAR gets no return."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import BoolArray
from leapai_world.sensors.embree import Float32

_STOREY_M, _BAY_M = 3.2, 2.6


def window_panes(place: Float32, normal: Float32) -> tuple[BoolArray, Float32, Float32]:
    """Returns which points [3, S] of house fronts with normals [3, S] are glass, local frame; and
    the bay and the storey of each, as fractions."""
    along = (normal[0] * place[1] - normal[1] * place[0]) / np.float32(_BAY_M)
    storey = place[2] / np.float32(_STOREY_M)
    x, z = along % 1, storey % 1
    margin = np.where(storey < 1, np.float32(0.08), np.float32(0.24))
    return (x > margin) & (x < 1 - margin) & (z > 0.24) & (z < 0.78), along, storey
