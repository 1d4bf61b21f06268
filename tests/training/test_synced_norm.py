"""Batch norm over ranks against `nn.BatchNorm2d` on the joint batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn

from leapai.distributed import joined_ranks
from leapai.training.synced_norm import SyncedBatchNorm2d, synchronise
from tests.training.runs import as_rank, free_port, in_processes

SHARES = (slice(0, 3), slice(3, 3), slice(3, 5))
"""Images of each of three ranks; the second has none."""


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), BatchNormAct2d(4)
    )
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return layers.double()


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 3, 6, 7, generator=generator, dtype=torch.float64) * 3 + 40


def sequence_result(layers: nn.Sequential, share: slice) -> dict[str, torch.Tensor]:
    """Two steps forward, one backward; the loss weighs every output differently."""
    weight = torch.linspace(-1, 1, 5 * 4 * 4 * 5, dtype=torch.float64).view(5, 4, 4, 5)
    layers(images()[share] - 1)
    inputs = images()[share].requires_grad_()
    y = layers(inputs)
    (y.square() * weight[share]).sum().backward()
    state = {n: v.clone() for n, v in layers.state_dict().items()}
    gradients = {f"gradient of {n}": p.grad for n, p in layers.named_parameters()}
    return {"y": y.detach(), "gradient of x": inputs.grad, **state, **gradients}


def one_rank(rank: int, port: int, output: Path) -> None:
    as_rank(rank, len(SHARES), port)
    with joined_ranks():
        layers = network()
        synchronise(layers)
        torch.save(sequence_result(layers, SHARES[rank]), output / f"{rank}.pt")
    assert not dist.is_initialized()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("norm"), free_port()
    assert in_processes(one_rank, [(rank, port, folder) for rank in range(3)]) == [0, 0, 0]
    return sequence_result(network(), slice(None)), [
        torch.load(folder / f"{r}.pt") for r in range(3)
    ]


def test_outputs_and_gradients_are_those_of_the_joint_batch(outcomes):
    joint, parts = outcomes
    for name, value in joint.items():
        if name in ("y", "gradient of x"):
            found = torch.cat([part[name] for part in parts])
        elif name.startswith("gradient"):
            found = sum(part[name] for part in parts)
        else:
            continue
        torch.testing.assert_close(found, value, atol=1e-10, rtol=1e-9)


def test_running_statistics_and_their_names_are_those_of_the_joint_batch(outcomes):
    joint, parts = outcomes
    running = [name for name in joint if "running" in name or "num_batches" in name]
    assert len(running) == 6
    for part in parts:
        assert set(part) == set(joint)
        for name in running:
            torch.testing.assert_close(part[name], joint[name], atol=1e-10, rtol=1e-9)


def test_in_eval_mode_it_is_plain_batch_norm():
    norm = BatchNormAct2d(4)
    norm.running_mean.fill_(0.5)
    synced = SyncedBatchNorm2d(norm, None).eval()
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(synced(x), norm.eval()(x))
