"""Headings by angle bin: counted by hand, and against the bins that the network is trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leapai.evaluation.detection.angle_bins import BIN_NAMES, angle_bin
from leapai.geometry import angles
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import detections_at, gt, metrics


def test_a_bin_is_the_nearest_one_of_the_network():
    yaw = np.random.default_rng(0).uniform(-np.pi, np.pi, 500)
    assert angle_bin(yaw).tolist() == angles.encode(torch.tensor(yaw))[0].tolist()


def test_headings_are_counted_by_labelled_bin_and_by_how_far_they_turn():
    xy = [[10.0, 0.0], [20.0, 0.0], [30.0, 0.0], [40.0, 0.0]]
    labels = gt(xy, yaw=[0.1, 0.1, 0.1, np.pi / 2])
    turned = detections_at(xy, yaw=[0.1, np.pi / 4, np.pi - 0.1, np.pi / 2 + 0.2])
    bins = metrics((turned, labels)).angle_bins
    assert list(bins) == list(BIN_NAMES)
    ahead = bins["0 deg"]
    assert (ahead.truths, ahead.found) == (3, 3)
    assert (ahead.same, ahead.neighbour, ahead.opposite) == (1, 1, 1)
    assert ahead.orientation_error_rad == pytest.approx((np.pi / 4 - 0.1 + np.pi - 0.2) / 3)
    assert (bins["90 deg"].truths, bins["90 deg"].same) == (1, 1)
    assert bins["180 deg"].truths == 0
    assert bins["180 deg"].orientation_error_rad is None


def test_what_was_not_found_counts_as_an_object_alone():
    bins = metrics((detections_at([]), gt([[10.0, 0.0]], yaw=np.pi))).angle_bins
    assert (bins["180 deg"].truths, bins["180 deg"].found) == (1, 0)


def test_what_has_no_front_is_left_out():
    ids = [CLASS_NAMES.index(name) for name in ("car", "barrier", "pillar")]
    xy = [[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]]
    bins = metrics((detections_at(xy, ids), gt(xy, ids))).angle_bins
    assert sum(part.truths for part in bins.values()) == 1
