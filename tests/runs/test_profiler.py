"""The stage meter measures what it says."""

import mmap
import time

from torch import nn

from leapai.runs.profiler import StageMeter


class TwoStages(nn.Module):
    def __init__(self):
        super().__init__()
        self.view_transfer = Busy(0.02, 120_000_000)
        self.fuser = Busy(0.0, 0)

    def forward(self):
        self.view_transfer()
        self.fuser()
        self.fuser()


class Busy(nn.Module):
    """Takes time, and pages that the process does not have yet: the allocator may hold freed ones
    of earlier tests, and what it gives of these adds nothing to what is resident."""

    def __init__(self, seconds, size_bytes):
        super().__init__()
        self.seconds, self.size_bytes = seconds, size_bytes

    def forward(self):
        time.sleep(self.seconds)
        if self.size_bytes:
            with mmap.mmap(-1, self.size_bytes) as pages:
                for at in range(0, self.size_bytes, mmap.PAGESIZE):
                    pages[at] = 1


def test_time_calls_and_memory_belong_to_their_stage():
    meter, model = StageMeter(), TwoStages()
    with meter.measuring(model), meter.stage("whole step"):
        model()
    costs = meter.costs
    assert costs["fuser"].calls == 2
    assert costs["view transfer"].seconds >= 0.02
    assert costs["whole step"].seconds >= costs["view transfer"].seconds + costs["fuser"].seconds
    assert costs["view transfer"].added_bytes > 100e6
    assert costs["fuser"].added_bytes < 20e6
    # The inner stage resets the peak; the outer one must not lose it.
    assert costs["whole step"].peak_bytes >= costs["view transfer"].peak_bytes


def test_nothing_is_measured_after_the_context():
    meter, model = StageMeter(), TwoStages()
    with meter.measuring(model):
        model()
    model()
    assert meter.costs["view transfer"].calls == 1
