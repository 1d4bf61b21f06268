"""The range of the labels of the embedded world."""

from __future__ import annotations

import pytest

from leapai_world.sensors.rig import Rig
from leapai_world.sequence import LABEL_RANGE_M, SyntheticSequence


@pytest.fixture(scope="module")
def rig():
    return Rig.seven_cameras((128, 240), 32)


def test_labels_cover_the_bev_range_whether_seen_or_not(rig):
    log = SyntheticSequence(3, 3, 10.0, lambda _: rig)  # a busy one
    labels = log[1].labels
    assert (labels.visible_fraction == 0).any()
    assert LABEL_RANGE_M == ((-40.0, 62.4), (-44.8, 44.8))
