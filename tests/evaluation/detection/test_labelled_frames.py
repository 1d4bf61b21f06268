"""Which objects count, which are ignored, which are to be remembered."""

import numpy as np

from leapai.evaluation.detection.labelled_frames import LabelledFrame, last_seen_us, tabulate
from tests.evaluation.made_up import BEV, detections_at, gt


def objects_of(*frames):
    return tabulate([LabelledFrame(*frame) for frame in frames], BEV)[0]


def test_an_object_counts_when_in_range_and_seen():
    nan = np.nan
    labels = gt(
        [[10, 0]] * 5 + [[70, 0], [10, 50]],
        num_lidar_points=[0, 1, 0, -1, -1, 9, 9],
        visible_fraction=[0, 0, 0.2, nan, 0, 1, 1],
    )
    assert objects_of((detections_at([]), labels)).counted.tolist() == [
        False, True, True, True, False, False, False,
    ]  # fmt: skip


def hidden_at(step, seen, track_id=4, sequence="drive"):
    """An object at one instant, every half second."""
    labels = gt(
        [[10, 0]], track_id=[track_id], num_lidar_points=[int(seen)], visible_fraction=[0.0]
    )
    return detections_at([], timestamp_us=1_000_000 + 500_000 * step, sequence=sequence), labels


def test_a_hidden_object_is_remembered_for_two_seconds():
    frames = [hidden_at(step, seen=step in (1, 2)) for step in range(9)]
    objects = objects_of(*frames)
    assert objects.counted.tolist() == [False, True, True] + [False] * 6
    assert objects.hidden.tolist() == [False] * 3 + [True] * 4 + [False] * 2


def test_nobody_remembers_across_sequences_or_without_identity():
    other_drive = objects_of(hidden_at(0, True), hidden_at(1, False, sequence="other"))
    other_track = objects_of(hidden_at(0, True), hidden_at(1, False, track_id=5))
    unlabelled = objects_of(hidden_at(0, True, track_id=-1), hidden_at(1, False, track_id=-1))
    for objects in (other_drive, other_track, unlabelled):
        assert not objects.hidden.any()


def test_when_an_object_was_last_seen_agrees_with_a_loop():
    rng = np.random.default_rng(0)
    count = 300
    sequence, track = rng.integers(0, 3, count), rng.integers(-1, 6, count)
    time_us, seen = rng.permutation(count), rng.random(count) < 0.2
    expected = []
    for i in range(count):
        same = (sequence == sequence[i]) & (track == track[i]) & seen & (time_us <= time_us[i])
        expected.append(time_us[same].max(initial=-1) if track[i] >= 0 else -1)
    np.testing.assert_array_equal(last_seen_us(sequence, track, time_us, seen), expected)


def test_detections_stand_by_falling_confidence():
    frames = [
        (detections_at([[1, 0], [2, 0]], score=[0.2, 0.9]), gt([])),
        (detections_at([[3, 0]], score=0.5, timestamp_us=2_000_000), gt([])),
    ]
    detections = tabulate([LabelledFrame(*frame) for frame in frames], BEV)[1]
    assert detections.score.tolist() == [0.9, 0.5, 0.2]
    assert detections.boxes[:, 0].tolist() == [2, 3, 1]
    assert detections.frame.tolist() == [0, 1, 0]
