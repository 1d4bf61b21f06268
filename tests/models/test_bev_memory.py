"""Memory of the static task: which frames it keeps, finds and forgets, and where they lie now."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.geometry import poses
from leapai.models.static.bev_memory import (
    StaticTemporalFusion,
    empty_memory,
    forget,
    pick,
    push,
    warp,
)
from leapai.models.tensors import FrameBatch
from leapai.types import BevGrid
from tests.scenes import joint_config, make_batch, static_config

CONFIG = static_config(static={"cell_m": 0.8, "channels": 4})
DESIGN_US = [700_000, 1_900_000, 3_300_000]
TOLERANCE_US = 100_000
GRID = BevGrid((-20.8, 62.4), (-22.4, 22.4), cell_m=3.2)
SIZE = (4, GRID.rows, GRID.columns)
MIN_GAP_US = StaticTemporalFusion(CONFIG).min_gap_us


def batch_at(time_us: int, pose: np.ndarray | None = None, streams: int = 1) -> FrameBatch:
    """Only what the memory reads of a batch."""
    ego2global = torch.from_numpy(np.eye(4) if pose is None else pose)
    return replace(
        make_batch(0, seeds=tuple(range(streams))),
        timestamp_us=torch.full((streams,), time_us),
        ego2global=ego2global.expand(streams, 4, 4).clone(),
    )


def filled(times_us, config=CONFIG):
    """A memory that saw frames at these times, the n-th with value n + 1 everywhere."""
    memory = empty_memory(1, config)
    gap = StaticTemporalFusion(config).min_gap_us
    for number, time_us in enumerate(times_us):
        memory = push(memory, torch.full((1, *SIZE), number + 1.0), batch_at(time_us), gap)
    return memory


def ages_found(rate_hz: float, frames: int) -> list[float]:
    """Ages in seconds that are found of the design's three, NaN where none is."""
    times = [round(i * 1e6 / rate_hz) for i in range(frames + 1)]
    memory = filled(times[:-1])
    slot, found = pick(memory, torch.tensor(times[-1:]), DESIGN_US, TOLERANCE_US)
    age = (times[-1] - memory.timestamp_us[0, slot[0]]) / 1e6
    return torch.where(found[0], age, math.nan).tolist()


@pytest.mark.parametrize(
    ("rate_hz", "expected"),
    [
        (10, [0.7, 1.9, 3.3]),
        (4, [0.75, 2.0, 3.25]),
        (5, [0.6, 1.8, 3.2]),  # of two as near, the younger
        (2, [math.nan, 2.0, math.nan]),
    ],
)
def test_frames_of_the_wanted_ages_are_found_at_any_rate(rate_hz, expected):
    np.testing.assert_allclose(ages_found(rate_hz, 45), expected)


@pytest.mark.parametrize("rate_hz", [12, 20, 50])
def test_a_faster_stream_does_not_shorten_what_is_remembered(rate_hz):
    """40 frames of 50 Hz would be 0.8 s."""
    found = ages_found(rate_hz, 5 * rate_hz)
    np.testing.assert_allclose(found, [0.7, 1.9, 3.3], atol=0.1 + 1e-6)


def test_the_tolerance_is_inclusive_and_a_microsecond_more_is_too_much():
    for off_us, expected in ((TOLERANCE_US, True), (TOLERANCE_US + 1, False)):
        for sign in (-1, 1):
            memory = filled([10_000_000 - 700_000 + sign * off_us])
            _, found = pick(memory, torch.tensor([10_000_000]), DESIGN_US, TOLERANCE_US)
            assert found.tolist() == [[expected, False, False]]


def test_a_young_memory_has_no_old_frames():
    assert [math.isnan(age) for age in ages_found(10, 10)] == [False, True, True]
    assert all(math.isnan(age) for age in ages_found(10, 1))


def test_the_oldest_leaves_and_the_number_of_frames_is_bounded():
    memory = filled(range(0, 6_000_000, 100_000))
    assert memory.bev.shape == (1, 40, *SIZE)
    assert sorted(memory.timestamp_us[0].tolist()) == list(range(2_000_000, 6_000_000, 100_000))


def random_pose(rng, mirror=False):
    pose = poses.from_xyz_yaw(rng.uniform(-15, 15, 3) * [1, 1, 0.02], rng.uniform(-3, 3))
    return pose @ np.diag([1.0, -1.0 if mirror else 1.0, 1.0, 1.0])


