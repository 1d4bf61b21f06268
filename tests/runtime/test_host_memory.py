"""Memory that the host keeps with NumPy is that of the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.geometry import poses
from leapai.models.dynamic.query_memory import empty_state, motion_of
from leapai.models.reset import with_pose
from leapai.models.static.bev_memory import StaticTemporalFusion, empty_memory, forget, push
from leapai.runtime.host_memory import FeatureRing, HostMemory, motion_since
from leapai.types import Frame
from tests.scenes import joint_config, make_batch

CONFIG = joint_config()
FAR = np.array([4e5, -3e5, 20.0])


def frame_at(time_us, pose):
    return Frame("drive", time_us, pose, (), None)


def batch_at(frame, *, is_first):
    tensors = {
        "timestamp_us": torch.tensor([frame.timestamp_us]),
        "ego2global": torch.from_numpy(frame.ego2global)[None],
        "is_first": torch.tensor([is_first]),
    }
    return replace(make_batch(0), **tensors)


def frames():
    """A drive far from the origin, with a gap and a step back in time."""
    rng, time_us = np.random.default_rng(0), 5_000_000
    for index in range(40):
        time_us += {20: 9_000_000, 30: -50_000}.get(index, int(rng.integers(20_000, 400_000)))
        at = np.add(FAR, [3.0 * index, np.sin(index), 0])
        yield frame_at(time_us, poses.from_xyz_yaw(at, 0.1 * index))


def test_motion_and_reset_are_those_of_the_network():
    host, state = HostMemory({}), empty_state(1, 4, 8)
    resets = []
    for index, frame in enumerate(frames()):
        batch = batch_at(frame, is_first=index == 0)
        found = motion_since(host, frame, CONFIG.max_gap_s, is_first=index == 0).inputs()
        expected = motion_of(state, batch, CONFIG.max_gap_s)
        for name, array in found.items():
            np.testing.assert_array_equal(array, getattr(expected, name).numpy(), err_msg=name)
        resets.append(bool(found["reset"][0]))
        host = replace(host, last_ego2global=frame.ego2global, last_timestamp_us=frame.timestamp_us)
        state = with_pose(state, batch)
    assert np.flatnonzero(resets).tolist() == [0, 20, 30]


def test_a_pose_that_is_not_finite_resets_and_is_not_kept():
    frame = frame_at(100, np.full((4, 4), np.nan))
    motion = motion_since(HostMemory({}, (), np.eye(4), 50), frame, 2.0, is_first=False)
    assert motion.reset
    assert not motion.has_pose
    np.testing.assert_array_equal(motion.prev2curr, np.eye(4))


@pytest.mark.parametrize("memory_frames", [2, 6])
def test_features_of_the_required_ages_are_those_of_the_network(memory_frames):
    config = CONFIG.replace(static={"memory_frames": memory_frames})
    fusion, ring = StaticTemporalFusion(config), FeatureRing(config)
    memory, kept, hits = empty_memory(1, config), (), 0
    for index, frame in enumerate(frames()):
        batch, reset = batch_at(frame, is_first=index == 0), index in (0, 20, 30)
        memory, kept = forget(memory, torch.tensor([reset])), () if reset else kept
        found, expected = ring.inputs(kept, frame), fusion.find(memory, batch)
        there = expected.found.numpy()
        np.testing.assert_array_equal(found["past_found"], there)
        np.testing.assert_array_equal(found["past_bev"][there], expected.bev.numpy()[there])
        np.testing.assert_allclose(
            found["past_from_now"], expected.past_from_now.numpy(), atol=1e-6
        )
        bev = torch.full((1, *ring.size), float(index))
        memory = push(memory, bev, batch, fusion.min_gap_us)
        kept = ring.pushed(kept, frame, bev[0].half().numpy())
        hits += there.sum()
    assert hits > 10
