"""Figures equal those of the official nuScenes evaluation on 81 real frames, and come faster."""

import json
import time

import pytest

from leapai.config import EvaluationConfig
from leapai.evaluation.detection.detection_metrics import detection_metrics
from tests.evaluation.oracles import ABSENT, CLASS_OF_LABEL, DETECTION, WIDE, labelled_frames

OFFICIAL_SECONDS = 3.4
pytestmark = pytest.mark.skipif(not DETECTION.is_file(), reason=ABSENT)


@pytest.fixture(scope="module")
def oracle():
    return json.loads(DETECTION.read_text())


@pytest.fixture(scope="module")
def frames(oracle):
    return labelled_frames(oracle)


def test_metrics_equal_the_official_ones(oracle, frames):
    found = detection_metrics(frames, WIDE, EvaluationConfig())
    for label, expected in oracle["expected"].items():
        ours = found.classes[CLASS_OF_LABEL[label]]
        assert ours.ap == pytest.approx(expected["ap"], abs=1e-6)
        errors = expected["tp_errors"]
        assert ours.errors.translation_m == pytest.approx(errors["trans_err"], abs=1e-6)
        assert ours.errors.scale == pytest.approx(errors["scale_err"], abs=1e-6)
        assert ours.errors.orientation_rad == pytest.approx(errors["orient_err"], abs=1e-6)
        assert ours.errors.velocity_mps == pytest.approx(errors["vel_err"], abs=1e-6)
    assert found.mean_ap == pytest.approx(oracle["expected_mean_ap"], abs=1e-6)
    assert found.classes["barrier"].ap is None


def test_metrics_come_ten_times_faster(frames):
    start = time.process_time()
    detection_metrics(frames, WIDE, EvaluationConfig())
    assert time.process_time() - start < OFFICIAL_SECONDS / 10
