"""Identity: birth, association, coasting, death, on memory slots and beyond; and what must not
share it."""

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from leapai.config import TrackingConfig
from leapai.geometry import poses
from leapai.models.dynamic.query_memory import Memory, NewSlots, empty_state
from leapai.models.tensors import FrameBatch
from leapai.streaming.eager_network import slots_read, with_ids
from leapai.streaming.tracker import (
    IDS_PER_SEQUENCE,
    MemoryReadout,
    Tracks,
    memory_readout,
    no_tracks,
    track,
)
from leapai.types import Detections
from tests.scenes import small_config

CONFIG, SINGLE_FRAMES = small_config(), small_config(enable_dynamic_temporal=False)
CAR, PERSON, BARRIER = 0, 3, 6
STEP_S = 0.1
TRACKING = TrackingConfig()


def bend(t):
    """An ego that drives a bend, 400 km from the map's origin."""
    return poses.from_xyz_yaw(np.array([4e5 + 10 * t, -3e5 + t * t, 0]), 0.4 * t)


class World:
    """Drives the real memory with made-up objects: one query an object, so no network is needed."""

    def __init__(self, first_sequence=0, ego=lambda t: np.eye(4), streams=1, config=CONFIG):
        self.config = config
        self.memory = Memory(config, config.bev.grid()).eval()
        self.tracks = [no_tracks(first_sequence) for _ in range(streams)]
        self.state = empty_state(streams, config.history_slots, config.dynamic.embed)
        self.ego, self.frame = ego, 0

    def see(self, objects, **change):
        """Objects {query: (x, y, vx, vy, class, score)} from the ego's start -> ids by query."""
        return self.see_streams([objects], **change)[0]

    def see_streams(self, streams, sequence="s", first=None):
        """One dictionary a stream."""
        t = self.frame * STEP_S
        pose = self.ego(t)
        observed = [self.detections_of(objects, pose, sequence) for objects in streams]
        batch = self._batch(pose, len(streams), self.frame == 0 if first is None else first)
        report = self.read(batch)
        state = self.memory.push(self.state, report, self._new_slots(observed), batch)
        ids = []
        for stream, detections in enumerate(observed):
            found, self.tracks[stream] = track(
                detections,
                self.tracks[stream],
                self.config.tracking,
                memory_readout(slots_read(report, stream)),
            )
            state = with_ids(state, found, stream)
            ids.append(dict(zip(found.query_index.tolist(), found.track_id.tolist(), strict=True)))
        self.state, self.frame = state, self.frame + 1
        return ids

    def read(self, batch):
        """What memory says before it sees the frame."""
        dynamic = self.config.dynamic
        queries = torch.zeros(batch.streams, dynamic.queries, dynamic.embed)
        return self.memory.read(self.state, batch, queries)

    def wait(self, seconds):
        """Nothing is seen."""
        for _ in range(round(seconds / STEP_S)):
            self.see({})

    def detections_of(self, objects, pose, sequence="s"):
        """What the system says of objects in the present frame."""
        start = self.ego(0.0)
        values = np.array(list(objects.values()), float).reshape(-1, 6)
        ego_from_start = poses.invert(pose) @ start
        zeros = np.zeros(len(values))
        centre = poses.apply(ego_from_start, np.column_stack([values[:, :2], zeros]))
        velocity = poses.rotate(ego_from_start, np.column_stack([values[:, 2:4], zeros]))
        return Detections(
            sequence=sequence,
            timestamp_us=self._time_us(),
            ego2global=pose,
            boxes=np.column_stack([centre, np.ones((len(values), 3)), zeros]),
            velocity_mps=velocity,
            score=values[:, 5],
            class_id=values[:, 4].astype(int),
            occlusion_level=np.zeros(len(values), int),
            track_id=np.full(len(values), -1),
            query_index=np.array(list(objects), int),
        )

    def _time_us(self):
        return 1_000_000 + round(self.frame * STEP_S * 1e6)

    def _batch(self, pose, streams, first):
        nothing, poses_of_streams = torch.zeros(0), torch.from_numpy(pose).expand(streams, 4, 4)
        time_us = torch.full((streams,), self._time_us())
        return FrameBatch(
            *[nothing] * 8, time_us, poses_of_streams, torch.full((streams,), first), ()
        )

    def _new_slots(self, streams):
        """The detections' slots, and unused queries to fill up."""

        def rows(values, fill=0.0):
            count = self.config.topk_query
            padded = [
                np.concatenate([v, np.full((count - len(v), *v.shape[1:]), fill)]) for v in values
            ]
            return torch.from_numpy(np.stack(padded)).float()

        spare = rows([observed.query_index for observed in streams], -1).long()
        for indices, observed in zip(spare, streams, strict=True):
            others = [
                q for q in range(self.config.dynamic.queries) if q not in observed.query_index
            ]
            indices[len(observed) :] = torch.tensor(others)[
                : self.config.topk_query - len(observed)
            ]
        return NewSlots(
            query=torch.zeros(len(streams), self.config.topk_query, self.config.dynamic.embed),
            reference_m=rows([observed.boxes[:, :3] for observed in streams], 500.0),
            velocity_mps=rows([observed.velocity_mps for observed in streams]),
            confidence=rows([observed.score for observed in streams]),
            class_id=rows([observed.class_id for observed in streams]).long(),
            query_index=spare,
        )


