"""Identity on memory slots: birth, persistence, death, and what must not share it."""

import numpy as np
import pytest
import torch
from tests.scenes import small_config

from leapai.config import TrackingConfig
from leapai.geometry import poses
from leapai.models.dynamic.memory import Memory, Remembered, empty_state
from leapai.runtime.tracks import IDS_PER_SEQUENCE, TrackIds
from leapai.types import Detections, FrameBatch

CONFIG = small_config()
CAR, PERSON = 0, 3


class World:
    """Drives the real memory with made-up objects: one query an object, so no network is needed."""

    def __init__(self, sequence_number=0, ego=lambda t: np.eye(4)):
        self.memory = Memory(CONFIG, CONFIG.bev.grid()).eval()
        self.ids = TrackIds(TrackingConfig(), sequence_number)
        self.state = empty_state(1, CONFIG.history_slots, CONFIG.dynamic.embed)
        self.ego, self.frame = ego, 0

    def see(self, objects, first=None):
        """Objects {query: (x, y, vx, vy, class, score)} in the world -> ids by query."""
        t = self.frame * 0.1
        pose = self.ego(t)
        detections = self._detections(objects, pose)
        batch = self._batch(pose, self.frame == 0 if first is None else first)
        queries = torch.zeros(1, CONFIG.dynamic.queries, CONFIG.dynamic.embed)
        report = self.memory.recall(self.state, batch, queries)
        state = self.memory.push(self.state, report, self._remembered(detections), batch)
        found, self.state = self.ids.update(detections, report, state, lane=0)
        self.frame += 1
        return dict(zip(found.query_index.tolist(), found.track_id.tolist(), strict=True))

    def _detections(self, objects, pose):
        values = np.array(list(objects.values()), float).reshape(-1, 6)
        ego_from_world = poses.invert(pose)
        zeros = np.zeros(len(values))
        centre = poses.apply(ego_from_world, np.column_stack([values[:, :2], zeros]))
        velocity = poses.rotate(ego_from_world, np.column_stack([values[:, 2:4], zeros]))
        boxes = np.column_stack([centre, np.ones((len(values), 3)), zeros])
        return Detections(
            sequence="s",
            timestamp_us=0,
            ego2global=pose,
            boxes=boxes,
            velocity_mps=velocity,
            score=values[:, 5],
            class_id=values[:, 4].astype(int),
            occlusion_level=np.zeros(len(values), int),
            track_id=np.full(len(values), -1),
            query_index=np.array(list(objects), int),
        )

    def _batch(self, pose, first):
        nothing = torch.zeros(0)
        time_us = torch.tensor([1_000_000 + self.frame * 100_000])
        return FrameBatch(
            *[nothing] * 8, time_us, torch.from_numpy(pose[None]), torch.tensor([first]), ()
        )

    def _remembered(self, detections):
        """The detections' slots, and unused queries to fill up."""
        spare = [q for q in range(CONFIG.dynamic.queries) if q not in detections.query_index]
        count = CONFIG.topk_query - len(detections)
        far = np.full((count, 3), 500.0)

        def rows(values, fill):
            return torch.tensor(np.concatenate([values, fill])[None]).float()

        return Remembered(
            query=torch.zeros(1, CONFIG.topk_query, CONFIG.dynamic.embed),
            reference_m=rows(detections.boxes[:, :3], far),
            velocity_mps=rows(detections.velocity_mps, far * 0),
            confidence=rows(detections.score, np.zeros(count)),
            class_id=rows(detections.class_id, np.zeros(count)).long(),
            query_index=rows(detections.query_index, np.array(spare[:count])).long(),
        )


def test_an_object_keeps_its_id_though_another_query_finds_it():
    world = World(ego=lambda t: poses.from_xyz_yaw(np.array([10 * t + 4e5, 0, 0]), 0.4 * t))
    ids = []
    for i in range(8):
        x = 4e5 + 20 + 15 * 0.1 * i
        ids.append(world.see({i: (x, 3.0, 15.0, 0.0, CAR, 0.9)})[i])
    assert len(set(ids)) == 1
    assert ids[0] >= 0


def test_two_objects_that_meet_are_told_apart_by_motion():
    """They cross at 10 m/s each: predicted positions tell them apart, the last ones would not."""
    world = World()
    seen = []
    for i in range(10):
        t = 0.1 * i
        ids = world.see(
            {0: (10 + 10 * t, 0.0, 10, 0, CAR, 0.9), 1: (19.5 - 10 * t, 1.0, -10, 0, CAR, 0.9)}
        )
        seen.append((ids[0], ids[1]))
    assert len(set(seen)) == 1
    assert seen[0][0] != seen[0][1]


def test_it_survives_two_missed_frames_and_dies_after_three():
    for missed, survives in ((2, True), (3, False)):
        world = World()
        car = (10.0, 0.0, 5.0, 0.0, CAR, 0.9)
        before = world.see({0: car})[0]
        for _ in range(missed):
            world.see({})
        after = world.see({0: (10 + 0.5 * (missed + 1), 0.0, 5.0, 0.0, CAR, 0.9)})[0]
        assert (after == before) is survives


def test_birth_needs_confidence_and_persistence_does_not():
    world = World()
    assert world.see({0: (10, 0, 0, 0, CAR, 0.1)})[0] == -1
    born = world.see({0: (10, 0, 0, 0, CAR, 0.9)})[0]
    assert born >= 0
    assert world.see({0: (10, 0, 0, 0, CAR, 0.1)})[0] == born


def test_ids_are_unique_in_a_frame_and_never_given_twice():
    world = World()
    first = world.see({q: (5.0 * q, 0, 0, 0, CAR, 0.9) for q in range(6)})
    assert len(set(first.values())) == 6
    for _ in range(3):
        world.see({})
    second = world.see({q: (5.0 * q, 0, 0, 0, CAR, 0.9) for q in range(6)})
    assert not set(first.values()) & set(second.values())


def test_classes_and_gates_keep_tracks_apart():
    world = World()
    car = world.see({0: (10, 0, 0, 0, CAR, 0.9)})[0]
    person = world.see({1: (10, 0, 0, 0, PERSON, 0.9)})[1]
    assert person != car
    far = world.see({2: (13, 0, 0, 0, CAR, 0.9)})[2]  # 3 m from a standing car's place
    assert far not in (car, person)


@pytest.mark.parametrize("first", [True, False])
def test_a_reset_ends_every_track(first):
    world = World()
    car = world.see({0: (10, 0, 0, 0, CAR, 0.9)})[0]
    again = world.see({0: (10, 0, 0, 0, CAR, 0.9)}, first=first)[0]
    assert (again != car) is first


def test_sequences_do_not_share_ids():
    ids = [World(n).see({0: (10, 0, 0, 0, CAR, 0.9)})[0] for n in range(3)]
    assert ids == [0, IDS_PER_SEQUENCE, 2 * IDS_PER_SEQUENCE]
