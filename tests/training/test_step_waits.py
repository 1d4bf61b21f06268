"""A training step waits for the device three times: for the costs of the matching, the loss, and
the norm of the gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from leapai.config import CameraConfig
from leapai.data.samplers import StreamingDataset
from leapai.distributed import Ranks
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.training import auxiliary_criterion, criterion, window_losses
from leapai.training.progress import Progress, Stopwatch
from leapai.training.targets import TargetMaker, visible_objects
from leapai.training.train_step import TrainStep
from tests.scenes import JOINT, small_config
from tests.training.runs import StubLog, training_config
from tests.waits import Waits

CAMERA = small_config().camera.model_dump() | {"depth_bins": 6, "bev_blocks": 1, "shared": True}
EVERYTHING: dict[str, Any] = {
    **JOINT,
    "camera": CameraConfig(**CAMERA),
    "loss": {"dense_weight": 1.0, "denoising_groups": 2},
    "streaming": {"clip_frames": 6, "frames_without_gradient": 0},
}


@pytest.fixture
def host_work(monkeypatch):
    """What works on tensors of the host only, and on a GPU would wait for nothing."""

    def on_the_host(work):
        def uncounted(*args, **kwargs):
            monkeypatch.setattr(Waits, "is_paused", True)
            try:
                return work(*args, **kwargs)
            finally:
                monkeypatch.setattr(Waits, "is_paused", False)

        return uncounted

    monkeypatch.setattr(torch.optim.AdamW, "step", on_the_host(torch.optim.AdamW.step))
    monkeypatch.setattr(TargetMaker, "make", on_the_host(TargetMaker.make))
    monkeypatch.setattr(Perception, "prepared", on_the_host(Perception.prepared))
    for module in (criterion, auxiliary_criterion):
        monkeypatch.setattr(module, "visible_objects", on_the_host(visible_objects))
    monkeypatch.setattr(criterion, "known", on_the_host(criterion.known))
    made = window_losses.make_denoising_queries
    monkeypatch.setattr(window_losses, "make_denoising_queries", on_the_host(made))


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["small", "everything"])
def test_a_step_waits_three_times(changes, host_work):
    config = training_config(**({"streaming": {"frames_without_gradient": 0}} | changes))
    torch.manual_seed(0)
    step = TrainStep(config, build_model(config).train(), Ranks(), Progress())
    data = StreamingDataset([StubLog(0), StubLog(1, frames=5)], config)
    for number in range(2):
        window = data.window(number)
        with Waits() as waits:
            step.add(window)
        waits.counts.pop("lift_fresh", None)  # numbers that go through pinned memory
        waits.counts.pop("numpy", None)  # of the costs, counted as a copy to the CPU already
        assert waits.counts == {"cpu": 1, "_local_scalar_dense": 2}, waits.counts
    assert step.progress.skipped == 0


def test_a_stopwatch_adds_up_its_stages():
    watch = Stopwatch()
    for _ in range(2):
        with watch("one"):
            torch.ones(10).sum()
    with pytest.raises(KeyError), watch("other"):
        raise KeyError
    assert set(watch.seconds) == {"one", "other"}
    assert 0 < watch.seconds["one"] < 60
    before = watch.seconds
    with watch("one"):
        pass
    assert watch.seconds["one"] > before["one"]
