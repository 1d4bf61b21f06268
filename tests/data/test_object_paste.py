"""Objects of other frames in the LiDAR of a clip: one motion, free of others, seen by the LiDAR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.config import TaskConfig
from leapai.config.training import PasteConfig
from leapai.data.log import DrivingLog
from leapai.data.object_paste import Clip, ObjectPaster, is_hidden, objects_of, with_object
from leapai.data.samplers import StreamingDataset
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import Frame, Labels
from tests.scenes import make_frame, small_config
from tests.training.runs import NO_AUGMENTATION

CAR, PERSON, PILLAR = 0, 3, 7
BOXES = np.array(
    [
        [12.0, 6.0, 0.8, 4.5, 1.9, 1.6, 0.4],
        [-15.0, -9.0, 0.9, 0.8, 0.8, 1.8, -2.0],
        [20.0, -12.0, 1.0, 0.5, 0.5, 2.0, 1.0],
    ]
)
OFF = np.array([15.0, 20, 0, 0, 0, 0, 1])
SPEED_MPS = np.array([[3.0, 1.2, 0.0], [-0.5, -1.0, 0.0], [9.0, 9.0, 0.0]])
"""That of the pillar is a mistake of the label."""


class DrivenLog(DrivingLog):
    """A drive with the given boxes, each full of points."""

    def __init__(self, name: str, boxes: np.ndarray, class_id: tuple[int, ...], frames=6) -> None:
        self.name, self.boxes, self.class_id, self.frames = name, boxes, class_id, frames
        self.read = 0

    @property
    def timestamps_us(self) -> np.ndarray:
        return 1_000_000 + np.arange(self.frames) * 100_000

    def ground_truth(self, index: int) -> Frame:
        frame = make_frame(index, sequence=self.name)
        labels = replace(
            Labels.unlabelled(self.boxes, np.array(self.class_id, np.int64)),
            velocity_mps=SPEED_MPS[: len(self.boxes)],
            velocity_valid=np.ones(len(self.boxes), bool),
            track_id=np.arange(len(self.boxes)),
        )
        return replace(frame, cameras=(), points=None, labels=labels)

    def __getitem__(self, index: int) -> Frame:
        self.read += 1
        rng = np.random.default_rng(index)
        inside = rng.uniform(-0.5, 0.5, (len(self.boxes), 40, 3)) * self.boxes[:, None, 3:6]
        ego_from_box = poses.from_xyz_yaw(self.boxes[:, :3], self.boxes[:, 6])
        points = poses.apply(ego_from_box, inside).reshape(-1, 3)
        points = np.hstack([points, rng.uniform(size=(len(points), 2))]).astype(np.float32)
        labels = self.ground_truth(index).labels
        return replace(make_frame(index, sequence=self.name), points=points, labels=labels)


def donor() -> DrivenLog:
    return DrivenLog("donor", BOXES, (CAR, PERSON, PILLAR))


def empty_drive(boxes: np.ndarray = BOXES[:0], class_id: tuple[int, ...] = ()) -> DrivenLog:
    return DrivenLog("clip", boxes, class_id)


def pasted_frames(paster, logs, sequence, number=3, frames=(1, 4)):
    clip = Clip(number, sequence, frames)
    return [paster.paste(logs[sequence][i], clip) for i in range(frames[0], frames[1] + 1)]


def paster_of(logs, seed=0, **values):
    return ObjectPaster(logs, PasteConfig(**{"objects": 3, **values}), seed)


@pytest.fixture
def clip():
    """Frames of an empty drive with the objects of a donor, and how they were before."""
    logs = [empty_drive(), donor()]
    paster = paster_of(logs)
    offered = objects_of(logs[1][2], np.random.default_rng(0))
    paster._donated = lambda _: tuple(offered)
    return pasted_frames(paster, logs, 0), [logs[0][i] for i in range(1, 5)]


def test_an_object_moves_along_one_path_through_the_frames_of_a_clip(clip):
    found, _ = clip
    first = found[0]
    assert sorted(first.labels.class_id) == [CAR, PERSON, PILLAR]
    assert first.labels.track_id.min() >= 1 << 40
    for number, frame in enumerate(found):
        assert list(frame.labels.track_id) == list(first.labels.track_id)
        age_s = (frame.timestamp_us - first.timestamp_us) / 1e6
        for row, class_id in enumerate(frame.labels.class_id):
            source = [CAR, PERSON, PILLAR].index(class_id)
            speed = SPEED_MPS[source] * (class_id != PILLAR)
            expected = BOXES[source, :3] + speed * age_s
            expected = poses.apply(first.ego2global, expected[None])
            centre = poses.apply(frame.ego2global, frame.labels.boxes[row : row + 1, :3])
            np.testing.assert_allclose(centre, expected, atol=1e-6)
            over_ground = poses.rotate(frame.ego2global, frame.labels.velocity_mps[row][None])
            np.testing.assert_allclose(
                over_ground, poses.rotate(first.ego2global, speed[None]), atol=1e-6
            )
            assert frame.labels.velocity_valid[row]
        if number == 0:
            order = [list(frame.labels.class_id).index(c) for c in (CAR, PERSON, PILLAR)]
            np.testing.assert_allclose(frame.labels.boxes[order], BOXES, atol=1e-6)


def test_its_points_lie_in_its_box_and_are_counted_and_images_stay(clip):
    found, before = clip
    for frame, bare in zip(found, before, strict=True):
        inside = box_geometry.points_inside(frame.points[:, :3], frame.labels.boxes * _GROWN)
        assert list(inside.sum(1)) == list(frame.labels.num_lidar_points)
        assert inside.any(0).sum() == len(frame.points), "the drive itself has no points"
        assert frame.points.dtype == bare.points.dtype
        for camera, same in zip(frame.cameras, bare.cameras, strict=True):
            assert np.array_equal(camera.image, same.image)


_GROWN = np.array([1, 1, 1, 1.001, 1.001, 1.001, 1])
"""Float32 points of a surface may lie a little outside."""


def test_the_lidar_alone_shows_it(clip):
    labels = clip[0][0].labels
    assert labels.seen_with(lidar=True, cameras=False).all()
    assert not labels.seen_with(lidar=False, cameras=True).any()


def test_the_farther_away_the_fewer_of_the_same_points():
    log = donor()
    (car, *_) = objects_of(log[0], np.random.default_rng(0))
    shown = []
    for factor in (0.5, 1.0, 2.0, 4.0):
        moved = car.global_from_object.copy()
        moved[:2, 3] *= factor
        frame = replace(empty_drive()[0], ego2global=np.eye(4))
        there = with_object(frame, replace(car, global_from_object=moved)).points
        shown.append({tuple(p) for p in there[:, 3:].tolist()})
    assert len(shown[0]) == len(shown[1]) == 40
    assert shown[3] < shown[2] < shown[1]
    assert len(shown[2]) == pytest.approx(10, abs=6)


def test_what_meets_others_in_any_frame_is_left_out():
    (_, person, _) = objects_of(donor()[0], np.random.default_rng(0))

    def counted(log, frames):
        paster = paster_of([log])
        paster._donated = lambda _: (person,)
        found = pasted_frames(paster, [log], 0, frames=frames)
        return found[-1], [len(frame.labels) - len(log.boxes) for frame in found]

    last, counts = counted(empty_drive(), (0, 3))
    assert counts == [1] * 4
    there = empty_drive(last.labels.boxes, (PERSON,))  # where it comes to in the last frame
    assert counted(there, (0, 3))[1] == [0] * 4
    assert counted(there, (0, 1))[1] == [1] * 2


def test_nothing_is_put_upon_the_ego_or_upon_another_pasted_object():
    logs = [empty_drive(), donor()]
    (car, *_) = objects_of(logs[1][0], np.random.default_rng(0))
    near = replace(car, global_from_object=poses.from_xyz_yaw(np.array([2.0, 1.0, 0.8]), 0.0))
    paster = paster_of(logs)
    paster._donated = lambda _: (car, car, near)
    assert [len(f.labels) for f in pasted_frames(paster, logs, 0)] == [1] * 4


def hidden_slowly(point, box):
    """Walks from the LiDAR to the point in small steps, and looks whether one is in the box."""
    steps = np.linspace(0, 1, 2001)[:, None]
    way = np.array([0, 0, 1.8]) + steps * (point - np.array([0, 0, 1.8]))
    return box_geometry.points_inside(way, box[None]).any()


def test_what_lies_behind_a_box_is_hidden_as_a_slow_walk_finds():
    rng = np.random.default_rng(3)
    box = np.array([9.0, 3.0, 0.9, 4.0, 2.0, 1.8, 0.7])
    points = rng.uniform([2, -6, -0.5], [30, 16, 2.5], (400, 3))
    expected = [hidden_slowly(point, box) for point in points]
    assert 30 < sum(expected) < 200
    assert (is_hidden(points, box) == expected).mean() > 0.995  # steps miss corners


def test_it_hides_the_scene_and_the_scene_hides_it():
    log = donor()
    frame = log[0]
    (car, *_) = objects_of(frame, np.random.default_rng(0))
    behind = BOXES[0, :3] * 1.6
    scene = replace(
        empty_drive()[0],
        ego2global=np.eye(4),
        points=np.array([[*behind, 1, 0], [5, 0, 0.3, 1, 0]], np.float32),
    )
    found = with_object(scene, car)
    assert len(found.points) == 1 + found.labels.num_lidar_points[0]
    crowd = BOXES[[0, 0, 1]].copy()
    crowd[0, :3], crowd[0, 3:6] = behind, 0.2  # holds the point behind alone
    crowd[1, :3], crowd[1, 3:6] = (behind + scene.points[1, :3]) / 2, [30, 30, 9]  # both
    labelled = Labels.unlabelled(crowd, np.array([PERSON] * 3))
    recorded = replace(labelled, num_lidar_points=np.array([7, 8, -1]))
    counts = with_object(replace(scene, labels=recorded), car).labels.num_lidar_points
    assert list(counts[:3]) == [0, 4, -1]
    wall = np.array([[6.0, 3.0, 1.5, 0.5, 12.0, 3.0, 0.4]])
    walled = replace(scene, labels=Labels.unlabelled(wall, np.array([6])))
    assert with_object(walled, car).labels.num_lidar_points[-1] == 0


def test_a_clip_is_the_same_for_whoever_asks_and_clips_differ():
    logs = [donor(), DrivenLog("other", BOXES + OFF, (CAR, CAR, PERSON))]
    one, other = paster_of(logs), paster_of(logs)
    whole = pasted_frames(one, logs, 0)
    alone = other.paste(logs[0][3], Clip(3, 0, (1, 4)))
    np.testing.assert_array_equal(whole[2].points, alone.points)
    np.testing.assert_array_equal(whole[2].labels.boxes, alone.labels.boxes)
    drawn = {
        tuple(one.paste(logs[0][3], Clip(number, 0, (1, 4))).labels.boxes[3:].round(3).flatten())
        for number in range(64)
    }
    assert len(drawn) > 2


def test_a_donor_is_read_once_for_several_clips_and_thin_objects_are_not_taken():
    logs = [empty_drive(), donor()]
    paster = paster_of(logs, seed=1)
    frame = logs[0][2]
    for number in range(8):
        paster.paste(frame, Clip(number, 0, (1, 4)))
    assert logs[0].read + logs[1].read == 2  # the frame itself, and one donor
    thin = paster_of([donor()], min_points=41)
    assert thin._donated(0) == ()
    assert len(paster_of([donor()], min_points=40)._donated(0)) == 3


def config_of(**changes) -> TaskConfig:
    paste = {"objects": 3, "until": 0.5}
    return small_config(
        **{
            "augmentation": {**NO_AUGMENTATION, "paste": paste},
            "streaming": {"clip_frames": 4},
            "batch_sizes": {"train": 1, "val": 1},
            **changes,
        }
    )


def test_the_last_part_of_training_has_the_data_as_it_is(monkeypatch):
    logs = [empty_drive(), donor()]
    (car, *_) = objects_of(logs[1][0], np.random.default_rng(0))
    free = replace(car, global_from_object=poses.from_xyz_yaw(np.array([30.0, 30, 1]), 0.0))
    monkeypatch.setattr(ObjectPaster, "_donated", lambda *_: (free,))
    dataset = StreamingDataset(logs, config_of())
    pasted = [
        any((frame.labels.track_id >= 1 << 40).any() for frame in batch.frames)
        for step in range(10)
        for batch in dataset.window(step)
    ]
    assert pasted == [True] * 5 + [False] * 5


def test_samplers_report_the_frames_of_a_clip():
    dataset = StreamingDataset([empty_drive(), donor()], config_of())
    for time in range(30):
        ((sample,),) = dataset.samples(time)
        first, last = sample.clip_frames
        assert first <= sample.frame <= last < first + 4
        assert sample.time == time
        if sample.is_first:
            assert sample.frame == first


@pytest.mark.parametrize(
    "changes",
    [
        {"enable_lidar": False},
        {"loss": {"dense_weight": 1.0}},
        {"cache": {"features_gb": 1.0}},
    ],
)
def test_what_does_not_go_with_it_is_refused(changes):
    with pytest.raises(ValueError, match=r"adds objects that the LiDAR alone shows, which \w"):
        config_of(**changes)


def test_frames_without_lidar_or_labels_stay_as_they_are():
    logs = [empty_drive(), donor()]
    paster, clip = paster_of(logs), Clip(0, 0, (0, 3))
    for frame in (replace(logs[1][0], points=None), replace(logs[1][0], labels=None)):
        assert paster.paste(frame, clip) is frame
