"""Random ground truth and outputs, and ranks without processes, that tests of the losses share."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist

from leapai.models.tensors import DynamicPredictions, LayerOutputs
from leapai.training.targets import Targets
from leapai.types import Labels

LAYERS, QUERIES = 2, 6


def random_labels(count, seed=0, **changes):
    """Objects in the BEV range, with everything labelled."""
    rng = np.random.default_rng(seed)
    places = [rng.uniform(-35, 55, count), rng.uniform(-40, 40, count), rng.uniform(-1, 2, count)]
    sizes = [rng.uniform(0.5, 5, count) for _ in range(3)]
    values = {
        "boxes": np.column_stack([*places, *sizes, rng.uniform(-np.pi, np.pi, count)]),
        "class_id": rng.integers(0, 8, count),
        "velocity_mps": rng.normal(0, 5, (count, 3)),
        "velocity_valid": np.ones(count, bool),
        "occlusion_level": rng.integers(0, 4, count),
        "track_id": np.arange(count),
        "num_lidar_points": np.full(count, 5),
        "visible_fraction": np.ones(count),
        "acceleration_mps2": np.zeros((count, 3)),
    }
    return Labels(**(values | changes))


def random_targets(count, seed=0, **changes):
    """Targets of one stream, with weights that are all different."""
    labels = random_labels(count, seed)
    values = {
        "boxes": torch.tensor(labels.boxes, dtype=torch.float32),
        "class_id": torch.tensor(labels.class_id),
        "velocity_mps": torch.tensor(labels.velocity_mps, dtype=torch.float32),
        "velocity_valid": torch.ones(count, dtype=torch.bool),
        "occlusion_level": torch.tensor(labels.occlusion_level),
        "track_id": torch.arange(count),
        "seen": torch.ones(count, dtype=torch.bool),
        "weight": torch.linspace(0.5, 4, count),
    }
    return Targets(**(values | changes))


def random_outputs(streams, queries=QUERIES, seed=0):
    """What the branches might say; every tensor is a leaf that collects gradients."""
    generator = torch.Generator().manual_seed(seed)

    def leaf(width):
        shape = (LAYERS, streams, queries, width)
        return torch.randn(shape, generator=generator).requires_grad_()

    return LayerOutputs(leaf(8), leaf(17), leaf(8), leaf(1), leaf(3))


def predictions_of(outputs, denoising=None, heat_map=None):
    """Predictions of which a criterion reads only outputs."""
    return DynamicPredictions(
        **vars(outputs),
        occlusion_thresholds=torch.tensor([-1.0, 0.2, 1.1], requires_grad=True),
        boxes=torch.zeros(0),
        decoder_features=torch.zeros(0),
        memory=None,
        denoising=denoising,
        heat_map=heat_map,
    )


def mean_over_ranks(gradient, shares, monkeypatch):
    """Returns the mean over two ranks that compute `gradient(share)` of a share of the streams
    each: what they reduce is added up, and both receive the sum."""
    given = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda count: given.append(count.clone()))
    for share in shares:
        gradient(share)
    reported = sum(given)
    monkeypatch.setattr(dist, "all_reduce", lambda count: count.copy_(reported))
    one, other = (gradient(share) for share in shares)
    return (one + other) / 2
