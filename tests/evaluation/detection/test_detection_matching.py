"""Matching by rounds against the plain loop it replaces."""

import numpy as np
import pytest

from leapai.evaluation.detection.detection_matching import candidate_pairs, match
from leapai.evaluation.detection.labelled_frames import LabelledFrame, tabulate
from tests.evaluation.made_up import BEV, crowd, detections_at, gt


def greedy(objects, detections, within_m):
    """Twin: each detection in its turn looks at every object that is left, counted ones first."""
    found = np.full(len(detections.score), -1)
    for counted in (True, False):
        for i in range(len(found)):
            if found[i] >= 0:
                continue
            best, best_distance = -1, within_m
            for j in np.flatnonzero(objects.counted == counted):
                same = (objects.frame[j], objects.class_id[j])
                if same != (detections.frame[i], detections.class_id[i]) or j in found:
                    continue
                distance = np.hypot(*(detections.boxes[i, :2] - objects.boxes[j, :2]))
                if distance < best_distance:
                    best, best_distance = j, distance
            found[i] = best
    return found


@pytest.mark.parametrize("within_m", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_rounds_find_what_the_loop_finds(seed, within_m):
    objects, detections = tabulate([LabelledFrame(*f) for f in crowd(seed)], BEV)
    pairs = candidate_pairs(objects, detections, 4.0)
    found = match(pairs, within_m, objects.counted, len(detections.score))
    np.testing.assert_array_equal(found, greedy(objects, detections, within_m))
    assert (found >= 0).any()


def test_a_distance_of_the_bound_is_no_match_and_of_equals_the_first_object_is_taken():
    frame = LabelledFrame(detections_at([[0.0, 0.0]]), gt([[0.0, 1.0], [0.0, -1.0]]))
    objects, detections = tabulate([frame], BEV)
    pairs = candidate_pairs(objects, detections, 4.0)
    assert match(pairs, 1.0, objects.counted, 1).tolist() == [-1]
    assert match(pairs, 1.1, objects.counted, 1).tolist() == [0]


def test_nothing_said_or_nothing_true_is_no_match():
    for frame in (
        (detections_at([]), gt([[1, 1]])),
        (detections_at([[1, 1]]), gt([])),
        (detections_at([]), gt([])),
    ):
        objects, detections = tabulate([LabelledFrame(*frame)], BEV)
        pairs = candidate_pairs(objects, detections, 4.0)
        assert (match(pairs, 2.0, objects.counted, len(detections.score)) == -1).all()
