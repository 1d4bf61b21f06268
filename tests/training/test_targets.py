"""What counts as truth of a frame, and for how much."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config.training import DistanceWeights, LossConfig
from leapai.training.targets import TargetMaker, Targets, instance_weights
from leapai.types import CLASS_NAMES
from tests.scenes import make_batch, make_frame, small_config
from tests.training.examples import random_labels


def batch_of(*labels, index=0, first=True, time_us=None):
    """One frame a stream with these labels (None: unlabelled)."""
    batch = make_batch(index, tuple(range(len(labels))), first=first)
    frames = tuple(replace(f, labels=x) for f, x in zip(batch.frames, labels, strict=True))
    if time_us is not None:
        frames = tuple(replace(f, timestamp_us=time_us) for f in frames)
    return replace(batch, frames=frames)


def maker(**loss):
    return TargetMaker(small_config(loss=LossConfig(**loss)))


def tracks(targets):
    return targets.track_id.tolist()


def hidden(labels):
    """The same objects, seen by no sensor."""
    count = len(labels)
    return replace(labels, num_lidar_points=np.zeros(count, int), visible_fraction=np.zeros(count))


def test_targets_are_the_labels_in_float32():
    labels = random_labels(5)
    (targets,) = maker().make(batch_of(labels))
    np.testing.assert_allclose(targets.boxes, labels.boxes, rtol=1e-6)
    np.testing.assert_allclose(targets.velocity_mps, labels.velocity_mps, rtol=1e-6)
    assert targets.boxes.dtype == targets.weight.dtype == torch.float32
    assert targets.class_id.tolist() == labels.class_id.tolist()
    assert targets.occlusion_level.tolist() == labels.occlusion_level.tolist()
    assert targets.labelled


def test_an_object_outside_the_range_is_no_target():
    labels = random_labels(4)
    for column, value in ((0, 62.5), (0, -40.1), (1, 44.9)):
        boxes = labels.boxes.copy()
        boxes[2, column] = value
        (targets,) = maker().make(batch_of(replace(labels, boxes=boxes)))
        assert tracks(targets) == [0, 1, 3]


@pytest.mark.parametrize(
    ("points", "visible", "counts"),
    [
        (3, 0.0, True),
        (0, 0.2, True),
        (0, 0.0, False),
        (-1, np.nan, True),  # nobody knows: an object of a data set without such labels
        (0, np.nan, False),  # AV2, nuScenes: no fraction is labelled, and no point hit it
        (-1, 0.0, False),
        (-1, 0.5, True),
        (2, np.nan, True),
    ],
)
def test_only_what_a_sensor_sees_is_a_target(points, visible, counts):
    labels = random_labels(1, num_lidar_points=np.array([points]))
    labels = replace(labels, visible_fraction=np.array([visible]))
    (targets,) = maker().make(batch_of(labels))
    assert len(targets) == int(counts)


@pytest.mark.parametrize(
    ("points", "visible", "by_lidar", "by_cameras"),
    [
        (3, 0.0, True, False),
        (0, 0.2, False, True),
        (0, 0.0, False, False),
        (-1, np.nan, True, True),
        (0, np.nan, False, False),
        (-1, 0.0, False, False),
        (-1, 0.5, True, True),
        (2, np.nan, True, True),
    ],
)
def test_a_target_is_seen_only_by_a_sensor_that_came(points, visible, by_lidar, by_cameras):
    labels = replace(
        random_labels(1, num_lidar_points=np.array([points])), visible_fraction=np.array([visible])
    )
    batch = batch_of(labels)
    lidar, cameras = batch.lidar_valid, batch.camera_valid
    some = cameras.clone()
    some[0, 1:] = False
    for changes, expected in (
        ({"camera_valid": ~cameras}, by_lidar),
        ({"lidar_valid": ~lidar}, by_cameras),
        ({"lidar_valid": ~lidar, "camera_valid": some}, by_cameras),
        ({"lidar_valid": ~lidar, "camera_valid": ~cameras}, False),
        ({"lidar_valid": ~lidar, "camera_valid": cameras[:, :0]}, False),
        ({}, by_lidar or by_cameras),
    ):
        (targets,) = maker().make(replace(batch, **changes))
        assert len(targets) == int(expected), changes


def test_in_a_frame_without_sensors_objects_are_remembered_and_not_seen():
    making, labels = maker(remembered_s=0.2), random_labels(3)
    making.make(batch_of(labels))
    later = batch_of(labels, index=1, first=False)
    nothing = {"lidar_valid": ~later.lidar_valid, "camera_valid": ~later.camera_valid}
    (targets,) = making.make(replace(later, **nothing))
    assert tracks(targets) == [0, 1, 2]
    assert not targets.seen.any()


def test_an_object_seen_before_stays_a_target_for_a_while():
    making, labels = maker(remembered_s=0.2), random_labels(2)
    both = [making.make(batch_of(labels))[0]]
    one_hidden = replace(hidden(labels), num_lidar_points=np.array([0, 4]))
    both += [making.make(batch_of(one_hidden, index=i, first=False))[0] for i in (1, 2, 3)]
    assert [tracks(t) for t in both] == [[0, 1], [0, 1], [0, 1], [1]]
    assert both[1].seen.tolist() == [False, True]


def test_without_remembering_only_what_is_seen_now_counts():
    making, labels = maker(remembered_s=0), random_labels(2)
    making.make(batch_of(labels))
    (targets,) = making.make(batch_of(hidden(labels), index=1, first=False))
    assert tracks(targets) == []


def test_streams_remember_apart_and_a_new_drive_forgets():
    making, labels = maker(remembered_s=1), random_labels(2)
    making.make(batch_of(labels, hidden(labels)))
    kept = making.make(batch_of(hidden(labels), hidden(labels), index=1, first=False))
    assert [tracks(t) for t in kept] == [[0, 1], []]
    new = making.make(batch_of(hidden(labels), hidden(labels), index=2, first=True))
    assert [tracks(t) for t in new] == [[], []]


@pytest.mark.parametrize("jump_s", [-0.1, 2.5])
def test_what_drops_the_networks_memory_drops_this_one(jump_s):
    making, labels = maker(remembered_s=10), random_labels(1)
    making.make(batch_of(labels, time_us=10_000_000))
    later = batch_of(hidden(labels), first=False, time_us=10_000_000 + round(jump_s * 1e6))
    assert tracks(making.make(later)[0]) == []


def test_a_track_without_identity_is_not_remembered():
    making = maker(remembered_s=1)
    labels = random_labels(2, track_id=np.array([-1, -1]))
    making.make(batch_of(labels))
    half = replace(hidden(labels), num_lidar_points=np.array([0, 3]))
    assert len(making.make(batch_of(half, index=1, first=False))[0]) == 1


def test_what_was_seen_outside_the_range_cannot_be_remembered():
    making, inside = maker(remembered_s=1), random_labels(1)
    outside = replace(inside, boxes=inside.boxes + np.array([200.0, 0, 0, 0, 0, 0, 0]))
    making.make(batch_of(outside))
    assert len(making.make(batch_of(hidden(inside), index=1, first=False))[0]) == 0


def test_a_restored_maker_goes_on_as_if_nothing_had_happened():
    labels = random_labels(3)
    first, frames = maker(remembered_s=0.5), [batch_of(labels)]
    frames += [batch_of(hidden(labels), index=i, first=False) for i in (1, 4, 6)]
    expected = [tracks(first.make(frame)[0]) for frame in frames]
    assert expected == [[0, 1, 2], [0, 1, 2], [0, 1, 2], []]
    for stop in range(1, len(frames)):
        before, after = maker(remembered_s=0.5), maker(remembered_s=0.5)
        for frame in frames[:stop]:
            before.make(frame)
        after.restore(before.state())
        assert [tracks(after.make(frame)[0]) for frame in frames[stop:]] == expected[stop:]


def test_state_is_a_copy():
    making, labels = maker(remembered_s=1), random_labels(1)
    making.make(batch_of(labels))
    state = making.state()
    making.make(batch_of(random_labels(2), index=1, first=False))
    assert state == [{"timestamp_us": make_frame(0).timestamp_us, "seen_us": [[0, 1_000_000]]}]


def test_a_frame_that_nobody_labelled():
    streams = maker().make(batch_of(None, random_labels(2)))
    assert [stream.labelled for stream in streams] == [False, True]
    assert len(streams[0]) == 0


def test_an_object_that_is_not_a_number_is_no_target():
    labels = random_labels(3)
    boxes = labels.boxes.copy()
    boxes[1, 0] = np.nan
    (targets,) = maker().make(batch_of(replace(labels, boxes=boxes)))
    assert tracks(targets) == [0, 2]


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_instance_weights_follow_the_table(name):
    distance_m = torch.tensor([0.0, 5.9, 6.1, 11.9, 12.1, 50.0])
    class_id = torch.full((6,), CLASS_NAMES.index(name))
    weights = instance_weights(distance_m, class_id, DistanceWeights())
    if name in ("barrier", "pillar", "riderless_non_motor"):
        expected = np.exp(-distance_m.numpy() / 30)
    else:
        expected = [4, 4, 2, 2, 1, 1]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_distance_is_measured_on_the_ground():
    labels = random_labels(1, class_id=np.array([3]))
    boxes = np.array([[3.0, 4.0, 4.5, 1, 1, 2, 0]])  # 5 m away, 4.5 m up
    (targets,) = maker().make(batch_of(replace(labels, boxes=boxes)))
    assert targets.weight.tolist() == [4.0]


def test_joined_keeps_streams_in_order():
    streams = maker().make(batch_of(random_labels(2, 1), random_labels(3, 2)))
    joined = Targets.joined(streams)
    assert tracks(joined) == [0, 1, 0, 1, 2]
    assert torch.equal(joined.boxes[2:], streams[1].boxes)