def standing(x=10.0, y=0.0, class_id=CAR, score=0.9):
    return (x, y, 0.0, 0.0, class_id, score)


def driving(t, x, speed, y=0.0, class_id=CAR):
    return (x + speed * t, y, speed, 0.0, class_id, 0.9)


both_memories = pytest.mark.parametrize("config", [CONFIG, SINGLE_FRAMES], ids=["memory", "none"])


@both_memories
def test_an_object_keeps_its_id_though_another_query_finds_it_from_a_turning_ego(config):
    world = World(ego=bend, config=config)
    ids = [world.see({i: driving(STEP_S * i, 20, 15.0, y=3)})[i] for i in range(8)]
    assert len(set(ids)) == 1
    assert ids[0] >= 0


@both_memories
def test_two_objects_that_meet_are_told_apart_by_motion(config):
    """They cross at 10 m/s each: predicted positions tell them apart, the last ones would not."""
    world = World(config=config)
    seen = []
    for i in range(10):
        t = STEP_S * i
        ids = world.see({0: driving(t, 10, 10), 1: driving(t, 19.5, -10, y=1)})
        seen.append((ids[0], ids[1]))
    assert len(set(seen)) == 1
    assert seen[0][0] != seen[0][1]


@both_memories
@pytest.mark.parametrize("speed", [0.0, 8.0, -20.0])
def test_an_id_survives_an_occlusion_of_a_second_and_a_half(speed, config):
    world = World(ego=bend, config=config)
    for i in range(4):
        before = world.see({0: driving(STEP_S * i, 30, speed)})[0]
    world.wait(1.5)
    assert world.see({5: driving(STEP_S * world.frame, 30, speed)})[5] == before


def test_what_is_coasted_is_moved_but_not_detected():
    world = World()
    for i in range(4):
        world.see({0: driving(STEP_S * i, 10, 5.0)})
    assert world.see({}) == {}
    assert len(world.tracks[0]) == 1
    world.wait(0.9)
    np.testing.assert_allclose(world.tracks[0].motion[0, :, 0], [10 + 5 * 1.3, 5.0], atol=1e-9)


@both_memories
def test_a_track_dies_by_age(config):
    for seconds, survives in ((1.9, True), (2.1, False)):
        world = World(config=config)
        before = world.see({0: standing()})[0]
        world.wait(seconds)
        assert (world.see({0: standing()})[0] == before) is survives


def test_max_age_may_be_shorter_than_the_reach_of_memory():
    world = World(config=small_config(tracking=TrackingConfig(max_age_s=0.15)))
    before = world.see({0: standing()})[0]
    world.wait(0.2)
    assert world.see({0: standing()})[0] != before


