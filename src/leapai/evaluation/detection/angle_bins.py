"""The distribution of headings over the angle bins of the network: objects, and what was detected
of them (docs/design.md, section 6)."""

from __future__ import annotations

import numpy as np

from leapai.evaluation.detection.detection_results import AngleBinMetrics
from leapai.geometry.angles import NUM_BINS
from leapai.types import FloatArray, IntArray

BIN_RAD = 2 * np.pi / NUM_BINS
BIN_NAMES = tuple(f"{360 * k // NUM_BINS} deg" for k in range(NUM_BINS))
"""Centres of the bins, counter-clockwise from straight ahead."""


def angle_bin(yaw_rad: FloatArray) -> IntArray:
    """Returns the bin [N] whose centre is nearest to each yaw [N]."""
    return np.asarray(np.rint(yaw_rad / BIN_RAD).astype(np.int64) % NUM_BINS)


def angle_bin_metrics(
    yaw_rad: FloatArray, found: IntArray, detected_rad: FloatArray, error_rad: FloatArray
) -> dict[str, AngleBinMetrics]:
    """Returns the metrics by bin of objects with the labelled headings `yaw_rad` [T], of which the
    rows `found` [K] were found with the headings `detected_rad` and errors `error_rad` [K]."""
    objects = np.bincount(angle_bin(yaw_rad), minlength=NUM_BINS)
    labelled = angle_bin(yaw_rad[found])
    turn = (angle_bin(detected_rad) - labelled) % NUM_BINS
    bins = {}
    for k, name in enumerate(BIN_NAMES):
        of_bin = labelled == k
        bins[name] = AngleBinMetrics(
            truths=int(objects[k]),
            found=int(of_bin.sum()),
            same=int((of_bin & (turn == 0)).sum()),
            neighbour=int((of_bin & np.isin(turn, (1, NUM_BINS - 1))).sum()),
            opposite=int((of_bin & (turn == NUM_BINS // 2)).sum()),
            orientation_error_rad=float(error_rad[of_bin].mean()) if of_bin.any() else None,
        )
    return bins
