"""Matching of detections and objects: greedy by confidence, nearest first, as nuScenes does it
(Caesar et al., "nuScenes", CVPR 2020, section 3.1), for all frames and classes at once.

The most confident detection takes the nearest object of its class and frame, the next one the
nearest that is left, and so on. That is the stable matching in which all objects prefer the more
confident detection, so deferred acceptance (Gale and Shapley, 1962) finds it in a few rounds over
whole arrays: every detection without an object asks the nearest that it has not asked yet, and an
object keeps the most confident of those that ask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leapai.evaluation.detection.labelled_frames import DetectionTable, GtTable
from leapai.types import BoolArray, FloatArray, IntArray
from leapai.types.vocabulary import MOST_CLASSES


class Pairs(NamedTuple):
    """Detections and objects that may match, by detection, then distance, then object."""

    detection: IntArray
    """[P] row in the table."""
    gt: IntArray
    """[P] row in the table."""
    distance_m: FloatArray
    """[P] between the centres, on the ground."""

    def select(self, index: IntArray | BoolArray) -> Pairs:
        """Returns the pairs at `index` (integers [M] or mask [P])."""
        return Pairs(self.detection[index], self.gt[index], self.distance_m[index])


def candidate_pairs(gt: GtTable, detections: DetectionTable, reach_m: float) -> Pairs:
    """Returns all pairs of one frame and class that are nearer than `reach_m`."""
    gt_key = gt.frame * MOST_CLASSES + gt.class_id
    key = detections.frame * MOST_CLASSES + detections.class_id
    by_key = np.argsort(gt_key, kind="stable")
    first = np.searchsorted(gt_key[by_key], key, "left")
    counts = np.searchsorted(gt_key[by_key], key, "right") - first
    detection = np.repeat(np.arange(len(key)), counts)
    within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = by_key[first[detection] + within]
    offset = detections.boxes[detection, :2] - gt.boxes[other, :2]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    order = np.lexsort((other, distance, detection))
    pairs = Pairs(detection[order], other[order], distance[order])
    return pairs.select(pairs.distance_m < reach_m)


def match(pairs: Pairs, within_m: float, counted: BoolArray, num_detections: int) -> IntArray:
    """Returns the row of the object [N] that each detection found nearer than `within_m`, -1: none.

    Objects that count (`counted` [T]) are matched first; what is left may find one that does not.
    """
    pairs = pairs.select(pairs.distance_m < within_m)
    counts = counted[pairs.gt]
    found = _stable(pairs.select(counts), num_detections, len(counted))
    left = ~counts & (found[pairs.detection] < 0)
    return np.maximum(found, _stable(pairs.select(left), num_detections, len(counted)))


def _stable(pairs: Pairs, num_detections: int, num_objects: int) -> IntArray:
    rows = np.arange(num_detections)
    cursor = np.searchsorted(pairs.detection, rows, "left")
    end = np.searchsorted(pairs.detection, rows, "right")
    nobody = num_detections
    holder = np.full(num_objects, nobody)
    asking = rows[cursor < end]
    while len(asking):
        before = holder.copy()
        asked = pairs.gt[cursor[asking]]
        np.minimum.at(holder, asked, asking)  # the smaller row is the more confident one
        refused = asking[holder[asked] != asking]
        displaced = before[(before != holder) & (before != nobody)]
        asking = np.concatenate([refused, displaced])
        cursor[asking] += 1
        asking = asking[cursor[asking] < end[asking]]
    found = np.full(num_detections, -1, np.int64)
    held = holder != nobody
    found[holder[held]] = np.flatnonzero(held)
    return found
