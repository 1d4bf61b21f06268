"""How often a confidence is right, and the logistic curve through it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import expit, logit

from leapai.evaluation.detection.calibration import calibration, fitted_logistic


def drawn(scale, shift, count=4000):
    """Scores, and whether each is right with the probability of a logistic curve."""
    rng = np.random.default_rng(3)
    score = rng.uniform(0.02, 0.98, count)
    return score, rng.uniform(size=count) < expit(scale * logit(score) + shift)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.0, -0.7), (0.6, 0.9)])
def test_the_fit_finds_the_curve_that_the_hits_were_drawn_from(scale, shift):
    found = fitted_logistic(*drawn(scale, shift))
    assert found == pytest.approx((scale, shift), abs=0.15)


def test_no_pair_of_a_fine_grid_is_more_likely_than_the_fit():
    score, right = drawn(1.7, -0.4, 300)

    def likelihood(scale, shift):
        return np.log(np.where(right, p := expit(scale * logit(score) + shift), 1 - p)).sum()

    best = likelihood(*fitted_logistic(score, right))
    grid = itertools.product(np.linspace(0.5, 3, 60), np.linspace(-2, 2, 60))
    assert best >= max(likelihood(*pair) for pair in grid)


def test_moved_scores_are_calibrated():
    score, right = drawn(2.5, -1.0)
    scale, shift = fitted_logistic(score, right)
    moved = expit(scale * logit(score) + shift)
    assert calibration(score, right).ece > 0.1
    assert calibration(moved, right).ece < 0.03


@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_scores_whose_logit_is_infinite_count_as_nearly_so(sure):
    """A sigmoid in float32 rounds to 1."""
    score, right = drawn(2.0, -0.7)
    rounded = np.append(score, sure), np.append(right, sure == 1.0)
    near = np.append(score, abs(sure - 1e-6)), rounded[1]
    assert fitted_logistic(*rounded) == pytest.approx(fitted_logistic(*near), abs=1e-4)
    assert fitted_logistic(*rounded) == pytest.approx((2.0, -0.7), abs=0.15)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_scores_without_a_fit_are_refused():
    score, right = drawn(1.0, 0.0)
    with pytest.raises(ValueError, match="no logistic curve through 4000 scores"):
        fitted_logistic(score * np.nan, right)
