"""Curves and errors that figures average away: averaged, they are those figures again."""

import numpy as np
import pytest

from leapai.evaluation.detection.distance_profiles import profiles
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.detection.precision_recall import average_precision
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import BEV, crowd, detections_at, gt, metrics


def of(frames):
    return profiles([LabelledFrame(*frame) for frame in frames], BEV)


def test_the_area_under_a_curve_is_the_average_precision_of_the_class():
    frames = crowd(0)
    classes, curves = metrics(*frames).classes, of(frames).precision
    assert list(curves) == list(CLASS_NAMES[:3])
    for name, by_distance in curves.items():
        for distance, precision in by_distance.items():
            assert average_precision(precision) == classes[name].ap[f"{distance:.1f}"]


def test_hits_average_to_the_errors_by_distance():
    frames = crowd(1)
    bands, hits = metrics(*frames).distance_bands, of(frames).hits
    inside = (hits.distance_m >= 3) & (hits.distance_m < 6)
    band = bands["3-6 m"]
    assert inside.sum() == round(band.point.recall * band.truths) > 0
    assert hits.position_m[inside].mean() == pytest.approx(band.point.position_error_m)
    assert np.nanmean(hits.velocity_mps[inside]) == pytest.approx(band.point.velocity_error_mps)


def test_what_stands_has_no_velocity_error_and_what_is_round_no_heading():
    xy = [[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]]
    ids = [CLASS_NAMES.index(name) for name in ("car", "barrier", "pillar")]
    hits = of([(detections_at(xy, ids, yaw=0.1), gt(xy, ids))]).hits
    assert np.isnan(hits.velocity_mps[np.argsort(hits.class_id)]).tolist() == [False, True, True]
    assert np.isnan(hits.yaw_rad[np.argsort(hits.class_id)]).tolist() == [False, False, True]


def test_a_run_without_objects_has_no_curve():
    empty = of([(detections_at([[5.0, 5.0]]), gt([]))])
    assert not empty.precision
    assert not len(empty.hits.class_id)
    assert not len(empty.gt_distance_m)
