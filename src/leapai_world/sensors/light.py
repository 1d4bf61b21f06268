"""Light of a drive: sun, sky and haze."""

from __future__ import annotations

from dataclasses import dataclass

from leapai.types.vocabulary import FloatArray


@dataclass(frozen=True)
class Light:
    """Sun, sky and haze of a drive. Colours are RGB in [0, 1]."""

    to_sun: FloatArray
    """[3] unit vector."""
    sun: FloatArray
    ambient: FloatArray
    zenith: FloatArray
    horizon: FloatArray
    haze_m: float
    """Distance at which 63 % of a colour is lost in haze."""
