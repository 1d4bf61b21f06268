"""Figures of small made-up frames whose answers can be counted by hand."""

import json
import random

import numpy as np
import pytest

from leapai.evaluation.detection.detection_results import DetectionMetrics
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import crowd, detections_at, gt, metrics

BARRIER, PILLAR = 6, 7
ONE_WRONG_FIRST = np.maximum(0.5 * np.arange(11, 101) / 100 - 0.1, 0).mean() / 0.9
"""AP where the surest detection is wrong and the next finds the only object: precision rises from
0 at a recall of 0 to 1/2 at 1."""


def test_perfect_detections_are_perfect():
    xy = [[5.0, 1], [20, -3], [2, 0], [9, 9], [30, 2], [-9, 4], [15, 15], [-4, -4]]
    levels = [0, 1, 2, 3, 0, 1, 2, 3]
    labels = gt(xy, range(8), yaw=0.7, occlusion_level=levels)
    found = metrics(
        (detections_at(xy, range(8), 1.0, 0.7, occlusion_level=np.array(levels)), labels)
    )
    assert found.mean_ap == pytest.approx(1)
    assert found.nds == pytest.approx(1)
    assert found.errors.model_dump() == pytest.approx(
        {"translation_m": 0, "scale": 0, "orientation_rad": 0, "velocity_mps": 0}
    )
    assert found.operating["all"].f1 == 1
    assert found.calibration.ece == 0
    assert np.array_equal(found.occlusion_confusion, 2 * np.eye(4))
    for part in (*found.groups.values(), *found.occlusion.values()):
        assert part.recall == 1
        assert part.mean_ap == pytest.approx(1)


def test_errors_are_those_that_were_made():
    labels = gt([[10.0, 0]], velocity_mps=[[3.0, 0, 0]])
    detection = detections_at([[10.3, 0.4]], yaw=0.2, velocity_mps=np.array([[3.0, 4.0, 9.0]]))
    detection.boxes[:, 3:6] = (4.0, 2.0, 3.0)  # twice as high
    errors = metrics((detection, labels)).classes["car"].errors
    assert errors.translation_m == pytest.approx(0.5)
    assert errors.scale == pytest.approx(0.5)
    assert errors.orientation_rad == pytest.approx(0.2)
    assert errors.velocity_mps == pytest.approx(4.0)


def test_a_barrier_turned_around_is_the_same_barrier():
    for class_id, expected in ((BARRIER, 0.1), (0, np.pi - 0.1)):
        found = metrics(
            (detections_at([[9, 0]], class_id, yaw=np.pi - 0.1), gt([[9, 0]], class_id))
        )
        assert found.errors.orientation_rad == pytest.approx(expected)


def test_pillars_have_no_heading_and_what_stands_no_velocity_in_the_means():
    errors = metrics((detections_at([[9, 0]], PILLAR, yaw=1.0), gt([[9, 0]], PILLAR))).errors
    assert errors.orientation_rad is None
    assert errors.velocity_mps is None


def test_velocity_that_nobody_labelled_costs_nothing():
    found = metrics((detections_at([[9, 0]]), gt([[9, 0]], velocity_valid=[False])))
    assert found.classes["car"].errors.velocity_mps is None
    assert found.nds == pytest.approx(1)


def test_ap_by_distance_counts_what_lies_near_enough():
    ap = metrics((detections_at([[10, 1.2]]), gt([[10, 0]]))).classes["car"].ap
    assert ap == pytest.approx({"0.5": 0, "1.0": 0, "2.0": 1, "4.0": 1})


def test_a_detection_of_a_hidden_object_is_neither_right_nor_wrong():
    labels = gt([[10, 0], [20, 0]], num_lidar_points=[9, 0], visible_fraction=[1, 0])
    found = metrics((detections_at([[10, 0], [20, 0]], score=[0.5, 0.9]), labels))
    assert found.truths == 1
    assert found.mean_ap == pytest.approx(1)
    assert found.operating["all"].precision == 1
    assert found.calibration.bins[9].detections == 0
    wrong = metrics((detections_at([[10, 0], [20, 0]], score=[0.5, 0.9]), gt([[10, 0]])))
    assert wrong.mean_ap == pytest.approx(ONE_WRONG_FIRST)


