"""16 bits where they do no harm, and float32 where they would."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from leapai.models import camera, precision
from leapai.models.precision import (
    autocasts_backbones,
    in_float32,
    low_precision,
    mixed_precision,
    needs_loss_scaling,
)
from leapai.models.projection import Calibration
from tests.scenes import JOINT, make_batch, seeded_model, small_config

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ISLANDS = (
    "PointEncoding", "CellEncoding", "MotionAwareLayerNorm", "TemporalSelfAttention", "Branches",
    "PillarVfe",
)  # fmt: skip


def joint_model():
    """Every kind of module that a configuration can switch on."""
    shipped = small_config().camera
    config = small_config(
        **JOINT,
        camera=shipped.replace(depth_bins=8, bev_blocks=1),
        loss={"dense_weight": 1.0},
    )
    return seeded_model(config)


def two_frames(model, enabled):
    """Predictions of the second frame of two streams, and the memory after it."""
    state = model.initial_state(2)
    for index in range(2):
        with mixed_precision(CPU, enabled):
            predictions, state = model(make_batch(index, (0, 1)), state)
    return predictions, state


def output_types(model, enabled=True):
    """The type of what each module returned, by the name of its class."""
    types: dict[str, set[torch.dtype]] = {}

    def note(module, _, output):
        first = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(first, torch.Tensor):
            types.setdefault(type(module).__name__, set()).add(first.dtype)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    two_frames(model, enabled)
    for hook in hooks:
        hook.remove()
    return types


def test_layers_run_in_16_bits_and_what_places_things_in_float32():
    types = output_types(joint_model())
    assert types["Conv2d"] == {torch.bfloat16}
    assert torch.bfloat16 in types["Linear"]
    for name in ISLANDS:
        assert types[name] == {torch.float32}, name
    assert output_types(joint_model(), enabled=False)["Conv2d"] == {torch.float32}


def test_geometry_and_memory_do_not_feel_autocast():
    model = joint_model()
    calibration = Calibration.of(make_batch(0).on_host())
    with mixed_precision(CPU, True):
        short = model.view_transfer.project(calibration, (8, 12), CPU)
    model.view_transfer.project._kept = None
    full = model.view_transfer.project(calibration, (8, 12), CPU)
    for name, value in vars(full).items():
        assert torch.equal(value, getattr(short, name)), name
    _, state = two_frames(model, enabled=False)
    batch, query = make_batch(2, (0, 1)), model.bev_dynamic_head.query.expand(2, -1, -1)
    memory = model.bev_dynamic_head.memory
    expected = memory.read(state, batch, query)
    with mixed_precision(CPU, True):
        found = memory.read(state, batch, query)
        warped = model.bev_static_temporal_fusion.read(state.static, batch)
    for name, value in vars(expected).items():
        assert torch.equal(value, getattr(found, name)), name
    again = model.bev_static_temporal_fusion.read(state.static, batch)
    assert torch.equal(warped.geometry, again.geometry)


def test_a_frame_agrees_with_float32_within_the_stated_bounds():
    model = joint_model()
    (full, kept), (short, stored) = two_frames(model, False), two_frames(model, True)
    for name, bound in (("class_logits", 0.02), ("boxes", 0.02), ("decoder_features", 0.02)):
        a, b = getattr(full.dynamic, name), getattr(short.dynamic, name)
        assert (a - b).norm() < bound * a.norm(), name
    moved_m = (kept.reference_m - stored.reference_m).norm(dim=-1)
    assert moved_m.median() < 0.1
    logits = full.static.logits
    assert (logits - short.static.logits.float()).norm() < 0.02 * logits.norm()
    for name, value in vars(kept).items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == getattr(stored, name).dtype, name


def test_backbones_run_in_16_bits_on_a_gpu_alone(monkeypatch):
    config = small_config()
    assert autocasts_backbones(config, CUDA)
    assert not autocasts_backbones(config, CPU)
    assert not autocasts_backbones(config.replace(use_backbone_amp=False), CUDA)
    assert output_types(joint_model(), enabled=False)["FpnNeck"] == {torch.float32}
    monkeypatch.setattr(camera, "autocasts_backbones", lambda *_: True)
    types = output_types(joint_model(), enabled=False)
    assert types["FpnNeck"] == {torch.bfloat16}
    assert types["ConvResBlockNeck"] == {torch.float32}


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_without_bfloat16_takes_float16_and_scales_losses(
    monkeypatch, has_bfloat16, expected
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)
    assert low_precision(CUDA) == getattr(torch, expected)
    assert low_precision(CPU) == torch.bfloat16
    config = small_config()
    assert needs_loss_scaling(config, CUDA) is not has_bfloat16
    assert not needs_loss_scaling(config.replace(use_backbone_amp=False), CUDA)
    mixed = config.replace(use_backbone_amp=False, training={"mixed_precision": True})
    assert needs_loss_scaling(mixed, CUDA) is not has_bfloat16


def test_a_function_in_float32_leaves_autocast_and_gets_float32():
    layer = nn.Linear(4, 4)

    @in_float32
    def apply(x, wide):
        assert x.dtype == torch.float32
        assert wide.dtype == torch.float64
        return layer(x)

    with mixed_precision(CPU, True):
        x = layer(torch.randn(2, 4))
        assert x.dtype == torch.bfloat16
        assert apply(x, wide=torch.zeros(1, dtype=torch.float64)).dtype == torch.float32
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
    assert precision.mixed_precision(CPU, False).__enter__() is None
