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


def config_of():
    return training_config(finetune_steps=5, max_steps=5, training=EMA)


def test_averages_are_validated_and_shipped_and_resume_bit_for_bit(stubs, console, tmp_path):
    trained, validated, step, add = [], [], TrainStep._step, TrainStep.add

    def watched(self):
        step(self)
        trained.append({n: v.clone() for n, v in self.model.state_dict().items()})

    def validate(_, self):
        validated.append({n: v.clone() for n, v in self.weights().items()})

    stubs.setattr(TrainStep, "_step", watched)
    stubs.setattr(validating.Validator, "validate", validate)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    run_training(config_of(), TrainingOptions(straight), console)
    final, name = weights(straight / "model.ckpt"), "fuser.fuse.0.weight"
    expected = trained[0][name]
    for number, after in enumerate(trained[1:], 1):
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * after[name]
    # The average began with the first weights, of which hardly anything is left.
    torch.testing.assert_close(final[name], expected, atol=1e-4, rtol=1e-3)
    assert not torch.equal(final[name], trained[-1][name])
    assert len(validated) == 3
    assert all(torch.equal(final[n], v) for n, v in validated[-1].items())
    last = read_checkpoint(straight / "last.ckpt").content
    assert torch.equal(last["state_dict"][name], final[name])
    assert torch.equal(last["training"]["weights"][name], trained[-1][name])

    def interrupted(self, window):
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        add(self, window)

    stubs.setattr(TrainStep, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(config_of(), TrainingOptions(stopped), console)
    stubs.setattr(TrainStep, "add", add)
    run_training(config_of(), TrainingOptions(stopped, resume="auto"), console)
    assert all(torch.equal(weights(stopped / "model.ckpt")[n], v) for n, v in final.items())
    resumed = read_checkpoint(stopped / "last.ckpt").content
    for kept, other in ((resumed, last), (resumed["training"], last["training"])):
        part = "state_dict" if kept is resumed else "weights"
        assert all(torch.equal(kept[part][n], v) for n, v in other[part].items())