def slow_warp(bev, past_from_now):
    """A cell after another, in float64."""
    warped, geometry = np.zeros(bev.shape), np.zeros((5, *bev.shape[1:]))
    turn = past_from_now[:2, 0]
    x, y = (c.astype(float) for c in (GRID.column_centres_m(), GRID.row_centres_m()))
    for i in range(GRID.rows):
        for j in range(GRID.columns):
            there = past_from_now @ np.array([x[j], y[i], 0.0, 1.0])
            along_x = (there[0] - GRID.x_range_m[0]) / GRID.cell_m
            along_y = (there[1] - GRID.y_range_m[0]) / GRID.cell_m
            if 0 <= along_y < GRID.rows and 0 <= along_x < GRID.columns:
                column = min(math.floor(along_x + 1e-3), GRID.columns - 1)
                row = min(math.floor(along_y + 1e-3), GRID.rows - 1)
                warped[:, i, j] = bev[:, row, column]
                off_m = there[0] - x[column], there[1] - y[row]
                geometry[:, i, j] = 1, *(off / GRID.cell_m for off in off_m), *turn
    return warped, geometry


@pytest.mark.parametrize("seed", range(4))
def test_warping_agrees_with_its_slow_twin(seed):
    rng = np.random.default_rng(seed)
    past_from_now = np.stack([random_pose(rng, mirror=m) for m in (False, True)])
    bev = rng.normal(size=(2, *SIZE)).astype(np.float32)
    got = warp(torch.from_numpy(bev)[None], torch.from_numpy(past_from_now)[None], GRID)
    for age in range(2):
        expected, geometry = slow_warp(bev[age], past_from_now[age])
        np.testing.assert_array_equal(got.bev[0, age].numpy(), expected.astype(np.float32))
        np.testing.assert_allclose(got.geometry[0, age].numpy(), geometry, atol=1e-5)
        assert geometry[0].sum() > 10


@pytest.mark.parametrize("rounding_m", [-1e-5, 1e-5])
def test_an_ego_that_moved_by_half_a_cell_reads_the_same_cells_however_it_is_rounded(rounding_m):
    bev = torch.arange(SIZE[1] * SIZE[2]).view(1, 1, 1, *SIZE[1:]).float()
    exact, rounded = torch.eye(4).repeat(2, 1, 1, 1, 1)
    exact[..., 0, 3] = GRID.cell_m / 2
    rounded[..., 0, 3] = GRID.cell_m / 2 + rounding_m
    expected, found = (warp(bev, pose, GRID).bev for pose in (exact, rounded))
    assert torch.equal(found[..., :-1], expected[..., :-1])  # the last column leaves the region
    assert found.count_nonzero() > 10


def test_a_place_in_the_world_stays_where_it_is_while_the_ego_moves():
    """Also beside a mirrored ego."""
    rng = np.random.default_rng(5)
    place = np.array([20.0, -3.0, 0.0])
    for mirror in (False, True):
        then, now = (
            poses.from_xyz_yaw(np.array([x, y, 0.0]), yaw)
            @ np.diag([1.0, -1.0 if mirror else 1.0, 1.0, 1.0])
            for x, y, yaw in ((0.0, 0.0, 0.1), (7.3, 1.9, -0.2))
        )
        bev, row, column = torch.zeros(1, *SIZE), *cell_of(then, place)
        bev[:, :, row, column] = rng.uniform(1, 2)
        memory = push(empty_memory(1, CONFIG), bev, batch_at(0, then), MIN_GAP_US)
        past, geometry = StaticTemporalFusion(CONFIG).read(memory, batch_at(700_000, now))
        rows, columns = past[0, 0, 0].nonzero().unbind(1)
        at = cell_of(now, place)
        assert len(rows) >= 1
        assert (rows - at[0]).abs().max() <= 1
        assert (columns - at[1]).abs().max() <= 1
        assert geometry[0, 0, 0].mean() > 0.7
        assert not geometry[0, 1:].any()
        assert not past[0, 1:].any()


def test_far_from_the_maps_origin_everything_lies_where_it_lies_near_it():
    """At 5 000 km neighbouring float32 numbers are half a metre apart."""
    rng = np.random.default_rng(6)
    bev = torch.from_numpy(rng.normal(size=(1, *SIZE)).astype(np.float32))
    found = []
    for origin in (0.0, 5e6):
        then, now = (
            poses.from_xyz_yaw(np.array([origin + x, origin + y, 0.0]), yaw)
            for x, y, yaw in ((0.3, 0.1, 0.1), (7.3, 1.9, -0.2))
        )
        memory = push(empty_memory(1, CONFIG), bev, batch_at(0, then), MIN_GAP_US)
        found.append(StaticTemporalFusion(CONFIG).read(memory, batch_at(700_000, now)))
    assert found[0][0].any()
    for near, far in zip(*found, strict=True):
        assert torch.equal(near, far)


