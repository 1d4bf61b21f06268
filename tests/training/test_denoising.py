"""Denoising queries: near enough, far enough, bounded, and the same however ranks share streams."""

import numpy as np
import pytest
import torch

from leapai.config.training import LossConfig
from leapai.geometry import poses
from leapai.training.denoising import MAX_QUERIES, make_denoising_queries, noise_seed
from leapai.types import DESIGN, BevGrid
from tests.training.examples import random_targets

GRID = BevGrid()


def make(streams, groups=5, seeds=None):
    seeds = seeds or [noise_seed(0, stream, 0) for stream in range(len(streams))]
    return make_denoising_queries(streams, GRID, LossConfig(denoising_groups=groups), seeds)


def offsets_in_box(denoising, targets, negative):
    """Offsets [M, 3] of the positives or negatives of stream 0 along the axes of their box, and the
    scales [M, 3] of the noise. Of a negative, the object is that of the positive of its place."""
    width = int((denoising.group == 0).sum())
    count = int(denoising.valid[0, :width].sum()) // 2
    target = denoising.target[0].view(-1, width)[:, :count].reshape(-1)
    first = count if negative else 0
    reference = denoising.reference[0].view(-1, width, 3)[:, first : first + count].reshape(-1, 3)
    boxes = targets.boxes[target]
    offset = (GRID.denormalise(reference) - boxes[:, :3]).double().numpy()
    local = []
    for vector, yaw in zip(offset, boxes[:, 6].tolist(), strict=True):
        box_from_ego = np.linalg.inv(poses.from_xyz_yaw(np.zeros(3), yaw))
        local.append(box_from_ego[:3, :3] @ vector)
    return np.array(local), np.maximum(0.5 * boxes[:, 3:6].numpy(), 1.0)


def inner_targets(count):
    """Objects far from the edge of the range, where nothing is clipped."""
    targets = random_targets(count)
    targets.boxes[:, :3] *= torch.tensor([0.5, 0.5, 0.0])
    targets.boxes[:, 2] += 1.0
    targets.boxes[:, 5].clamp_(max=3.0)
    return targets


def test_a_positive_lies_within_half_a_size_of_its_object():
    targets = inner_targets(20)
    local, scale = offsets_in_box(make([targets]), targets, negative=False)
    assert len(local) == 100
    share = local / scale
    assert np.abs(share).max() <= 1 + 1e-4
    assert share.max(0).min() > 0.9  # the noise is used to its full, along each axis, both ways
    assert share.min(0).max() < -0.9


def test_a_negative_lies_one_to_two_of_these_away():
    targets = inner_targets(20)
    local, scale = offsets_in_box(make([targets]), targets, negative=True)
    share = local / scale
    assert np.abs(share).min() >= 1 - 1e-4
    assert np.abs(share).max() <= 2 + 1e-4
    assert share.max(0).min() > 1.9
    assert share.min(0).max() < -1.9


def test_each_group_holds_every_object_once_and_as_many_negatives():
    denoising = make([random_targets(7)], groups=4)
    assert denoising.reference.shape == (1, 4 * 14, 3)
    for group in range(4):
        target = denoising.target[0, denoising.group == group]
        assert sorted(target.tolist()) == [-1] * 7 + list(range(7))
    assert not torch.equal(denoising.reference[0, :14], denoising.reference[0, 14:28])


def test_a_fifth_of_the_classes_is_wrong():
    targets = random_targets(20)
    wrong = total = 0
    for seed in range(20):
        denoising = make([targets], seeds=[seed])
        positive = denoising.target[0] >= 0
        true = targets.class_id[denoising.target[0, positive]]
        wrong += int((denoising.class_id[0, positive] != true).sum())
        total += len(true)
    assert 0.17 < wrong / total < 0.23
    assert int(denoising.class_id.max()) < len(DESIGN)


def test_streams_with_fewer_objects_are_padded():
    denoising = make([random_targets(4), random_targets(1), random_targets(0)], groups=3)
    assert denoising.valid.sum(1).tolist() == [24, 6, 0]
    assert (denoising.class_id[~denoising.valid] == len(DESIGN)).all()
    assert (denoising.target[~denoising.valid] == -1).all()
    assert denoising.reference.isfinite().all()


def test_a_frame_without_objects_has_a_query_of_padding():
    denoising = make([random_targets(0), random_targets(0)])
    assert denoising.reference.shape[:2] == (2, 5)
    assert not denoising.valid.any()


def test_no_groups_no_queries():
    assert make([random_targets(3)], groups=0) is None


@pytest.mark.parametrize("groups", [1, 5, 100])
def test_a_crowd_is_drawn_from_and_not_all_taken(groups):
    denoising = make([random_targets(120), random_targets(1)], groups=groups)
    assert denoising.valid.shape[1] <= max(MAX_QUERIES, 2 * groups)
    taken = {t for t in denoising.target[0].tolist() if t >= 0}
    if groups == 5:  # each group draws anew
        assert len(taken) > MAX_QUERIES // (2 * groups)


def test_what_is_only_remembered_has_no_query():
    targets = random_targets(4, seen=torch.tensor([True, False, True, False]))
    assert {0, 2} == {t for t in make([targets]).target[0].tolist() if t >= 0}


def test_references_stay_in_range():
    targets = random_targets(20)
    targets.boxes[:, 0] = GRID.x_range_m[1] - 0.01
    reference = make([targets]).reference
    assert reference.min() >= 0
    assert reference.max() <= 1


def test_a_stream_draws_the_same_whatever_streams_are_beside_it():
    streams, seeds = [random_targets(n, n) for n in (9, 2, 5)], [3, 4, 5]
    joint = make(streams, seeds=seeds)
    for i in range(3):
        alone = make(streams[i : i + 1], seeds=seeds[i : i + 1])
        for name in ("reference", "class_id", "target"):
            ours = getattr(joint, name)[i, joint.valid[i]]
            assert torch.equal(ours, getattr(alone, name)[0, alone.valid[0]]), name
        assert torch.equal(joint.group[joint.valid[i]], alone.group[alone.valid[0]])


def test_seeds_differ_by_run_stream_step_and_frame():
    seeds = {
        noise_seed(a, b, c, d) for a in range(3) for b in range(3) for c in (0, 7) for d in (0, 1)
    }
    assert len(seeds) == 36
    assert noise_seed(1, 2, 3) == noise_seed(1, 2, 3, 0)
    assert all(0 <= seed < 2**63 for seed in seeds)
