"""Backbones that compute activations again, against those that keep them."""

from __future__ import annotations

import pytest
import torch

from leapai.models.build import build_model
from leapai.models.camera import build_backbones
from leapai.models.recompute import recompute_stages
from tests.scenes import small_config


def outcome(backbone: str, recomputed: bool):
    """Maps, gradients and statistics of one step, and the numbers that the graph keeps."""
    camera = small_config().camera.replace(backbone=backbone)
    torch.manual_seed(0)
    (net,) = build_backbones(camera, 1)
    if recomputed:
        recompute_stages(net.net)
    images = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(1))
    kept = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    def note_input(_, given):
        note(given[0])

    for stage in net.net.children():  # whose input is kept by no hook
        stage.register_forward_pre_hook(note_input)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        maps = net.train()(images.to(torch.uint8))
    sum((m * m.cos()).mean() for m in maps).backward()
    gradients = {n: p.grad for n, p in net.named_parameters()}
    return maps, gradients, dict(net.named_buffers()), sum(kept.values())


@pytest.mark.parametrize("backbone", ["resnetv2_18", "resnetv2_18d"])
def test_maps_gradients_and_statistics_are_the_same_and_less_is_kept(backbone):
    plain, again = outcome(backbone, recomputed=False), outcome(backbone, recomputed=True)
    for expected, found in zip(plain[0], again[0], strict=True):
        assert torch.equal(expected, found)
    for expected, found in zip(plain[1:3], again[1:3], strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), name
    assert again[3] < 0.5 * plain[3]


def test_the_configuration_switches_it_and_changes_no_name():
    plain = build_model(small_config())
    again = build_model(small_config(training={"recompute_backbones": True}))
    assert again.state_dict().keys() == plain.state_dict().keys()
    stage = again.stage1_backbone2.net.stages_1
    assert "forward" in vars(stage)
    assert "forward" not in vars(plain.stage1_backbone2.net.stages_1)
