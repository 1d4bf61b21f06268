"""Tracking figures equal those of the official nuScenes evaluation on 78 real frames."""

import json

import pytest

from leapai.evaluation.tracking import tracking_figures
from tests.evaluation.oracles import ABSENT, CLASS_OF_LABEL, TRACKING, WIDE, labelled_frames

pytestmark = pytest.mark.skipif(not TRACKING.is_file(), reason=ABSENT)


@pytest.fixture(scope="module")
def oracle():
    return json.loads(TRACKING.read_text())


@pytest.fixture(scope="module")
def figures(oracle):
    return tracking_figures(labelled_frames(oracle), WIDE)


def as_named_there(figures):
    """The official evaluation takes each frame for half a second, though these come at 5 Hz."""
    names = ("mota", "motar", "recall", "ids", "frag", "tp", "fp", "fn", "mt", "ml", "amota")
    return {
        **{name: getattr(figures, name) for name in names},
        "motp": figures.motp_m,
        "amotp": figures.amotp_m,
        "tid": 0.5 * figures.tid_frames,
        "lgd": 0.5 * figures.lgd_frames,
    }


def test_figures_equal_the_official_ones(oracle, figures):
    for label, expected in oracle["expected"].items():
        ours = figures.classes[CLASS_OF_LABEL[label]]
        assert as_named_there(ours) == pytest.approx(expected, abs=1e-6)


def test_over_classes_counts_add_up_and_the_rest_is_averaged(oracle, figures):
    expected = list(oracle["expected"].values())
    ours = as_named_there(figures)
    for name in ("ids", "frag", "tp", "fp", "fn", "mt", "ml"):
        assert ours.pop(name) == sum(each[name] for each in expected)
    for name, value in ours.items():
        assert value == pytest.approx(sum(each[name] for each in expected) / len(expected))


def test_seconds_are_those_of_the_frames(figures):
    assert figures.tid_s == pytest.approx(0.2 * figures.tid_frames, rel=1e-2)
    assert figures.lgd_s == pytest.approx(0.2 * figures.lgd_frames, rel=1e-2)
