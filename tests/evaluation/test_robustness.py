"""Relative scores by hand, and the scores of a condition against slow counts."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.robustness import mean_relative_score, relative_scores, scores_of
from tests.evaluation.made_up import detections_at, gt
from tests.scenes import small_config

CONFIG = small_config()


def test_ra_and_mra_are_means_of_shares():
    clean = 0.5
    scores = {("fog", 1): 0.4, ("fog", 2): 0.3, ("fog", 3): 0.2, ("dark", 1): 0.5, ("dark", 2): 0.5,
              ("dark", 3): 0.35}  # fmt: skip
    found = relative_scores([(name, s, score / clean) for (name, s), score in scores.items()])
    assert found["fog"].relative == {1: 0.8, 2: 0.6, 3: 0.4}
    assert found["fog"].resilience == pytest.approx(0.6)
    assert found["dark"].resilience == pytest.approx(0.9)
    assert mean_relative_score(found, ["fog", "dark"]) == pytest.approx(0.75)


def test_a_corruption_that_is_missing_leaves_no_mean():
    found = relative_scores([("fog", 1, 0.8), ("dark", 1, None)])
    assert found["dark"].resilience is None
    assert mean_relative_score(found, ["fog"]) == pytest.approx(0.8)
    assert mean_relative_score(found, ["fog", "dark"]) is None
    assert mean_relative_score(found, ["fog", "snow"]) is None
    assert mean_relative_score({}, []) is None


def frame(time, offset=0.0, score=0.9, extra=0):
    """Three cars, detected at an offset, and some false positives far away."""
    places = [[10.0, -6.0], [20.0, 0.0], [30.0, 6.0]]
    velocity = np.tile([1.0, 0, 0], (3, 1))
    labels = gt(places, velocity_mps=velocity)
    found = [[x + offset, y] for x, y in places] + [[-20.0, 3.0 * k] for k in range(extra)]
    detections = detections_at(found, score=score, timestamp_us=time)
    return LabelledFrame(detections, labels)


def test_scores_count_what_they_define():
    clean = [frame(0), frame(1)]
    scores = scores_of([frame(0, offset=1.8, extra=3), frame(1, score=0.2)], clean, CONFIG)
    assert (scores.frames, scores.objects) == (2, 6)
    assert scores.clean_mean_ap == pytest.approx(1.0)
    assert scores.recall_2m == pytest.approx(1.0)  # 1.8 m is within 2 m, 0.2 is above 0.1
    assert scores.precision == 0.0  # 1.8 m is beyond 1.5 m, and 0.2 is not sure
    assert scores.boxes == 6
    assert scores.ap_by_class["car"] == scores.mean_ap
    assert scores.ap_by_class["bus"] is None
    assert scores.ap_4m >= scores.ap_2m > scores.mean_ap
    assert scores.relative == pytest.approx(scores.mean_ap / 1.0)
    assert scores.velocity_error_mps is None


def test_velocity_error_is_that_of_what_was_found():
    scores = scores_of([frame(0)], [frame(0)], CONFIG)
    assert scores.velocity_error_mps == pytest.approx(1.0)  # detections stand still
    assert scores.ece == pytest.approx(0.1)  # all right, at 0.9
    assert (scores.precision, scores.recall, scores.relative) == (1.0, 1.0, 1.0)


def test_the_clean_score_is_over_the_same_frames():
    clean = [frame(0), frame(1, offset=50.0)]  # the second one finds nothing
    assert scores_of([frame(0)], clean, CONFIG).clean_mean_ap == pytest.approx(1.0)
    assert scores_of([frame(0), frame(1)], clean, CONFIG).clean_mean_ap < 0.6


def test_a_clean_run_that_finds_nothing_has_no_relative_score():
    scores = scores_of([frame(0)], [frame(0, offset=50.0)], CONFIG)
    assert scores.relative is None
    assert scores.mean_ap == pytest.approx(1.0)
