"""Scenes of 384 boxes for rotated NMS, and its slow twin: shapely over all pairs.

`bench_side_by_side.py` times both. Spread: a frame full of traffic, few overlaps. Clustered: 16
places with 24 boxes each. One place: all 384 boxes of one class on top of one another, the worst
case.
"""

from __future__ import annotations

import numpy as np
import shapely

from leapai.geometry.boxes import corners_bev
from leapai.types import FloatArray, IntArray

IOU_THRESHOLD = 0.2
BOXES = 384
CLASSES = 8


def guesses(places: FloatArray, spread_m: float, rng: np.random.Generator) -> FloatArray:
    """Returns 384 boxes [384, 7] of car size around places [K, 2]."""
    boxes = np.zeros((BOXES, 7))
    boxes[:, :2] = np.resize(places, (BOXES, 2)) + rng.normal(0, spread_m, (BOXES, 2))
    boxes[:, 3:6] = rng.uniform((3.5, 1.6, 1.4), (5.0, 2.1, 1.8), (BOXES, 3))
    boxes[:, 6] = rng.uniform(-np.pi, np.pi, BOXES)
    return boxes


def nms_shapely(boxes: FloatArray, score: FloatArray, class_id: IntArray) -> IntArray:
    """Returns what the slow, obvious twin keeps: IoU of all pairs, then the greedy rule."""
    polygons = shapely.polygons(corners_bev(boxes))
    area = shapely.area(polygons)
    shared = shapely.area(shapely.intersection(polygons[:, None], polygons[None]))
    iou = shared / (area[:, None] + area - shared)
    clash = (iou > IOU_THRESHOLD) & (class_id[:, None] == class_id)
    kept: list[int] = []
    for i in np.argsort(-score, kind="stable"):
        if not clash[i, kept].any():
            kept.append(int(i))
    return np.array(kept, np.int64)


def scenes() -> dict[str, tuple[FloatArray, FloatArray, IntArray]]:
    """Returns boxes, scores and classes of each scene."""
    rng = np.random.default_rng(0)
    street = rng.uniform((-40.0, -44.8), (62.4, 44.8), (BOXES, 2))
    boxes_and_classes = {
        "spread": (guesses(street, 0.0, rng), rng.integers(0, CLASSES, BOXES)),
        "clustered": (guesses(street[:16], 0.5, rng), np.resize(np.arange(CLASSES), BOXES)),
        "one place": (guesses(street[:1], 0.5, rng), np.zeros(BOXES, np.int64)),
    }
    score = rng.uniform(0, 1, BOXES)
    return {name: (boxes, score, kind) for name, (boxes, kind) in boxes_and_classes.items()}
