"""Dipped headlights of the ego, which are on where it is dark: two cones that end at the horizon.

They cast no shadows: the cameras stand so near the lamps that little of a shadow would show.
Colours are those that a camera shows, so light counts by its square root.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from leapai.types.vocabulary import FloatArray
from leapai_world.sensors.embree import Float32
from leapai_world.sensors.light import Light

_LAMPS_EGO_M = ((3.75, 0.62, 0.66), (3.75, -0.62, 0.66))
_COLOUR = np.array([1.0, 0.95, 0.82])
_DARK = 0.78
"""Headlights are on where sun and sky together light a surface less than this."""
_STRENGTH = 13.0
"""Brightness x metres on the axis of a lamp."""
_SPREAD = 0.34
"""Tangent of the horizontal angle at which a beam has lost 63 %."""
_FADE = 0.02
"""Tangent over which a beam fades out above its cut-off, one per cent below the horizon."""
_DOWN = 0.10
"""Tangent below the horizon at which a beam has lost 63 %: the road near the car needs less."""
_STRAY = 0.01
_LIMIT = 1.0


def darkness(light: Light) -> float:
    """Returns how dark it is, 0 by day and up to 1 at night: the weight of the lamps of a
    street."""
    return float(np.clip((_DARK - (light.sun + light.ambient)[1]) / 0.4, 0.0, 1.0))


def brightness(
    point: Float32, normal: Float32, window_from_ego: FloatArray, light: Light
) -> FloatArray:
    """Returns what headlights add to the light on points [3, S] with unit normals [3, S], RGB [3,
    S]."""
    ahead, left = window_from_ego[:3, 0:1], window_from_ego[:3, 1:2]
    total = np.zeros(point.shape[1])
    for lamp in _LAMPS_EGO_M:
        offset = point - (window_from_ego[:3, :3] @ lamp + window_from_ego[:3, 3])[:, None]
        distance = np.maximum(np.linalg.norm(offset, axis=0), 0.5)
        forward = (offset * ahead).sum(0)
        depth = np.maximum(forward, 0.1)
        sideways, above = (offset * left).sum(0) / depth, offset[2] / depth
        below = expit(-(above + 0.01) / _FADE) * np.exp(np.minimum(above, 0.0) / _DOWN)
        beam = np.exp(-((sideways / _SPREAD) ** 2)) * below + _STRAY * forward / distance
        facing = np.maximum(-(offset * normal).sum(0) / distance, 0.0)
        total += np.where(forward > 0, beam * facing / distance**2, 0.0)
    lit = np.minimum(_STRENGTH * darkness(light) * np.sqrt(total), _LIMIT)
    return np.asarray(_COLOUR[:, None] * lit)