def test_crossing_tracks_are_told_apart_after_an_occlusion():
    world = World()
    for i in range(5):
        t = STEP_S * i
        before = world.see({0: driving(t, 0, 8.0), 1: driving(t, 20, -8.0)})
    world.wait(1.0)  # they pass each other meanwhile
    t = STEP_S * world.frame
    assert world.see({0: driving(t, 0, 8.0), 1: driving(t, 20, -8.0)}) == before


def test_a_sure_detection_has_an_id_at_once_and_a_less_sure_one_when_it_is_seen_again():
    world = World()
    assert world.see({0: standing(score=0.4), 1: standing(y=9, score=0.3)}) == {0: 0, 1: -1}
    assert world.see({0: standing(score=0.4), 1: standing(y=9, score=0.3)}) == {0: 0, 1: 1}


def test_what_is_never_sure_has_no_id_however_often_it_is_seen():
    world = World()
    assert [world.see({0: standing(score=0.2)})[0] for _ in range(10)] == [-1] * 10


def test_what_waits_for_an_id_is_forgotten_when_it_is_missed():
    world = World()
    for _ in range(4):
        assert world.see({0: standing(score=0.3)})[0] == -1
        world.see({})


def test_a_weak_detection_is_no_evidence():
    world = World()
    for score in (0.3, 0.2, 0.3):
        assert world.see({0: standing(score=score)})[0] == -1


def test_a_weak_detection_keeps_a_track_alive():
    world = World()
    born = world.see({0: standing()})[0]
    for _ in range(30):
        assert world.see({0: standing(score=0.1)})[0] == born


def test_sure_detections_choose_before_weak_ones():
    world = World()
    born = world.see({0: standing()})[0]
    ids = world.see({1: standing(x=10.1, score=0.2), 2: standing(x=10.8)})
    assert ids == {1: -1, 2: born}


def test_what_alone_is_enough_for_a_birth_is_sure():
    world = World(config=small_config(tracking=TrackingConfig(birth_score=0.0)))
    assert world.see({0: standing(score=0.01)})[0] == 0


@both_memories
def test_ids_are_unique_in_a_frame_and_never_given_twice(config):
    world = World(config=config)
    first = world.see({q: standing(x=5.0 * q) for q in range(6)})
    assert len(set(first.values())) == 6
    world.wait(2.5)
    second = world.see({q: standing(x=5.0 * q) for q in range(6)})
    assert not set(first.values()) & set(second.values())


@both_memories
def test_a_track_takes_its_own_class_only(config):
    world = World(config=config)
    car = world.see({0: standing()})[0]
    person = world.see({1: standing(class_id=PERSON)})[1]
    assert person != car
    assert world.see({1: standing(), 2: standing(class_id=PERSON)}) == {1: car, 2: person}


@pytest.mark.parametrize(("class_id", "gate_m"), [(CAR, 2.0), (PERSON, 1.5), (BARRIER, 2.0)])
def test_gates_differ_by_class(class_id, gate_m):
    for offset_m, same in ((gate_m - 0.1, True), (gate_m + 0.1, False)):
        world = World()
        before = world.see({0: standing(class_id=class_id)})[0]
        after = world.see({0: standing(y=offset_m, class_id=class_id)})[0]
        assert (after == before) is same


def test_fast_objects_have_wider_gates():
    """At 30 m/s, 3 m off: braking, or a velocity that is a little wrong."""
    for speed, same in ((30.0, True), (0.0, False)):
        world = World()
        before = world.see({0: driving(0.0, -20, speed)})[0]
        late = driving(STEP_S, -23, speed)
        assert (world.see({0: late})[0] == before) is same


@both_memories
def test_what_never_moves_stays_though_the_network_sees_it_move(config):
    world = World(config=config)
    barrier = (10.0, 0.0, 6.0, 0.0, BARRIER, 0.9)
    before = world.see({0: barrier})[0]
    world.wait(1.5)
    assert world.see({0: barrier})[0] == before


def test_what_never_moves_gets_no_velocity_from_noise():
    world = World()
    for x in (10.0, 10.4, 10.8):
        world.see({0: standing(x=x, class_id=BARRIER)})
    assert not world.tracks[0].motion[0, 1].any()


