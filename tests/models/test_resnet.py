"""Our ResNets against timm's: names, values, gradients and running statistics."""

from __future__ import annotations

import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

from leapai.config.network_sections import CameraConfig
from leapai.models.camera import build_backbones
from leapai.models.resnet import ResNetV2

CASES = [("resnetv2_18", 0.25), ("resnetv2_18", 0.3), ("resnetv2_34", 0.25), ("resnetv2_34", 1.0)]


def twins(name: str, width_factor: float) -> tuple[nn.Module, ResNetV2]:
    """timm's network and ours with its weights."""
    torch.manual_seed(0)
    theirs = timm.create_model(
        name, features_only=True, out_indices=(2, 3, 4), width_factor=width_factor
    )
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
        for buffer in theirs.buffers():
            if buffer.is_floating_point():
                buffer.add_(0.1 * torch.rand_like(buffer))
    ours = ResNetV2(name, width_factor)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def images(size_px: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.randn(2, 3, *size_px, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "width_factor"), CASES)
def test_maps_gradients_and_statistics_are_those_of_timm(name, width_factor):
    theirs, ours = twins(name, width_factor)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert list(ours.channels) == theirs.feature_info.channels()
    results = []
    for net in (theirs, ours):
        x = images().requires_grad_()
        maps = net.train()(x)
        sum((m * m.cos()).mean() for m in maps).backward()
        gradients = [parameter.grad for parameter in net.parameters()]
        evaluated = net.eval()(images((65, 50)))  # after the running statistics have moved
        results.append([*maps, x.grad, *gradients, *net.buffers(), *evaluated])
    assert len(results[0]) == len(results[1]) > 100
    for expected, found in zip(*results, strict=True):
        assert torch.equal(expected, found)


def test_first_weights_are_spread_as_those_of_timm():
    torch.manual_seed(0)
    ours = dict(ResNetV2("resnetv2_34").named_parameters())
    theirs = timm.create_model("resnetv2_34", features_only=True, out_indices=(2, 3, 4))
    for name, expected in theirs.named_parameters():
        found = ours[name]
        if expected.dim() == 1:
            assert torch.equal(expected, found)
        else:
            assert abs(float(found.detach().mean())) < 0.1 * float(expected.detach().std())
            assert float(found.detach().std()) == pytest.approx(
                float(expected.detach().std()), rel=0.06
            )


@pytest.mark.parametrize(
    "camera",
    [
        CameraConfig(),
        CameraConfig(backbone="resnetv2_18", backbone_args={"width_factor": 0.25}),
    ],
)
def test_the_backbones_of_our_configurations_need_no_timm(camera, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # an import of it fails
    backbones = build_backbones(camera, 2)
    assert all(isinstance(backbone.net, ResNetV2) for backbone in backbones)


def test_arguments_that_ours_does_not_have_go_to_timm():
    camera = CameraConfig(backbone="resnetv2_18", backbone_args={"drop_path_rate": 0.1})
    (backbone,) = build_backbones(camera, 1)
    assert not isinstance(backbone.net, ResNetV2)
    assert any(type(module).__name__ == "DropPath" for module in backbone.modules())
    with pytest.raises(ValueError, match="width_factor"):
        build_backbones(CameraConfig(backbone_args={"width_factor": "wide"}), 1)


@pytest.mark.processes
def test_loading_imports_no_timm():
    code = "import sys, leapai.streaming.stream, leapai.training.synced_norm as s"
    code += "; import leapai; leapai.load()"
    code += "; print([m for m in sys.modules if m.split('.')[0] in ('timm', 'torchvision')])"
    code += "; print([m for m in sys.modules if m == 'torch._dynamo'])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == ["[]", "[]"], "each takes seconds to import"
