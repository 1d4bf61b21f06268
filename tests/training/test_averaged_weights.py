"""Averages of weights: their values, and that they are what is validated, shipped and resumed."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch import nn

from leapai.checkpoints import read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.training import validating
from leapai.training.averaged_weights import AveragedWeights
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from tests.training.runs import training_config, weights

EMA = {"workers": 0, "checkpoint_every": 3, "ema_decay": 0.5, "validate_every": 2}


def test_an_average_agrees_with_the_sum_of_its_formula():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    averages, expected = AveragedWeights(model, 0.3), model[0].weight.detach().clone()
    for step in range(6):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(2, 3))
            model[1].running_mean.add_(1.0)
            model[1].num_batches_tracked.add_(1)
        averages.update(model, step)
        decay = min(0.3, (1 + step) / (10 + step))  # 0.1, 0.18, 0.25, then 0.3
        expected = decay * expected + (1 - decay) * model[0].weight.detach()
        torch.testing.assert_close(averages.state_dict["0.weight"], expected)
    assert 4 < averages.state_dict["1.running_mean"][0] < 6
    assert averages.state_dict["1.num_batches_tracked"] == 6
    assert averages.state_dict["0.weight"].requires_grad is False


def config_of(**training):
    return training_config(finetune_steps=5, max_steps=5, training={**EMA, **training})


@pytest.fixture
def shipped(stubs, console, tmp_path):
    """A run of five steps, with the weights after each of them and those that were validated."""
    trained, validated, step = [], [], TrainStep._step

    def watched(self):
        step(self)
        trained.append({n: v.clone() for n, v in self.model.state_dict().items()})

    def validate(_, self):
        validated.append({n: v.clone() for n, v in self.weights().items()})

    stubs.setattr(TrainStep, "_step", watched)
    stubs.setattr(validating.Validator, "validate", validate)
    run_training(config_of(), TrainingOptions(tmp_path / "ema"), console)
    return tmp_path / "ema", trained, validated


def test_averages_are_validated_and_shipped_and_training_goes_on_with_its_own(shipped):
    folder, trained, validated = shipped
    final, name = weights(folder / "model.ckpt"), "fuser.fuse.0.weight"
    expected = trained[0][name]
    for number, after in enumerate(trained):
        decay = min(0.5, (1 + number) / (10 + number))
        # The average begins with the first weights, which no step has seen: check the later terms.
        expected = after[name] if number == 0 else decay * expected + (1 - decay) * after[name]
    assert not torch.equal(final[name], trained[-1][name])
    torch.testing.assert_close(final[name], expected, atol=1e-4, rtol=1e-3)
    assert len(validated) == 3
    assert all(torch.equal(final[n], v) for n, v in validated[-1].items())
    last = read_checkpoint(folder / "last.ckpt").content
    assert torch.equal(last["state_dict"][name], final[name])
    assert torch.equal(last["training"]["weights"][name], trained[-1][name])


def test_averages_resume_bit_for_bit(shipped, stubs, console, tmp_path):
    folder, _, _ = shipped
    add = TrainStep.add

    def interrupted(self, window):
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        add(self, window)

    stubs.setattr(TrainStep, "add", interrupted)
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run_training(config_of(), TrainingOptions(stopped), console)
    stubs.setattr(TrainStep, "add", add)
    run_training(config_of(), TrainingOptions(stopped, resume="auto"), console)
    for name in ("model.ckpt", "last.ckpt"):
        mine, theirs = weights(stopped / name), weights(folder / name)
        assert all(torch.equal(mine[n], v) for n, v in theirs.items())
    mine, theirs = (read_checkpoint(f / "last.ckpt").content["training"] for f in (stopped, folder))
    assert all(torch.equal(mine["weights"][n], v) for n, v in theirs["weights"].items())