def test_memory_says_where_a_track_is_expected():
    """Where memory and the tracker's own state differ, memory counts: for association only."""
    world = World()
    before = world.see({0: standing()})[0]
    readout = MemoryReadout(np.array([before]), np.array([[30.0, 0.0, 0.0]]), reset=False)
    for x, expected in ((30.0, before), (10.0, before + 1)):
        observed = world.detections_of({0: standing(x=x)}, np.eye(4))
        found, _ = track(observed, world.tracks[0], CONFIG.tracking, readout)
        assert found.track_id.tolist() == [expected]


def test_of_the_slots_of_a_track_the_newest_counts():
    world = World()
    for x in (10.0, 11.0, 12.0):
        born = world.see({0: standing(x=x), 1: standing(y=8)})[0]
    report = world.read(world._batch(np.eye(4), 1, first=False))
    readout = memory_readout(slots_read(report, stream=0))
    assert readout.track_id.tolist() == [born, born + 1]
    assert readout.position_m[0, 0] == pytest.approx(12.0)


def test_ids_lie_on_the_slots_of_their_queries():
    world = World()
    ids = world.see({3: standing(), 5: standing(y=8), 6: standing(y=-8, score=0.1)})
    newest = world.state.timestamp_us[0] == world.state.last_timestamp_us[0]
    query, slot_id = world.state.query_index[0][newest], world.state.track_id[0][newest]
    on_slots = dict(zip(query.tolist(), slot_id.tolist(), strict=True))
    assert {q: on_slots[q] for q in ids} == ids
    assert all(on_slots[q] == -1 for q in on_slots if q not in ids)


@both_memories
@pytest.mark.parametrize("first", [True, False])
def test_a_reset_of_memory_ends_every_track(first, config):
    world = World(config=config)
    car = world.see({0: standing()})[0]
    again = world.see({0: standing()}, first=first)[0]
    assert (again != car) is first


@both_memories
def test_time_that_runs_backwards_and_a_long_gap_end_every_track(config):
    for jump in (-3, 25):
        world = World(config=config)
        for _ in range(5):
            car = world.see({0: standing()})[0]
        world.frame += jump
        assert world.see({0: standing()})[0] > car


def test_time_that_runs_backwards_ends_every_track_also_without_a_network():
    world = World()
    world.frame = 5
    _, tracks = track(world.detections_of({0: standing()}, np.eye(4)), no_tracks(), TRACKING)
    for frame, expected in ((6, 0), (4, 1)):
        world.frame = frame
        found, tracks = track(world.detections_of({0: standing()}, np.eye(4)), tracks, TRACKING)
        assert found.track_id.tolist() == [expected]


@both_memories
def test_a_pose_that_is_not_known_ends_every_track_and_gives_no_id(config):
    world = World(config=config)
    car = world.see({0: standing()})[0]
    observed = replace(
        world.detections_of({0: standing()}, np.eye(4)), ego2global=np.full((4, 4), np.nan)
    )
    found, tracks = track(observed, world.tracks[0], config.tracking)
    assert found.track_id.tolist() == [-1]
    assert len(tracks) == 0
    world.tracks[0] = tracks
    assert world.see({0: standing()})[0] == car + 1


@both_memories
def test_a_new_sequence_ends_every_track_and_numbers_its_own(config):
    world = World(first_sequence=2, config=config)
    ids = [
        world.see({0: standing()}, sequence=name, first=name != before)[0]
        for before, name in zip(["", *"aabb"], "aabba", strict=True)
    ]
    assert ids == [n * IDS_PER_SEQUENCE for n in (2, 2, 3, 3, 4)]


def crowd(seed, frames=25):
    """Frames of objects that come, go, are missed, and are found by any query."""
    rng = np.random.default_rng(seed)
    start, velocity = rng.uniform(-30, 30, (8, 2)), rng.normal(0, 6, (8, 2))
    classes = rng.integers(0, 4, 8)
    for i in range(frames):
        seen = np.flatnonzero(rng.random(8) < 0.7)
        centre = start + velocity * i * STEP_S + rng.normal(0, 0.3, (8, 2))
        queries = rng.permutation(CONFIG.dynamic.queries)
        yield {
            int(queries[k]): (*centre[k], *velocity[k], int(classes[k]), rng.uniform(0.05, 0.9))
            for k in seen
        }


