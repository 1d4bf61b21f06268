"""Batch norm over ranks against `nn.BatchNorm2d` on the joint batch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import nn

from leapai.distributed import Ranks, joined_ranks
from leapai.models.resnet import ResNetV2
from leapai.training import train_step
from leapai.training.synced_norm import SyncedBatchNorm2d, synchronise
from tests.scenes import seeded_model
from tests.training.runs import as_rank, free_port, in_processes, training_config

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
        synchronise(layers, torch.device("cpu"))
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


class Alone:
    """A process group of one rank, whose sums are its own."""

    def __init__(self, monkeypatch) -> None:
        monkeypatch.setattr(dist, "new_group", lambda: self)
        monkeypatch.setattr(dist, "ProcessGroup", Alone)
        monkeypatch.setattr(dist, "all_reduce", lambda *_, **__: None)


def test_on_gpus_it_is_the_fused_one_with_the_activation_after_it(monkeypatch):
    group = Alone(monkeypatch)
    layers, plain = network(), network()
    synchronise(layers, torch.device("cuda"))
    norms = [layers[1], layers[3]]
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    assert all(norm.process_group is group for norm in norms)
    assert layers.state_dict().keys() == plain.state_dict().keys()
    # Its kernels need a GPU; in their place those of one rank.
    monkeypatch.setattr(nn.SyncBatchNorm, "forward", nn.BatchNorm2d.forward)
    monkeypatch.setattr(nn.SyncBatchNorm, "_check_input_dim", lambda *_: None)
    expected, found = (sequence_result(net, slice(None)) for net in (plain, layers))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert (found["y"] == 0).any(), "the activation is missing"


def kept_bytes(layers: nn.Module, inputs: torch.Tensor) -> int:
    """Bytes that a forward keeps for its backward, each storage once, without parameters."""
    known = {p.untyped_storage().data_ptr() for p in layers.parameters()}
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor  # which keeps its storage, so that no other one takes its place

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = layers(inputs)  # noqa: F841
    return sum(sizes.values())


def test_it_keeps_no_more_for_the_backward_than_plain_batch_norm(monkeypatch):
    Alone(monkeypatch)
    model, plain = (nn.ModuleDict({"b": ResNetV2("resnetv2_18", 0.25)}).train() for _ in range(2))
    synchronise(model, torch.device("cpu"))
    inputs = torch.randn(2, 3, 64, 96)
    assert kept_bytes(model["b"], inputs) <= 1.05 * kept_bytes(plain["b"], inputs)


def test_norms_that_do_not_learn_stay_plain(monkeypatch):
    Alone(monkeypatch)
    layers = network()
    layers[1].eval()
    synchronise(layers, torch.device("cpu"))
    assert type(layers[1]) is nn.BatchNorm2d
    assert type(layers[3]) is SyncedBatchNorm2d


def test_a_frame_without_any_image_of_a_group_moves_no_statistics_on_gpus(monkeypatch):
    Alone(monkeypatch)
    model = nn.ModuleDict({"stage1_backbone0": network()}).train()
    synchronise(model, torch.device("cuda"))

    def shrinking(self, x):
        """What the fused kernels do with statistics where there is no image at all."""
        self.running_mean.mul_(0.9)
        return x

    monkeypatch.setattr(nn.SyncBatchNorm, "forward", shrinking)
    backbone = model["stage1_backbone0"]
    for norm in (backbone[1], backbone[3]):
        norm.running_mean.fill_(1.0)
    backbone(images()[:0])
    assert (backbone[1].running_mean == 1.0).all()
    backbone(images())
    assert (backbone[1].running_mean == 0.9).all()
    backbone.eval()(images()[:0])
    assert (backbone[1].running_mean < 0.9).all(), "the guard is for training alone"


def test_in_eval_mode_it_is_plain_batch_norm():
    norm = BatchNormAct2d(4)
    norm.running_mean.fill_(0.5)
    synced = SyncedBatchNorm2d(norm, None).eval()
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(synced(x), norm.eval()(x))


@pytest.mark.parametrize("synced", [True, False])
def test_by_choice_every_norm_stays_plain_and_no_rank_waits_for_another(monkeypatch, synced):
    config = training_config(training={"workers": 0, "synced_batch_norm": synced})
    calls = []
    monkeypatch.setattr(train_step, "synchronise", lambda *given: calls.append(given))
    monkeypatch.setattr(train_step, "DistributedDataParallel", lambda losses, **_: losses)
    model = seeded_model(config).train()
    train_step.wrapped_for(Ranks(count=2), SimpleNamespace(config=config, model=model))
    assert calls == [(model, Ranks().device)] * synced
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    assert model._ranks_wait() is synced
