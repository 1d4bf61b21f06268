"""The stage meter measures what it says."""

import time

import torch
from torch import nn

from leapai.runtime.stages import StageMeter


class TwoStages(nn.Module):
    def __init__(self):
        super().__init__()
        self.view_transfer = Busy(0.02, 30_000_000)
        self.fuser = Busy(0.0, 0)

    def forward(self):
        self.view_transfer()
        self.fuser()
        self.fuser()


class Busy(nn.Module):
    def __init__(self, seconds, count):
        super().__init__()
        self.seconds, self.count = seconds, count

    def forward(self):
        time.sleep(self.seconds)
        return torch.ones(self.count).sum()


def test_time_calls_and_memory_belong_to_their_stage():
    meter, model = StageMeter(), TwoStages()
    with meter.measuring(model), meter.stage("whole step"):
        model()
    costs = meter.costs
    assert costs["fuser"].calls == 2
    assert costs["view transfer"].seconds >= 0.02
    assert costs["whole step"].seconds >= costs["view transfer"].seconds + costs["fuser"].seconds
    assert costs["view transfer"].added_bytes > 100e6  # 30 million float32
    assert costs["fuser"].added_bytes < 20e6
    # The inner stage resets the peak; the outer one must not lose it.
    assert costs["whole step"].peak_bytes >= costs["view transfer"].peak_bytes


def test_nothing_is_measured_after_the_context():
    meter, model = StageMeter(), TwoStages()
    with meter.measuring(model):
        model()
    model()
    assert meter.costs["view transfer"].calls == 1
