"""What is wrong in a frame: it must add up to what the figures of the run count."""

import pytest

from leapai.evaluation.detection.failures import failures
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from tests.evaluation.made_up import BEV, crowd, detections_at, gt, metrics


def of(frame):
    return failures(LabelledFrame(*frame), BEV)


@pytest.mark.parametrize("seed", range(3))
def test_failures_of_frames_add_up_to_the_operating_point(seed):
    frames = crowd(seed)
    point = metrics(*frames).operating["all"]
    each = [of(frame) for frame in frames]
    assert sum(int(f.missed.sum()) for f in each) == point.truths - point.true_positives > 0
    assert sum(int((~f.missed).sum()) for f in each) == point.false_positives > 0


def test_near_failures_weigh_more_and_come_first():
    missed = gt([[30.0, 0.0], [5.0, 0.0], [0.0, 20.0]], class_id=3, occlusion_level=[0, 2, 1])
    found = of(
        (detections_at([[-10.0, 0.0], [0.1, 20.0], [8.0, 8.0]], 3, score=[0.9, 0.9, 0.2]), missed)
    )
    assert found.missed.tolist() == [True, True, False]  # the third detection is not sure enough
    assert found.weight.tolist() == [1.0, 4.0, 2.0]
    assert found.distance_m[found.nearest_first()].tolist() == [5.0, 10.0, 30.0]
    assert found.occlusion_level.tolist() == [0, 2, 0]
    assert found.boxes[found.missed, 0].tolist() == [30.0, 5.0]


def test_a_perfect_frame_has_none():
    assert not len(of((detections_at([[10.0, 0.0]]), gt([[10.0, 0.0]]))).weight)
    assert not len(of((detections_at([]), gt([]))).weight)
