"""Small rasters of the road for tests of map figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from leapai.config import EvaluationConfig
from leapai.evaluation.map.map_cells import Sight
from leapai.evaluation.map.map_flicker import MapView
from leapai.evaluation.map.map_metrics import MapFrame, map_metrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.geometry import poses
from leapai.types import LANE_MARKINGS, STATIC_CLASSES, BevGrid, StaticLabels

GRID = BevGrid((-8.0, 16.0), (-8.0, 8.0), cell_m=0.2)
EVALUATION = EvaluationConfig(
    map_distance_bands_m=(0.0, 5.0, 10.0), map_lateral_bands_m=(0.0, 2.0, 8.0)
)
SOLID, CURB = STATIC_CLASSES.index("SolidLine"), STATIC_CLASSES.index("Curb")
SHAPE = (len(STATIC_CLASSES), GRID.rows, GRID.columns)
FAR_AWAY = np.array([612_345.678, 5_412_345.25, 40.0])


def labels_of(planes: np.ndarray, **fields: Any) -> StaticLabels:
    """Truth from masks [14, rows, columns]."""
    markings = len(LANE_MARKINGS)
    return StaticLabels(planes[:markings] > 0, planes[markings:] > 0, **fields)


def view(probability: np.ndarray, step: int = 0, x_m: float = 0.0, **changes: Any) -> MapView:
    """At a tenth of a second a step, `x_m` ahead of a place far from the origin of the world."""
    pose = poses.from_xyz_yaw(FAR_AWAY + np.array([x_m, 0, 0]), 0.0)
    plain = MapView("drive", 1_000_000 + 100_000 * step, pose, np.asarray(probability, np.float32))
    return plain._replace(**changes)


def frame(probability: np.ndarray, gt: np.ndarray | None = None, **changes: Any) -> MapFrame:
    """What was predicted and, of masks [14, rows, columns], the truth; other fields by name."""
    values = {
        "predicted": view(probability),
        "lines": (),
        "labels": None if gt is None else labels_of(gt),
        "gt_lines": None,
        "sight": None,
    }
    return MapFrame(**(values | changes))


def metrics(*frames: MapFrame) -> MapMetrics:
    """Of frames over the small grid."""
    return map_metrics(frames, GRID, EVALUATION)


def random_frames(seed: int, count: int = 6) -> list[MapFrame]:
    """Noise with truth in it, of two drives; some frames without labels, some without sight."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(count):
        gt = rng.random(SHAPE) < 0.05
        gt[3] = False
        predicted = np.clip(0.4 * gt + rng.random(SHAPE) * 0.7 - 0.1, 0, 1)
        sight = Sight(rng.random(SHAPE[1:]) < 0.5, rng.random(SHAPE[1:]) < 0.8)
        result.append(
            frame(
                predicted,
                None if i % 3 == 2 else gt,
                predicted=view(
                    predicted, i, 0.13 * i, sequence="first" if i < count // 2 else "second"
                ),
                sight=sight if i % 2 else None,
            )
        )
    return result
