"""Tracking figures of small made-up drives whose answers can be counted by hand, and of crowds
against a slow twin."""

import json
import random

import numpy as np
import pytest

from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.evaluation.tracking.tracking_results import TrackingMetrics
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import BEV, detections_at, gt
from tests.evaluation.tracking.slow_tracking import slow_metrics

PERIOD_US = 100_000


def at(step, objects, detections, sequence="drive", **fields):
    """A frame of cars: {track id: x} of objects, {track id: x} or {track id: (x, score)} of
    detections. `fields` are those of the labels."""
    places = {i: v if isinstance(v, tuple) else (v, 0.9) for i, v in detections.items()}
    labels = gt([[x, 0.0] for x in objects.values()], **{"track_id": list(objects)} | fields)
    detected = detections_at(
        [[x, 0.0] for x, _ in places.values()],
        score=[score for _, score in places.values()],
        track_id=np.array(list(places), np.int64),
        timestamp_us=1_000_000 + PERIOD_US * step,
        sequence=sequence,
    )
    return LabelledFrame(detected, labels)


def cars(*frames):
    return tracking_metrics(frames, BEV).classes["car"]


def test_perfect_tracks_are_perfect():
    found = tracking_metrics([at(i, {1: 10, 2: 20}, {7: 10, 8: 20}) for i in range(5)], BEV)
    assert (found.amota, found.amotp_m, found.mota, found.motp_m) == (1, 0, 1, 0)
    assert (found.tp, found.fp, found.fn, found.ids, found.frag) == (10, 0, 0, 0, 0)
    assert (found.mt, found.ml, found.tid_s, found.lgd_s) == (2, 0, 0, 0)
    assert (found.frames, found.sequences, found.truths, found.objects) == (5, 1, 10, 2)


def test_errors_are_those_that_were_made():
    tracks = [{7: 10.5}, {8: 10.5}, {8: 13}, {}, {8: 10.5}]  # switched, astray, lost, back
    found = cars(*(at(i, {1: 10}, each) for i, each in enumerate(tracks)))
    assert (found.tp, found.ids, found.fn, found.fp) == (2, 1, 2, 1)
    assert found.mota == pytest.approx(1 - 4 / 5)
    assert found.motar == pytest.approx(1 - 1 / 2)
    assert found.motp_m == pytest.approx(0.5)
    assert found.recall == pytest.approx(3 / 5)
    assert (found.frag, found.mt, found.ml) == (1, 0, 0)
    assert found.lgd_frames == 2
    assert found.lgd_s == pytest.approx(0.2)
    assert found.faf == pytest.approx(20)


def test_objects_that_swap_tracks_switch_both():
    frames = [at(0, {1: 10, 2: 20}, {7: 10, 8: 20}), at(1, {1: 10, 2: 20}, {8: 10, 7: 20})]
    assert cars(*frames).ids == 2


def test_an_object_keeps_its_track_before_a_nearer_one():
    frames = [at(0, {1: 10}, {7: 10}), at(1, {1: 10}, {7: 11.5, 8: 10})]
    found = cars(*frames)
    assert (found.ids, found.tp, found.fp) == (0, 2, 1)


def test_as_many_as_possible_are_matched_before_the_nearest():
    found = cars(at(0, {1: 10, 2: 11.5}, {7: 11, 8: 13}))
    assert (found.tp, found.fp) == (2, 0)
    assert found.motp_m == pytest.approx((1 + 1.5) / 2)


def test_the_same_id_in_another_drive_is_another_track():
    frames = [at(0, {1: 10}, {7: 10}), at(0, {1: 10}, {8: 10}, sequence="other")]
    found = tracking_metrics(frames, BEV)
    assert (found.ids, found.objects, found.sequences) == (0, 2, 2)


def test_a_track_is_as_sure_as_its_detections_are_on_average():
    frames = [
        at(0, {1: 10}, {7: (10, 0.9), 8: (30, 0.5)}),
        at(1, {1: 10}, {7: (10, 0.1), 8: (30, 0.3)}),
    ]
    found = cars(*frames)
    assert (found.tp, found.fp) == (2, 0)
    assert found.confidence == pytest.approx(0.5)


def test_recalls_that_are_not_reached_count_as_the_worst():
    frames = [at(0, {1: 10}, {7: 10}), at(1, {1: 10}, {})]
    found = cars(*frames)
    reached = np.mean(np.linspace(0.1, 1, 40).round(12) <= 0.5)
    assert found.amota == pytest.approx(reached)
    assert found.amotp_m == pytest.approx(2 * (1 - reached))


def test_what_is_ignored_costs_nothing():
    hidden = {"num_lidar_points": [0], "visible_fraction": [0.0]}
    frames = [
        at(0, {1: 10}, {7: 10}, **hidden),
        at(1, {1: 10}, {7: 10}),
        at(2, {1: 10}, {}, **hidden),
        at(3, {1: 10}, {7: 10, 9: 10.5}, **hidden),
        at(4, {1: 10}, {7: 10}),
        at(5, {1: 70}, {7: 70}),  # out of range
    ]
    found = cars(*frames)
    assert (found.truths, found.tp, found.fp, found.fn) == (2, 2, 0, 0)
    assert (found.tid_frames, found.lgd_frames, found.frag) == (0, 0, 0)


