"""Overlap of rotated boxes seen from above: exact intersection area, IoU and NMS.

The area is an integral over one boundary, so nothing is sorted and no edge can be counted twice.
Let B be the axis-aligned rectangle |x| <= h_x, |y| <= h_y and A any polygon, counter-clockwise.
Above x the part of A inside B has the height clamp(y_top) - clamp(y_bottom), where clamp limits to
[-h_y, h_y]. By Green's theorem the intersection is therefore the sum over the edges of A of
-integral clamp(y) dx, with x limited to [-h_x, h_x]. On an edge y is linear in x, so each integral
has a closed form. It is continuous in every input: touching, coincident, contained and zero-size
boxes need no tolerance and no special case.
"""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray

_BLOCK = 48
"""Boxes that NMS decides at a time: enough to spread numpy's cost a call, few enough that a cluster
is thinned before its pairs are clipped."""


def intersection_bev(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Returns the area [P] in square metres that the footprints of boxes [P, 7] and boxes [P, 7]
    share, pair by pair.

    Positions are subtracted before anything else, so that coordinates far from the origin cost no
    accuracy beyond their own rounding.
    """
    x, y = _corners_in_b(boxes_a, boxes_b)
    area = _clamped_integral(x, y, boxes_b[:, 3] / 2, boxes_b[:, 4] / 2)
    smaller = np.minimum(boxes_a[:, 3] * boxes_a[:, 4], boxes_b[:, 3] * boxes_b[:, 4])
    return np.clip(area, 0.0, smaller)


def iou_bev_paired(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Returns the IoU [P] in [0, 1] of the footprints of boxes [P, 7] and boxes [P, 7], pair by
    pair; 0 where both are empty."""
    shared = intersection_bev(boxes_a, boxes_b)
    union = boxes_a[:, 3] * boxes_a[:, 4] + boxes_b[:, 3] * boxes_b[:, 4] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def iou_bev(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Returns the IoU [N, M] in [0, 1] of the footprints of every box of [N, 7] and every box of
    [M, 7]."""
    iou = np.zeros((len(boxes_a), len(boxes_b)))
    a, b = np.nonzero(_may_overlap(boxes_a, boxes_b))
    iou[a, b] = iou_bev_paired(boxes_a[a], boxes_b[b])
    return iou


def nms_bev(
    boxes: FloatArray, score: FloatArray, class_id: IntArray, iou_threshold: float
) -> IntArray:
    """Returns indices [K] of the boxes [N, 7] that greedy non-maximum suppression keeps, best score
    first.

    A box goes when a better one of its own class that stays overlaps it by more than
    `iou_threshold`. Of equal scores the lower index is the better one.
    """
    left = np.argsort(-score, kind="stable")
    kept = []
    while len(left):
        block, left = left[:_BLOCK], left[_BLOCK:]
        clash = _clashes(boxes, class_id, (block, block), iou_threshold)
        stays = _greedy(clash)
        kept.append(block[stays])
        left = left[~_clashes(boxes, class_id, (block[stays], left), iou_threshold).any(0)]
    return np.concatenate(kept) if kept else left


def _greedy(clash: BoolArray) -> BoolArray:
    """Returns which of boxes [N], best first, stay; those that clash [N, N] may not stay
    together."""
    stays = np.ones(len(clash), bool)
    for i in range(len(clash)):
        if stays[i]:
            stays[i + 1 :] &= ~clash[i, i + 1 :]
    return stays


def _clashes(
    boxes: FloatArray, class_id: IntArray, rows_columns: tuple[IntArray, IntArray], threshold: float
) -> BoolArray:
    """Returns whether boxes at rows [R] and columns [C] are of one class and overlap beyond the
    threshold: [R, C]."""
    rows, columns = rows_columns
    same_class = class_id[rows, None] == class_id[columns]
    clash: BoolArray = same_class & _may_overlap(boxes[rows], boxes[columns])
    a, b = np.nonzero(clash)
    clash[a, b] = iou_bev_paired(boxes[rows[a]], boxes[columns[b]]) > threshold
    return clash


def _may_overlap(boxes_a: FloatArray, boxes_b: FloatArray) -> BoolArray:
    """Returns whether the circles around footprints [N, 7] and [M, 7] meet: [N, M]."""
    radius_a, radius_b = (np.hypot(boxes[:, 3], boxes[:, 4]) / 2 for boxes in (boxes_a, boxes_b))
    dx = boxes_a[:, None, 0] - boxes_b[:, 0]
    dy = boxes_a[:, None, 1] - boxes_b[:, 1]
    meet: BoolArray = dx * dx + dy * dy <= (radius_a[:, None] + radius_b) ** 2
    return meet


def _corners_in_b(boxes_a: FloatArray, boxes_b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns x and y [4, P] of the corners of A, counter-clockwise, seen from the centre and along
    the axes of B."""
    dx, dy = boxes_a[:, 0] - boxes_b[:, 0], boxes_a[:, 1] - boxes_b[:, 1]
    cos_b, sin_b = np.cos(boxes_b[:, 6]), np.sin(boxes_b[:, 6])
    centre_x, centre_y = cos_b * dx + sin_b * dy, cos_b * dy - sin_b * dx
    turn = boxes_a[:, 6] - boxes_b[:, 6]
    cos_ab, sin_ab = np.cos(turn) / 2, np.sin(turn) / 2
    length_x, length_y = boxes_a[:, 3] * cos_ab, boxes_a[:, 3] * sin_ab
    width_x, width_y = -boxes_a[:, 4] * sin_ab, boxes_a[:, 4] * cos_ab
    along, across = (
        np.array([[1.0], [-1.0], [-1.0], [1.0]]),
        np.array([[1.0], [1.0], [-1.0], [-1.0]]),
    )
    x = centre_x + along * length_x + across * width_x
    y = centre_y + along * length_y + across * width_y
    return x, y


def _clamped_integral(
    x: FloatArray, y: FloatArray, half_x: FloatArray, half_y: FloatArray
) -> FloatArray:
    """Integrates -clamp(y) dx around polygons with corners x, y [4, P], x limited to +-half_x [P]
    and clamp to +-half_y [P]: [P]."""
    dx, dy = np.roll(x, -1, 0) - x, np.roll(y, -1, 0) - y
    limited_x = np.clip(x, -half_x, half_x)
    slope = np.divide(dy, dx, out=np.zeros_like(dx), where=dx != 0)
    start = y + (limited_x - x) * slope
    width = np.roll(limited_x, -1, 0) - limited_x
    end = start + width * slope
    area: FloatArray = -(width * _mean_of_clamped(start, end, half_y)).sum(0)
    return area


def _mean_of_clamped(start: FloatArray, end: FloatArray, half: FloatArray) -> FloatArray:
    """Returns the mean of clamp(y) to +-half while y goes evenly from start to end.

    Three parts weighted by their shares: until y enters the band, inside it, and beyond it. Where
    y stays on one side, first and last are equal and are the mean; elsewhere no share is negative,
    so nothing cancels.
    """
    first, last = np.clip(start, -half, half), np.clip(end, -half, half)
    before, middle, after = first - start, last - first, end - last
    weighted = before * first + middle * ((first + last) / 2) + after * last
    mean: FloatArray = np.divide(weighted, end - start, out=first.copy(), where=first != last)
    return mean
