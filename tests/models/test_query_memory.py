"""The memory's five steps against plain numpy, and its switches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import TemporalOptimization
from leapai.geometry import poses
from leapai.models.dynamic.query_memory import Memory, NewSlots, empty_state
from leapai.models.tensors import FrameBatch
from tests.scenes import small_config

CAR, PILLAR = 0, 7
SLOTS, KEPT, CHANNELS = 24, 8, 16


def memory(**switches):
    torch.manual_seed(0)
    config = small_config(temporal_optimization=TemporalOptimization(**switches))
    return Memory(config, config.bev.grid()).eval()


def batch_at(time_us, pose=None, first=False, streams=2):
    """A batch of which memory reads only time, pose and whether it is the first."""
    pose = np.eye(4) if pose is None else pose
    nothing = torch.zeros(0)
    return FrameBatch(
        images=nothing,
        camera_valid=nothing,
        intrinsics=nothing,
        distortion=nothing,
        ego_from_camera=nothing,
        points=nothing,
        point_stream=nothing,
        lidar_valid=nothing,
        timestamp_us=torch.full((streams,), time_us),
        ego2global=torch.from_numpy(np.stack([pose] * streams)),
        is_first=torch.full((streams,), first),
        camera_groups=(),
    )


def remembered(seed=0, streams=2):
    generator = torch.Generator().manual_seed(seed)
    return NewSlots(
        query=torch.randn(streams, KEPT, CHANNELS, generator=generator),
        reference_m=torch.randn(streams, KEPT, 3, generator=generator) * 10,
        velocity_mps=torch.randn(streams, KEPT, 3, generator=generator) * 5,
        confidence=torch.rand(streams, KEPT, generator=generator),
        class_id=torch.tensor([CAR, PILLAR] * (KEPT // 2)).expand(streams, -1),
        query_index=torch.arange(KEPT).expand(streams, -1),
    )


def stored(module, steps, streams=2, pose_of=lambda i: np.eye(4)):
    """The state after `steps` frames 0.1 s apart."""
    state = empty_state(streams, SLOTS, CHANNELS)
    for i in range(steps):
        batch = batch_at(1_000_000 + i * 100_000, pose_of(i), first=i == 0, streams=streams)
        report = module.read(state, batch, torch.zeros(streams, 24, CHANNELS))
        state = module.push(state, report, remembered(i, streams), batch)
    return state


def read(module, state, batch):
    return module.read(state, batch, torch.zeros(batch.streams, 24, CHANNELS))


def test_alignment_equals_world_coordinates():
    """What is stored at 2 frames ago, moved by its velocity in the world, lies where memory
    says."""

    def pose_of(i):
        return poses.from_xyz_yaw(np.array([400_000.0 + 2 * i, 5_000_000.0 - i, 3.0]), 0.3 * i)

    module = memory()
    state = stored(module, 2, pose_of=pose_of)
    report = read(module, state, batch_at(1_000_000 + 250_000, pose_of(2.5)))
    new = remembered(0)
    moving = (new.class_id[0] != PILLAR).numpy()[:, None]
    velocity = new.velocity_mps[0].numpy() * moving
    world = poses.apply(pose_of(0), new.reference_m[0].numpy().astype(np.float64))
    world = world + poses.rotate(pose_of(0), velocity.astype(np.float64)) * 0.25
    now = poses.apply(poses.invert(pose_of(2.5)), world)
    slots = slice(SLOTS - 2 * KEPT, SLOTS - KEPT)  # the older of the two frames in memory
    np.testing.assert_allclose(report.reference_m[0, slots].numpy(), now, atol=1e-4)
    turned = poses.rotate(poses.invert(pose_of(2.5)) @ pose_of(0), velocity.astype(np.float64))
    np.testing.assert_allclose(report.velocity_mps[0, slots].numpy(), turned, atol=1e-5)
    relative = poses.invert(pose_of(2.5)) @ pose_of(0)
    got = report.current_from_stored[0, SLOTS - 2 * KEPT].numpy()
    np.testing.assert_allclose(got, relative, atol=1e-5)
    assert report.interval_s[0] == pytest.approx(0.15)
    assert ((report.reference_clipped >= 0) & (report.reference_clipped <= 1)).all()


def test_features_are_conditioned_on_how_the_slot_moved():
    module = memory()
    with torch.no_grad():
        for parameter in module.condition.parameters():
            parameter.add_(0.1)
    state = stored(module, 1)
    slots = slice(SLOTS - KEPT, SLOTS)

    def conditioned(time_us, pose):
        return read(module, state, batch_at(time_us, pose)).history_query[0, slots]

    still = conditioned(1_100_000, np.eye(4))
    later = conditioned(1_600_000, np.eye(4))
    turned = conditioned(1_100_000, poses.from_xyz_yaw(np.zeros(3), 0.5))
    for other in (later, turned):
        assert (still - other).abs().amax(-1).min() > 1e-3


def test_velocity_zeroing_holds_static_classes_still():
    for switch, moved in ((True, False), (False, True)):
        module = memory(velocity_zeroing=switch)
        report = read(module, stored(module, 1), batch_at(1_500_000))
        newest = slice(SLOTS - KEPT, SLOTS)
        displaced = report.displacement_m[0, newest].norm(dim=-1) > 0
        is_pillar = remembered().class_id[0] == PILLAR
        assert displaced[~is_pillar].all()
        assert displaced[is_pillar].all() == moved


@pytest.mark.parametrize(
    ("time_us", "first", "pose", "dropped"),
    [
        (1_300_000, False, 1.0, False),
        (1_300_000, True, 1.0, True),
        (1_100_000, False, 1.0, True),  # time runs backwards
        (3_200_000, False, 1.0, False),  # a gap of 2 s exactly
        (3_200_001, False, 1.0, True),
        (1_300_000, False, float("nan"), True),
    ],
)
def test_reset(time_us, first, pose, dropped):
    module = memory()
    state = stored(module, 3)
    report = read(module, state, batch_at(time_us, np.eye(4) * pose, first))
    assert bool(report.reset[0]) is dropped
    assert report.valid[0].any().item() is not dropped
    assert report.history_query.isfinite().all()
    assert report.reference_m.isfinite().all()
    if dropped:
        assert (report.history_query[0] == 0).all()
        assert (report.track_id[0] == -1).all()
        assert report.interval_s[0] == 0


def test_the_queue_keeps_the_last_three_frames_in_order():
    state = stored(memory(), 5)
    times = state.timestamp_us[0].view(3, KEPT)
    assert times.tolist() == [[1_000_000 + i * 100_000] * KEPT for i in (2, 3, 4)]
    assert state.valid.all()
    torch.testing.assert_close(state.query[0, -KEPT:], remembered(4).query[0])


def test_what_is_not_finite_is_not_remembered():
    module = memory()
    state, batch = stored(module, 1), batch_at(1_100_000)
    new = remembered(1)
    query = new.query.clone()
    query[0, 2] = float("nan")
    report = read(module, state, batch)
    state = module.push(state, report, replace(new, query=query), batch)
    assert not state.valid[0, SLOTS - KEPT + 2]
    assert state.valid[1, SLOTS - KEPT :].all()
    assert state.query.isfinite().all()
    after = read(module, state, batch_at(1_200_000))
    assert after.history_query.isfinite().all()
    assert (after.history_query[0, SLOTS - KEPT + 2] == 0).all()


def test_selection_takes_the_most_confident_in_query_order():
    confidence = torch.tensor([[0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.6, 0.5, 0.4, 0.05]]).repeat(1, 1)
    module = memory()
    assert module.select(confidence)[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    by_confidence = memory(query_rearrangement=False).select(confidence)[0].tolist()
    assert by_confidence == [1, 3, 5, 6, 7, 8, 2, 4]
    assert memory(topk_selection=False).select(confidence)[0].tolist() == list(range(8))


def test_random_selection_happens_half_of_the_time_in_training_only():
    config = small_config(
        topk_query=24, dynamic=small_config().dynamic.model_copy(update={"queries": 60})
    )
    confidence = torch.linspace(1, 0, 60)[None]
    best = set(range(24))

    def draws(training, **switches):
        switched = config.model_copy(
            update={"temporal_optimization": TemporalOptimization(**switches)}
        )
        module = Memory(switched, config.bev.grid()).train(training)
        torch.manual_seed(0)
        return [set(module.select(confidence)[0].tolist()) for _ in range(200)]

    training = draws(True)
    share = np.mean([picked != best for picked in training])
    assert 0.35 < share < 0.65
    assert all(set(range(20)) <= picked and len(picked) == 24 for picked in training)
    assert len(set().union(*training)) > 50  # the rest is drawn from everywhere
    assert all(picked == best for picked in draws(False))
    assert all(picked == best for picked in draws(True, random_sampling=False))


def at_rate(interval_s, every_s, frames):
    """Times of the frames in memory, oldest first, after frames `every_s` apart."""
    module = memory()
    module.interval_s = interval_s
    state = empty_state(1, SLOTS, CHANNELS)
    for i in range(frames):
        batch = batch_at(int(1e6 + i * every_s * 1e6), first=i == 0, streams=1)
        state = module.push(state, read(module, state, batch), remembered(i, 1), batch)
    times = state.timestamp_us.view(1, -1, KEPT)[0]
    assert (times == times[:, :1]).all()
    return [round(us / 1e6 - 1, 3) for us in times[:, 0].tolist() if us]


def slow_times(interval_s, every_s, frames, length=SLOTS // KEPT):
    """The same by a list: a frame takes the place of one that came too soon."""
    kept = []
    for i in range(frames):
        if len(kept) > 1 and kept[-1] - kept[-2] < interval_s - 0.01:
            kept.pop()
        kept = [*kept, round(i * every_s, 3)][-length:]
    return kept


@pytest.mark.parametrize("every_s", [0.05, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("interval_s", [0.0, 0.2, 0.25])
def test_frames_in_memory_are_apart_as_asked(interval_s, every_s):
    for frames in (1, 2, 3, 7, 10, 11):
        assert at_rate(interval_s, every_s, frames) == slow_times(interval_s, every_s, frames)


def test_memory_reaches_as_far_back_at_10_hz_as_at_4_hz():
    slow, fast, every = (
        at_rate(interval, every, frames)
        for interval, every, frames in ((0.25, 0.25, 20), (0.25, 0.1, 50), (0.0, 0.1, 50))
    )
    assert slow[-1] - slow[0] == pytest.approx(0.5)
    # The newest may have come a frame ago only.
    assert fast[-1] - fast[0] >= slow[-1] - slow[0] - 0.15
    assert every[-1] - every[0] == pytest.approx(0.2)


def test_streams_of_one_batch_keep_their_own_times():
    """One stream comes twice as often as the other: each has what it has alone."""
    module = memory()
    module.interval_s = 0.2
    state = empty_state(2, SLOTS, CHANNELS)
    for i in range(8):
        now = batch_at(0, first=i == 0)
        times = torch.tensor([1_000_000 + i * 100_000, 1_000_000 + i * 200_000])
        now = replace(now, timestamp_us=times)
        state = module.push(state, read(module, state, now), remembered(i), now)
    kept = state.timestamp_us.view(2, -1, KEPT)[:, :, 0]
    for stream, every_s in enumerate((0.1, 0.2)):
        expected = [round(1e6 + 1e6 * t) for t in slow_times(0.2, every_s, 8)]
        assert kept[stream].tolist() == expected


@pytest.mark.parametrize("interval_s", [0.0, 0.2])
def test_older_slots_keep_their_id_score_and_time_through_a_push(interval_s):
    """Whichever older frame stays: all that is known of its slots stays as it was read."""
    module = memory()
    state = stored(module, 3)
    module.interval_s = interval_s  # the last frame came 0.1 s after the one before
    ids = torch.arange(2 * SLOTS).view(2, SLOTS) + 100
    state = replace(state, track_id=ids)
    batch = batch_at(1_300_000)
    report = read(module, state, batch)
    after = module.push(state, report, remembered(9), batch)
    kept = slice(0, SLOTS - KEPT) if interval_s else slice(KEPT, SLOTS)
    for name in ("track_id", "confidence", "timestamp_us", "class_id", "query_index", "query"):
        assert torch.equal(getattr(after, name)[:, :-KEPT], getattr(state, name)[:, kept]), name
    assert (after.track_id[:, -KEPT:] == -1).all()
    assert torch.equal(after.confidence[:, -KEPT:], remembered(9).confidence)


def test_streams_of_a_batch_draw_their_selection_each():
    module = memory().train()
    confidence = torch.linspace(1, 0, 60).expand(32, -1).contiguous()
    module.topk = 30
    torch.manual_seed(0)
    picked = module.select(confidence)
    is_best = (picked == torch.arange(30)).all(1)
    assert 8 < is_best.sum() < 24, "some streams draw, and others do not"
    drawn = picked[~is_best]
    assert (drawn[:, :20] == torch.arange(20)).all(), "the best 20 are always stored"
    assert len({tuple(row) for row in drawn.tolist()}) == len(drawn)