def test_a_hole_in_the_labels_is_a_gap_as_in_the_official_metrics():
    frames = [at(0, {1: 10}, {7: 10}), at(1, {}, {8: 30}), at(2, {1: 10}, {7: 10})]
    assert cars(*frames).lgd_frames == 1


def test_objects_without_track_id_are_ignored_and_said():
    frames = [at(i, {1: 10, -1: 20}, {7: 10, 8: 20}) for i in range(2)]
    found = tracking_metrics(frames, BEV)
    assert (found.truths, found.untracked_truths, found.fp) == (2, 2, 0)
    unlabelled = tracking_metrics([at(0, {-1: 10}, {7: 10})], BEV)
    assert unlabelled.amota is None
    assert unlabelled.untracked_truths == 1


def test_detections_without_identity_are_left_out_and_said():
    frames = [at(0, {1: 10}, {-1: 10}), at(1, {1: 10}, {7: 10}), at(2, {1: 10}, {7: 10, -1: 30})]
    found = tracking_metrics(frames, BEV)
    assert (found.tp, found.fn, found.fp, found.ids) == (2, 1, 0, 0)
    assert (found.tracks, found.unnamed_detections) == (1, 2)


def test_an_id_said_twice_in_a_frame_belongs_to_the_surer_detection():
    labels = gt([[10, 0]], track_id=[1])
    twice = detections_at([[10, 0], [30, 0]], score=[0.6, 0.9], track_id=np.array([7, 7]))
    found = cars(LabelledFrame(twice, labels))
    assert (found.tp, found.truths) == (1, 1)
    labelled_twice = gt([[10, 0], [20, 0]], track_id=[1, 1])
    assert cars(LabelledFrame(twice, labelled_twice)).truths == 1


def test_without_objects_tracks_or_frames_metrics_say_so():
    for frames in ([], [at(0, {}, {})], [at(0, {}, {7: 10})]):
        found = tracking_metrics(frames, BEV)
        assert found.amota is None
        assert found.ids is None
        assert found.truths == 0
    silent = cars(at(0, {1: 10}, {}), at(1, {1: 10}, {}))
    assert (silent.amota, silent.amotp_m, silent.mota, silent.fn, silent.ml) == (0, 2, 0, 2, 1)
    assert (silent.tid_s, silent.ids, silent.confidence) == (20, None, None)
    astray = cars(at(0, {1: 10}, {7: 30}))
    assert astray.amota == 0


def crowd(seed, sequences=3, frames=12, objects=10):
    """Drives in which objects of three classes walk through each other, come and go, hide and lose
    their labels, while tracks miss them, change and swap ids, and cry wolf."""
    rng = np.random.default_rng(seed)
    result = []
    for sequence in range(sequences):
        place, speed = rng.uniform(-5, 5, (objects, 2)), rng.normal(0, 0.4, (objects, 2))
        class_id, sure = rng.integers(0, 3, objects), rng.random(objects).round(1)
        ids = np.arange(objects) + 100
        for step in range(rng.integers(1, frames)):
            place = place + speed
            swapped = rng.permutation(objects)[: 2 * int(rng.random() < 0.3)]
            ids[swapped] = ids[swapped[::-1]]
            there, found = rng.random((2, objects)) < 0.8
            labels = gt(
                place,
                class_id,
                track_id=np.where(rng.random(objects) < 0.1, -1, np.arange(objects)),
                num_lidar_points=(rng.random(objects) < 0.8).astype(int),
                visible_fraction=np.zeros(objects),
            ).select(there)
            wolf = rng.uniform(-5, 5, (2, 2))
            detections = detections_at(
                np.concatenate([(place + rng.normal(0, 0.5, place.shape))[found], wolf]),
                np.append(class_id[found], [0, 1]),
                np.append(sure[found], rng.random(2)),
                track_id=np.append(ids[found], [-1, 50 + step // 3]),
                timestamp_us=1_000_000 + PERIOD_US * step,
                sequence=f"drive {sequence}",
            )
            result.append(LabelledFrame(detections, labels))
    return result


@pytest.mark.parametrize("seed", range(6))
def test_crowds_agree_with_the_slow_twin(seed):
    frames = crowd(seed)
    found = tracking_metrics(frames, BEV).classes
    for class_id in range(3):
        ours = found[CLASS_NAMES[class_id]].model_dump()
        for name, expected in slow_metrics(frames, class_id).items():
            ours_or_nan = np.nan if ours[name] is None else ours[name]
            assert ours_or_nan == pytest.approx(expected, nan_ok=True), (class_id, name)


def test_the_order_of_frames_and_drives_is_nothing():
    frames = crowd(0)
    expected = tracking_metrics(frames, BEV)
    random.Random(0).shuffle(frames)
    assert tracking_metrics(frames, BEV) == expected


def test_metrics_go_through_json():
    found = tracking_metrics(crowd(1), BEV)
    text = found.model_dump_json()
    assert "NaN" not in text
    assert TrackingMetrics.model_validate(json.loads(text)) == found
