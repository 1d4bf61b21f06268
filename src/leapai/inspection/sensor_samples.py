"""Quantities of what the LiDAR and the cameras of a data set report, with their names."""

from __future__ import annotations

import numpy as np

from leapai.inspection.camera_statistics import CameraValues
from leapai.inspection.lidar_statistics import INTENSITY_RANGE_M, RING_RANGE_M, SOURCES, LidarValues
from leapai.inspection.samples import Sample, Shares
from leapai.types import Vocabulary

BRIGHT = 0.5
"""Intensity that only what retroreflects exceeds (plates, signs, lamps) on rigs whose ground is
dark, as on most."""
_UNLABELLED = ("ground", "background")
_REACH = f"up to {INTENSITY_RANGE_M:.0f} m"


def lidar_rows(values: LidarValues, vocabulary: Vocabulary) -> tuple[tuple[Sample, ...], ...]:
    """Returns the intensities by what sends them back, those of objects as multiples of the
    ground's, and how the LiDAR scans and is mounted."""
    near_m, far_m = RING_RANGE_M
    intensity = [
        Sample(f"intensity, {name} {_REACH}", "", of_kind)
        for name, of_kind in zip(
            (*_UNLABELLED, *vocabulary.names),
            (values.ground_intensity, values.background_intensity, *values.intensity),
            strict=True,
        )
    ]
    against_ground = tuple(
        Sample(f"relative intensity, {name}", "x ground", of_kind)
        for name, of_kind in zip(
            ("background", *vocabulary.names),
            (values.background_against_ground, *values.against_ground),
            strict=True,
        )
    )
    mounting = (
        Sample("points a sweep", "", values.points),
        Sample("distance of a return", "m", values.distance_m),
        Sample(f"rings on the ground, {near_m:.0f}-{far_m:.0f} m", "", values.rings),
        Sample("height of the ground", "m", values.ground_height_m),
        Sample("tilt of the ground", "deg", values.ground_tilt_deg),
    )
    return tuple(intensity), against_ground, mounting


def camera_row(values: CameraValues) -> tuple[Sample, ...]:
    """Returns how cameras are mounted, and how their images look."""
    return (
        Sample("images a frame", "", values.images),
        Sample("height of a camera", "m", values.height_m),
        Sample("horizontal view of a camera", "deg", values.view_deg),
        Sample("brightness of an image", "", values.brightness),
        Sample("contrast of an image", "", values.contrast),
        Sample("saturation of an image", "", values.saturation),
        Sample("sharpness of an image", "", values.sharpness),
    )


def return_shares(values: LidarValues, vocabulary: Vocabulary) -> tuple[Shares, ...]:
    """Returns what the returns come from, and how many of each kind are bright."""
    of_kinds = (values.ground_intensity, values.background_intensity, *values.intensity)
    bright = [(of_kind > BRIGHT).mean() if len(of_kind) else np.nan for of_kind in of_kinds]
    return (
        Shares(f"returns {_REACH}", SOURCES, values.sources),
        Shares(
            f"returns brighter than {BRIGHT}, {_REACH}",
            (*_UNLABELLED, *vocabulary.names),
            np.array(bright, np.float64),
        ),
    )