def cell_of(ego2global, place):
    x, y, _ = poses.apply(poses.invert(ego2global), place[None])[0]
    row = (y - GRID.y_range_m[0]) // GRID.cell_m
    return int(row), int((x - GRID.x_range_m[0]) // GRID.cell_m)


def run(fusion, state, batches, features):
    for batch, bev in zip(batches, features, strict=True):
        fused, memory = fusion(bev, batch, state)
        state = replace(
            state,
            static=memory,
            last_ego2global=batch.ego2global,
            last_timestamp_us=batch.timestamp_us,
            has_last=torch.ones_like(state.has_last),
        )
    return fused, state


@pytest.fixture(scope="module")
def fusion():
    torch.manual_seed(0)
    module = StaticTemporalFusion(joint_config()).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return module


def states(streams=2):
    from leapai.models.build import build_model

    return build_model(joint_config()).initial_state(streams)


def frames(count, streams=2):
    """Batches a tenth of a second apart, and random features of each."""
    generator = torch.Generator().manual_seed(7)
    batches = [make_batch(i, seeds=tuple(range(streams))) for i in range(count)]
    features = [torch.rand(streams, 8, 14, 26, generator=generator) for _ in range(count)]
    return batches, features


def test_the_past_changes_what_is_said(fusion):
    batches, features = frames(5)
    with torch.no_grad():
        remembered, _ = run(fusion, states(), batches, features)
        alone, _ = run(fusion, states(), batches[-1:], features[-1:])
    assert (remembered - alone).abs().max() > 1e-2


def test_a_place_is_remembered_longer_than_the_oldest_age(fusion):
    """Through the frames in between: none of those that are kept and found is the first."""
    batches, features = frames(50, streams=1)
    other = [features[0] + 1.0, *features[1:]]
    with torch.no_grad():
        (one, state), (two, _) = (run(fusion, states(1), batches, f) for f in (features, other))
    assert int(batches[-1].timestamp_us - state.static.timestamp_us.min()) < 4e6
    assert int(batches[-1].timestamp_us - batches[0].timestamp_us) > 4e6
    assert (one - two).abs().max() > 1e-3


@pytest.mark.parametrize("why", ["a sequence starts", "time runs back", "a long gap", "no pose"])
def test_a_reset_stream_forgets_and_the_other_does_not(fusion, why):
    batches, features = frames(5)
    last = batches[-1]
    if why == "a sequence starts":
        last = replace(last, is_first=torch.tensor([True, False]))
    elif why == "no pose":
        pose = last.ego2global.clone()
        pose[0, 0, 3] = math.nan
        last = replace(last, ego2global=pose)
    else:
        shift_us = -10_000_000 if why == "time runs back" else 3_000_000
        last = replace(last, timestamp_us=last.timestamp_us + torch.tensor([shift_us, 0]))
    with torch.no_grad():
        kept, _ = run(fusion, states(), batches, features)
        cut, state = run(fusion, states(), [*batches[:-1], last], features)
        alone, _ = run(fusion, states(), batches[-1:], features[-1:])
    torch.testing.assert_close(cut[0], alone[0])
    assert torch.equal(cut[1], kept[1])
    assert state.static.valid[0].sum() == (0 if why == "no pose" else 1)
    assert state.static.valid[1].sum() == 5


def test_a_nan_does_not_outlive_its_frame(fusion):
    batches, features = frames(6)
    features[2] = features[2].clone()
    features[2][0, 3, 5, 5] = math.nan
    with torch.no_grad():
        fused, state = run(fusion, states(), batches, features)
    assert fused.isfinite().all()
    assert state.static.valid.sum(1).tolist() == [5, 6]
    memory = forget(state.static, torch.tensor([True, True]))
    assert not memory.valid.any()


def test_streams_do_not_see_each_other(fusion):
    batches, features = frames(10)
    changed = [torch.stack([1 - f[0], f[1]]) for f in features]
    with torch.no_grad():
        (one, _), (two, _) = (run(fusion, states(), batches, f) for f in (features, changed))
    assert torch.equal(one[1], two[1])
    assert not torch.allclose(one[0], two[0])


def test_the_memory_carries_no_gradient_and_values_beyond_half_precision_stay_finite(fusion):
    batches, features = frames(1)
    bev = (features[0] * 1e6).requires_grad_()
    fused, state = run(fusion, states(), batches, [bev])
    assert fused.requires_grad
    assert not state.static.bev.requires_grad
    assert state.static.bev.isfinite().all()
    assert state.static.valid.sum() == 2


def test_the_memory_costs_what_is_documented():
    from leapai.config import load_config
    from tests.models.test_static_head import FULL

    memory = empty_memory(1, load_config(FULL), "meta")
    assert memory.bev.shape == (1, 40, 128, 56, 104)
    assert memory.bev.numel() * memory.bev.element_size() == pytest.approx(60e6, rel=0.01)
