"""Tracking figures equal those of the official nuScenes evaluation on 78 real frames."""

import json

import pytest

from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from tests.evaluation.oracles import ABSENT, CLASS_OF_LABEL, TRACKING, WIDE, labelled_frames

pytestmark = pytest.mark.skipif(not TRACKING.is_file(), reason=ABSENT)


@pytest.fixture(scope="module")
def oracle():
    return json.loads(TRACKING.read_text())


@pytest.fixture(scope="module")
def metrics(oracle):
    return tracking_metrics(labelled_frames(oracle), WIDE)


def as_named_there(metrics):
    """The official evaluation takes each frame for half a second, though these come at 5 Hz."""
    names = ("mota", "motar", "recall", "ids", "frag", "tp", "fp", "fn", "mt", "ml", "amota")
    return {
        **{name: getattr(metrics, name) for name in names},
        "motp": metrics.motp_m,
        "amotp": metrics.amotp_m,
        "tid": 0.5 * metrics.tid_frames,
        "lgd": 0.5 * metrics.lgd_frames,
    }


def test_metrics_equal_the_official_ones(oracle, metrics):
    for label, expected in oracle["expected"].items():
        ours = metrics.classes[CLASS_OF_LABEL[label]]
        assert as_named_there(ours) == pytest.approx(expected, abs=1e-6)


def test_over_classes_counts_add_up_and_the_rest_is_averaged(oracle, metrics):
    expected = list(oracle["expected"].values())
    ours = as_named_there(metrics)
    for name in ("ids", "frag", "tp", "fp", "fn", "mt", "ml"):
        assert ours.pop(name) == sum(each[name] for each in expected)
    for name, value in ours.items():
        assert value == pytest.approx(sum(each[name] for each in expected) / len(expected))


def test_seconds_are_those_of_the_frames(metrics):
    assert metrics.tid_s == pytest.approx(0.2 * metrics.tid_frames, rel=1e-2)
    assert metrics.lgd_s == pytest.approx(0.2 * metrics.lgd_frames, rel=1e-2)