def test_recall_of_what_is_remembered():
    def at(step, points, detections):
        labels = gt(
            [[10, 0], [20, 0]],
            track_id=[1, 2],
            num_lidar_points=[points, points],
            visible_fraction=[0, 0],
        )
        return detections_at(detections, timestamp_us=step * 500_000), labels

    found = metrics(at(1, 9, []), at(2, 0, [[10, 0]]), at(3, 0, [[10, 0], [20, 0]]))
    assert found.hidden.truths == 4
    assert found.hidden.recall == pytest.approx(3 / 4)


def test_slices_judge_their_own_objects_and_what_is_wrong_there():
    labels = gt([[4, 0], [30, 0]], occlusion_level=[3, 0])
    detections = detections_at([[4, 0], [30, 0], [0, -10]], score=[0.5, 0.6, 0.9])
    bands = metrics((detections, labels)).distance_bands
    assert bands["3-6 m"].mean_ap == pytest.approx(1)
    assert bands["24-60 m"].mean_ap == pytest.approx(1)
    assert bands["6-12 m"].truths == 0
    assert bands["6-12 m"].mean_ap is None
    occlusion = metrics((detections, labels)).occlusion
    assert occlusion["NoOccluded"].mean_ap == pytest.approx(ONE_WRONG_FIRST)
    assert occlusion["HeavilyOccluded"].mean_ap == pytest.approx(1)


def test_recall_by_occlusion_needs_little_confidence_but_some():
    labels = gt([[4, 0], [8, 0], [12, 0]], occlusion_level=[3, 3, 3])
    part = metrics((detections_at([[4, 0], [8, 0]], score=[0.11, 0.09]), labels)).occlusion[
        "HeavilyOccluded"
    ]
    assert part.truths == 3
    assert part.recall == pytest.approx(1 / 3)


def test_the_operating_point_counts():
    labels = gt([[4, 0], [8, 0], [12, 0], [16, 0]])
    detections = detections_at([[4, 1.4], [8, 1.6], [12, 0], [30, 0]], score=[0.4, 0.9, 0.29, 0.5])
    point = metrics((detections, labels)).operating["car"]
    assert (point.true_positives, point.false_positives, point.truths) == (1, 2, 4)
    assert point.precision == pytest.approx(1 / 3)
    assert point.recall == pytest.approx(1 / 4)
    assert point.f1 == pytest.approx(2 / 7)


def test_calibration_is_the_gap_between_confidence_and_precision():
    detections = detections_at([[4, 0], [8, 0], [30, 0], [34, 0]], score=[0.95, 0.95, 0.95, 0.25])
    calibration = metrics((detections, gt([[4, 0], [8, 0]]))).calibration
    assert calibration.bins[9].precision == pytest.approx(2 / 3)
    assert calibration.ece == pytest.approx(((0.95 - 2 / 3) * 3 + 0.25) / 4)


def test_confusion_has_the_label_in_rows():
    labels = gt([[4, 0], [8, 0]], occlusion_level=[2, -1])
    found = metrics((detections_at([[4, 0], [8, 0]], occlusion_level=np.array([3, 3])), labels))
    assert found.occlusion_confusion[2] == (0, 0, 0, 1)
    assert np.sum(found.occlusion_confusion) == 1


def test_the_order_of_frames_is_nothing():
    frames = crowd(0)
    expected = metrics(*frames)
    random.Random(0).shuffle(frames)
    assert metrics(*frames) == expected


def test_without_frames_objects_or_detections_metrics_say_so():
    assert metrics().mean_ap is None
    empty = metrics((detections_at([]), gt([])))
    assert empty.frames == 1
    assert empty.nds is None
    assert empty.operating["all"].f1 is None
    silent = metrics((detections_at([]), gt([[5, 0]])))
    assert silent.mean_ap == 0
    assert silent.errors.translation_m == 1
    loud = metrics((detections_at([[5, 0]]), gt([])))
    assert loud.mean_ap is None
    assert loud.operating["all"].precision == 0


