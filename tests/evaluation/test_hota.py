"""HOTA of tracks whose answer can be counted by hand."""

import importlib.util

import numpy as np
import pytest

from leapai.evaluation.hota import hota_figures
from leapai.evaluation.tracking import tracking_figures
from tests.evaluation.made_up import BEV
from tests.evaluation.test_tracking import at


def hota(frames):
    return hota_figures(frames, BEV, tracking_figures(frames, BEV))


@pytest.mark.skipif(importlib.util.find_spec("motrics") is None, reason="motrics is not installed")
class TestHota:
    def test_perfect_tracks(self):
        found = hota([at(i, {1: 10, 2: 20}, {7: 10, 8: 20}) for i in range(4)])
        assert found["all"] == found["car"]
        assert found["car"].model_dump() == pytest.approx(
            {"hota": 1, "deta": 1, "assa": 1, "loca": 1}
        )

    def test_a_track_broken_in_the_middle_halves_association(self):
        found = hota([at(i, {1: 10}, {7 if i < 2 else 8: 10}) for i in range(4)])["car"]
        assert found.deta == pytest.approx(1)
        assert found.assa == pytest.approx(1 / 2)
        assert found.hota == pytest.approx(np.sqrt(1 / 2))

    def test_similarity_falls_to_nothing_at_two_metres(self):
        found = hota([at(i, {1: 10}, {7: 11}) for i in range(4)])["car"]  # similarity 1/2
        assert found.deta == pytest.approx(10 / 19)

    def test_drives_are_weighed_by_what_is_found_in_them(self):
        whole = [at(i, {1: 10}, {7: 10}, sequence="a") for i in range(6)]
        broken = [at(i, {1: 10}, {7 + i: 10}, sequence="b") for i in range(2)]
        assert hota(whole + broken)["car"].assa == pytest.approx((6 * 1 + 2 * 1 / 2) / 8)

    def test_detections_of_what_is_ignored_or_nameless_are_left_out(self):
        hidden = {"num_lidar_points": [9, 0], "visible_fraction": [1.0, 0.0]}
        frames = [at(i, {1: 10, 2: 20}, {7: 10, 8: 20, -1: 30}, **hidden) for i in range(3)]
        assert hota(frames)["car"].hota == pytest.approx(1)

    def test_nothing_to_measure(self):
        assert hota([]) == {}
        assert hota([at(0, {}, {7: 10})]) == {}
        assert hota([at(0, {1: 10}, {})])["car"].hota == 0


def test_without_the_library_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("leapai.evaluation.hota.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"leapai\[hota\]"):
        hota([])
