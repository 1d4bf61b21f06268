"""Steps of training in 16 bits, steps of several windows, and scaled losses."""

from __future__ import annotations

import pytest
import torch

from leapai.data.samplers import StreamingDataset
from leapai.distributed import Ranks
from leapai.models import precision
from leapai.training.progress import Progress
from leapai.training.train_step import SKIPS_IN_A_ROW, TrainStep
from tests.scenes import JOINT, seeded_model
from tests.training.runs import NO_AUGMENTATION, StubLog, training_config

MIXED = {"workers": 0, "mixed_precision": True}


def begun(**changes):
    """A training that has not taken a step, and its first windows."""
    config = training_config(**{"augmentation": NO_AUGMENTATION, **changes})
    dataset = StreamingDataset([StubLog(0), StubLog(2)], config)
    model = seeded_model(config).train()
    windows = [dataset.window(index) for index in range(2 * config.accumulate_grad_batches)]
    torch.manual_seed(0)
    return TrainStep(config, model, Ranks(), Progress()), windows


def gradients(step):
    return {n: p.grad.clone() for n, p in step.model.named_parameters() if p.grad is not None}


def first_gradients(monkeypatch, **changes):
    """Losses and gradients of the first step, before it is taken."""
    step, windows = begun(**changes)
    monkeypatch.setattr(TrainStep, "_step", lambda _: None)
    for window in windows[: step.config.accumulate_grad_batches]:
        step.add(window)
    return step.report.losses, gradients(step)


def whole(values):
    return torch.cat([value.flatten() for value in values.values()])


def test_a_whole_step_in_16_bits_agrees_with_float32(monkeypatch):
    tasks = {**JOINT, "loss": {"denoising_groups": 2, "static": {"steadiness_weight": 1.0}}}
    full_losses, full = first_gradients(monkeypatch, **tasks)
    short_losses, short = first_gradients(monkeypatch, **tasks, training=MIXED)
    assert short.keys() == full.keys()
    total, expected = float(short_losses["total"]), float(full_losses["total"])
    assert total != expected, "nothing ran in 16 bits"
    assert total == pytest.approx(expected, rel=0.02)
    assert all(value.dtype == torch.float32 for value in short_losses.values())
    a, b = whole(full), whole(short)
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.98
    assert b.norm() == pytest.approx(float(a.norm()), rel=0.1)


def test_every_frame_of_a_step_runs_in_16_bits_and_all_weights_get_a_gradient():
    step, windows = begun(**JOINT, training=MIXED)
    types = []
    neck = step.model.bev_dynamic_neck
    neck.register_forward_hook(lambda _, __, out: types.append((out.dtype, out.requires_grad)))
    step.add(windows[0])
    assert types == [(torch.bfloat16, False), (torch.bfloat16, True)]
    moved = {n for n, p in step.model.named_parameters() if p in step.optimizer.state}
    unused = {n for n, _ in step.model.named_parameters()} - moved
    assert not {name.partition(".")[0] for name in unused} - {"stage1_backbone3"}
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in step.model.parameters())


def test_a_step_of_several_windows_has_the_mean_of_their_gradients(monkeypatch):
    still = {"enable_dynamic_temporal": False, "streaming": {"clip_frames": 1}}
    _, found = first_gradients(monkeypatch, **still, accumulate_grad_batches=2)
    step, windows = begun(**still, accumulate_grad_batches=2)
    expected = {}
    for part, window in enumerate(windows[:2]):
        step.model.zero_grad()
        step.losses(window, 0, part)["total"].backward()
        for name, gradient in gradients(step).items():
            expected[name] = expected.get(name, 0) + gradient / 2
    a, b = whole(expected), whole(found)
    assert (a - b).norm() < 1e-4 * a.norm()


class Float16:
    """Stands for a GPU without bfloat16 on this machine: gradients are scaled, and they overflow
    as long as the scale is above `limit`."""

    def __init__(self, monkeypatch, limit: float) -> None:
        monkeypatch.setattr(precision, "low_precision", lambda _: torch.float16)
        backward = TrainStep._backward

        def overflowing(step, total):
            backward(step, total)
            if step.scaler.get_scale() > limit:
                step.model.fuser.missing.grad.fill_(torch.inf)

        monkeypatch.setattr(TrainStep, "_backward", overflowing)
        # Layers on a CPU have no float16 for all that a GPU has: the step itself is in float32.
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: torch.enable_grad())


def test_scaled_losses_take_the_step_of_plain_ones(monkeypatch):
    plain, windows = begun(training={"workers": 0})
    plain.add(windows[0])
    Float16(monkeypatch, limit=torch.inf)
    scaled, windows = begun(training=MIXED)
    assert scaled.scaler.get_scale() == 2**16
    scaled.add(windows[0])
    assert scaled.report.gradient_norm == pytest.approx(plain.report.gradient_norm, rel=1e-3)
    for one, other in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_gradients_that_overflow_lower_the_scale_and_end_no_run(monkeypatch):
    Float16(monkeypatch, limit=8.0)
    step, windows = begun(training=MIXED)
    weights = list(step.model.parameters())
    monkeypatch.setattr(step, "_forward", lambda *_: {"total": sum(w.mean() for w in weights)})
    before = [p.clone() for p in step.model.parameters()]
    for turn in range(13):  # from 2^16 to 2^3
        step.add(windows[turn % 2])
        assert step.scaler.get_scale() == 2 ** (15 - turn)
        assert all(map(torch.equal, before, step.model.parameters()))
    assert step.progress.skipped == 13 > SKIPS_IN_A_ROW
    assert step.progress.skipped_in_row == 0
    step.add(windows[0])
    assert step.progress.skipped == 13
    assert not all(map(torch.equal, before, step.model.parameters()))


def test_a_loss_that_is_not_finite_counts_whatever_the_scale(monkeypatch):
    Float16(monkeypatch, limit=torch.inf)
    step, windows = begun(training=MIXED)
    nothing = {"total": torch.tensor(torch.nan)}
    monkeypatch.setattr(step, "_forward", lambda *_: nothing)
    for turn in range(SKIPS_IN_A_ROW - 1):
        step.add(windows[turn % 2])
    assert step.scaler.get_scale() == 2**16
    with pytest.raises(ValueError, match=f"in {SKIPS_IN_A_ROW} steps in a row"):
        step.add(windows[0])
