"""Compares rotated NMS of 384 boxes with shapely over all pairs, in one run.

    python benchmarks/bench_nms.py

Spread: a frame full of traffic, few overlaps. Clustered: 16 places with 24 boxes each. One place:
all 384 boxes of one class on top of one another, the worst case. Ratios can be compared between
machines, milliseconds cannot.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import shapely

from leapai.geometry.boxes import corners_bev
from leapai.geometry.overlap import nms_bev
from leapai.types import FloatArray, IntArray

IOU_THRESHOLD = 0.2
BOXES = 384
CLASSES = 8
RUNS = 15


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


def median_ms(run: Callable[[], IntArray], runs: int) -> float:
    run()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def main() -> None:
    rng = np.random.default_rng(0)
    street = rng.uniform((-40.0, -44.8), (62.4, 44.8), (BOXES, 2))
    scenes = {
        "spread": (guesses(street, 0.0, rng), rng.integers(0, CLASSES, BOXES)),
        "clustered": (guesses(street[:16], 0.5, rng), np.resize(np.arange(CLASSES), BOXES)),
        "one place": (guesses(street[:1], 0.5, rng), np.zeros(BOXES, np.int64)),
    }
    score = rng.uniform(0, 1, BOXES)
    print(f"{'384 boxes':<12}{'kept':>6}{'ours ms':>10}{'shapely ms':>12}{'ratio':>8}")
    for name, (boxes, class_id) in scenes.items():
        kept = nms_bev(boxes, score, class_id, IOU_THRESHOLD)
        assert np.array_equal(kept, nms_shapely(boxes, score, class_id))
        ours = median_ms(lambda b=boxes, c=class_id: nms_bev(b, score, c, IOU_THRESHOLD), RUNS)
        theirs = median_ms(lambda b=boxes, c=class_id: nms_shapely(b, score, c), 3)
        print(f"{name:<12}{len(kept):>6}{ours:>10.2f}{theirs:>12.1f}{theirs / ours:>7.0f}x")


if __name__ == "__main__":
    main()