@both_memories
def test_streams_of_a_batch_have_the_ids_that_they_have_alone(config):
    worlds = [World(ego=bend, config=config) for _ in range(3)]
    together = World(ego=bend, streams=3, config=config)
    for objects in zip(*(crowd(seed) for seed in range(3)), strict=True):
        alone = [world.see(of_stream) for world, of_stream in zip(worlds, objects, strict=True)]
        assert together.see_streams(objects) == alone
    assert max(max(ids.values(), default=-1) for ids in alone) >= 7


@both_memories
def test_tracks_can_be_saved_and_set_back_exactly(config):
    world = World(ego=bend, config=config)
    frames = list(crowd(4))
    for objects in frames[:10]:
        world.see(objects)
    saved = pickle.dumps((world.state, world.tracks))
    expected = [world.see(objects) for objects in frames[10:]]
    other = World(ego=bend, config=config)
    other.state, other.tracks = pickle.loads(saved)
    other.frame = 10
    assert [other.see(objects) for objects in frames[10:]] == expected
    assert_same(other.tracks[0], world.tracks[0])


def assert_same(one, other):
    for field in fields(Tracks):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@both_memories
def test_the_value_that_is_given_is_not_changed(config):
    world = World(config=config)
    for objects in crowd(5, 6):
        world.see(objects)
    before, kept = world.tracks[0], pickle.loads(pickle.dumps(world.tracks[0]))
    for objects in crowd(5, 6):
        world.see(objects)
    assert_same(before, kept)


@both_memories
def test_empty_frames_are_frames(config):
    world = World(config=config)
    world.wait(0.5)
    assert world.see({0: standing()})[0] == 0
    world.wait(5)
    assert len(world.tracks[0]) == 0
    arrays = [v for v in vars(world.tracks[0]).values() if isinstance(v, np.ndarray)]
    assert all(np.isfinite(values).all() for values in arrays)


def test_motion_is_that_of_a_kalman_filter():
    """Against the textbook's, for one object with six numbers of state."""
    rng = np.random.default_rng(0)
    position, velocity = np.zeros(3), np.array([6.0, -2.0, 0.0])
    noise = np.diag([0.3**2] * 3 + [3.0**2] * 3)
    state = covariance = None
    tracks = no_tracks()
    for i, interval_s in enumerate([0.0, 0.1, 0.25, 0.1, 0.4, 0.1]):
        position = position + velocity * interval_s
        measured = np.concatenate(
            [position + rng.normal(0, 0.3, 3), velocity + rng.normal(0, 1, 3)]
        )
        if state is None:
            state, covariance = measured, noise
        else:
            step = np.eye(6)
            step[:3, 3:] = np.eye(3) * interval_s
            push = np.concatenate([np.eye(3) * interval_s**2 / 2, np.eye(3) * interval_s])
            state, covariance = step @ state, step @ covariance @ step.T + 9.0 * push @ push.T
            gain = covariance @ np.linalg.inv(covariance + noise)
            state = state + gain @ (measured - state)
            covariance = covariance - gain @ covariance
        time_us = tracks.timestamp_us + round(interval_s * 1e6)
        observed = Detections(
            sequence="s",
            timestamp_us=time_us,
            ego2global=np.eye(4),
            boxes=np.concatenate([measured[:3], np.ones(3), [0.0]])[None],
            velocity_mps=measured[None, 3:],
            score=np.array([0.9]),
            class_id=np.array([CAR]),
            occlusion_level=np.array([0]),
            track_id=np.array([-1]),
            query_index=np.array([0]),
        )
        found, tracks = track(observed, tracks, TRACKING)
        assert found.track_id.tolist() == [0], i
        np.testing.assert_allclose(tracks.motion[0].ravel(), state, atol=1e-9)
        np.testing.assert_allclose(tracks.covariance[0], covariance[::3, ::3], atol=1e-9)