def test_metrics_go_through_json():
    found = metrics(*crowd(1))
    text = found.model_dump_json()
    assert "NaN" not in text
    assert DetectionMetrics.model_validate(json.loads(text)) == found


def test_labelled_objects_that_count_nowhere_are_counted_by_class():
    xy = [[10.0, 0.0], [12.0, 0.0], [90.0, 0.0], [0.0, -60.0], [20.0, 0.0]]
    labels = gt(
        xy, [0, 0, 0, 3, 3], num_lidar_points=[9, 9, 9, 9, 0], visible_fraction=[1, 1, 1, 1, 0]
    )
    found = metrics((detections_at([]), labels))
    assert found.truths == 2
    car, person = found.left_out["car"], found.left_out["person"]
    assert (car.out_of_range, car.unseen) == (1, 0)
    assert (person.out_of_range, person.unseen) == (1, 1)
    every = found.left_out_and_all()["all"]
    assert (every.out_of_range, every.unseen) == (2, 1)


def test_parts_have_precision_and_errors_at_the_operating_point():
    labels = gt([[10.0, 0.0], [8.0, 6.0]], velocity_mps=np.zeros((2, 3)))
    velocity = np.tile([3.0, 4.0, 0.0], (4, 1))
    xy = [[10.0, 1.0], [8.0, 4.2], [7.0, 0.0], [8.0, 0.0]]
    detections = detections_at(xy, score=[0.9, 0.9, 0.9, 0.2], velocity_mps=velocity)
    band = metrics((detections, labels)).distance_bands["6-12 m"]
    # The first is found within 1.5 m, the second within 2 m alone; the last is not confident.
    assert band.point.recall == pytest.approx(1 / 2)
    assert band.point.precision == pytest.approx(1 / 3)
    assert band.point.position_error_m == pytest.approx(1.0)
    assert band.point.velocity_error_mps == pytest.approx(5.0)


def test_an_error_that_was_not_measured_is_a_stand_in_in_its_class_and_in_the_mean():
    xy = [[10.0, 0.0], [20.0, 0.0]]
    found = metrics((detections_at(xy[:1]), gt(xy, [0, 3])))
    results = found.class_results_and_all()
    assert results["car"].stand_ins == frozenset()
    assert "velocity_mps" in results["person"].stand_ins
    assert "velocity_mps" in results["all"].stand_ins
    assert results["person"].errors.velocity_mps == 1
    barrier = metrics((detections_at(xy[:1]), gt(xy, [0, CLASS_NAMES.index("barrier")])))
    mean = barrier.class_results_and_all()["all"].stand_ins
    assert "translation_m" in mean
    assert "velocity_mps" not in mean  # a barrier has no part in that mean


def test_the_last_row_is_the_mean_of_classes_and_the_count_of_objects():
    frames = crowd(2)
    found = metrics(*frames)
    every = found.class_results_and_all()["all"]
    assert every.truths == found.truths
    assert every.mean_ap == found.mean_ap
    assert every.point == found.operating["all"]
    assert list(found.class_results_and_all())[-1] == "all"


def test_occlusion_f1_is_the_mean_over_levels_that_are_labelled():
    """Eight unoccluded objects found as such, two of three partly occluded called unoccluded."""
    at = [[4.0 * i, 0.0] for i in range(1, 12)]
    labels = gt(at, occlusion_level=[0] * 8 + [2] * 3)
    found = detections_at(at, occlusion_level=np.array([0] * 10 + [2]))
    unoccluded, partly = 2 * 8 / (8 + 10), 2 * 1 / (3 + 1)
    value = metrics((found, labels)).occlusion_macro_f1
    assert value == pytest.approx((unoccluded + partly) / 2)
    unlabelled = gt(at, occlusion_level=[-1] * 11)
    assert metrics((found, unlabelled)).occlusion_macro_f1 is None
