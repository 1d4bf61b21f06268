"""Lives of objects and tracks: who stood for whom, when, and where that changed."""

import numpy as np

from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.tracking.object_timelines import object_timelines, track_timelines
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import BEV, detections_at, gt

SURE = np.full(len(CLASS_NAMES), 0.3)


def frame(step, *, found=True, track_id=5, points=9, sequence="drive", score=0.9):
    """One car, seen or not, found or not."""
    xy = [[10.0, 0.0]]
    labels = gt(
        xy,
        track_id=[7],
        num_lidar_points=[points],
        visible_fraction=[0.0],
        occlusion_level=[step % 4],
    )
    detections = detections_at(
        xy if found else [],
        score=score,
        track_id=np.full(int(found), track_id),
        timestamp_us=1_000_000 + 100_000 * step,
        sequence=sequence,
    )
    return LabelledFrame(detections, labels)


def test_a_life_knows_who_stood_for_it_and_where_that_changed():
    frames = [
        frame(0),
        frame(1, found=False),
        frame(2),
        frame(3, points=0, found=False),  # hidden: nobody is to find it
        frame(4, track_id=6),
        frame(5, track_id=6),
    ]
    (timeline,) = object_timelines(frames[::-1], BEV, SURE)
    assert (timeline.sequence, timeline.own_id, timeline.class_id) == ("drive", 7, 0)
    assert timeline.found.tolist() == [True, False, True, False, True, True]
    assert timeline.evaluated.tolist() == [True, True, True, False, True, True]
    assert timeline.track_id.tolist() == [5, -1, 5, -1, 6, 6]
    assert timeline.switched.tolist() == [False] * 4 + [True, False]
    assert timeline.occlusion_level.tolist() == [0, 1, 2, 3, 0, 1]
    assert timeline.share_found == 4 / 5
    assert timeline.losses == 1  # to be hidden is not to be lost
    assert timeline.time_us.tolist() == [1_000_000 + 100_000 * step for step in range(6)]


def test_switches_are_those_of_the_tracking_metrics():
    frames = [frame(step, track_id=step // 3) for step in range(12)]
    timelines = object_timelines(frames, BEV, SURE)
    metrics = tracking_metrics(frames, BEV)
    assert sum(int(timeline.switched.sum()) for timeline in timelines) == metrics.ids == 3


def test_the_same_id_in_two_drives_is_two_lives_and_unsure_tracks_stand_for_nothing():
    frames = [frame(0, sequence="a"), frame(0, sequence="b", score=0.2)]
    one, other = object_timelines(frames, BEV, SURE)
    assert (one.sequence, other.sequence) == ("a", "b")
    assert (one.share_found, other.share_found) == (1.0, 0.0)


def test_objects_without_an_id_or_that_never_count_have_no_life():
    nameless = LabelledFrame(detections_at([]), gt([[10.0, 0.0]]))
    assert object_timelines([nameless, frame(1, points=0)], BEV, SURE) == []
    assert object_timelines([], BEV, SURE) == []


def test_without_gt_the_tracks_have_lives():
    steps = [frame(0), frame(1), frame(3), frame(4, track_id=-1)]
    (timeline,) = track_timelines([each.detections for each in steps[::-1]])
    assert (timeline.own_id, timeline.class_id) == (5, 0)
    assert timeline.time_us.tolist() == [1_000_000, 1_100_000, 1_300_000]
    assert timeline.found.all()
    assert not timeline.switched.any()
