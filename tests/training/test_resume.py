"""A run that stopped and went on is one that never stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from leapai.config.options import TrainingOptions
from leapai.distributed import Ranks
from leapai.training import resume, training_data, validating
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from tests.scenes import JOINT
from tests.training.runs import (
    in_processes,
    stub_logs,
    training_config,
    weights,
)

STOP_IN_STEP = 5
"""Between the checkpoints after steps 4 and 8."""


def config_of():
    return training_config(
        **JOINT,
        freeze_module_schedules={"fuser": 0, "stage1_backbone0": 3, "stage1_neck0": 7},
        loss={
            "remembered_s": 1.0,
            "denoising_groups": 2,
            "static": {"steadiness_weight": 1.0},
        },
    )


def one_run(number: int, output: Path) -> None:
    """A run to which signal `number` comes in the middle of a step; 0: none comes."""
    torch.set_num_threads(1)
    training_data.open_cached_logs = stub_logs
    validating.Validator.validate = lambda *_: None
    add = TrainStep.add

    def interrupted(self: TrainStep, window):
        if number and self.progress.step == STOP_IN_STEP:
            os.kill(os.getpid(), number)
        add(self, window)

    TrainStep.add = interrupted
    run_training(config_of(), TrainingOptions(output))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder of the runs, each by its signal, and their exit statuses."""
    root = tmp_path_factory.mktemp("runs")
    signals = (0, signal.SIGKILL, signal.SIGTERM)
    statuses = in_processes(one_run, [(int(s), root / str(int(s))) for s in signals])
    return root, dict(zip(signals, statuses, strict=True))


@pytest.fixture
def straight(runs, stubs):
    """The run that never stopped."""
    root, statuses = runs
    assert statuses[0] == 0
    return root / "0"


@pytest.mark.parametrize(
    ("number", "status", "saved_at"),
    [(signal.SIGKILL, -signal.SIGKILL, 4), (signal.SIGTERM, 128 + signal.SIGTERM, 6)],
)
def test_what_goes_on_is_bit_for_bit_what_never_stopped(
    runs, straight, console, number, status, saved_at
):
    root, statuses = runs
    output = root / str(int(number))
    assert statuses[number] == status
    saved = torch.load(output / "last.ckpt", weights_only=True)["training"]
    assert saved["step"] == saved_at
    assert not (output / "model.ckpt").exists()
    run_training(config_of(), TrainingOptions(output, resume="auto"), console)
    assert f"goes on from step {saved_at}" in console.file.getvalue()
    mine, theirs = (torch.load(p / "last.ckpt", weights_only=True) for p in (output, straight))
    assert_equal(mine["state_dict"], theirs["state_dict"])
    assert_equal(mine["training"], theirs["training"])
    lines = [(p / "train.jsonl").read_text().count("\n") for p in (output, straight)]
    assert lines[0] == lines[1]
    assert not list(output.glob("*.tmp*"))


def assert_equal(mine, theirs):
    """The same plain data and tensors, bit for bit."""
    if isinstance(mine, torch.Tensor):
        assert torch.equal(mine, theirs)
    elif isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert_equal(mine[name], theirs[name])
    elif isinstance(mine, list):
        for one, other in zip(mine, theirs, strict=True):
            assert_equal(one, other)
    else:
        assert mine == theirs


def test_a_run_at_its_end_has_nothing_left_to_do(straight, console):
    before = weights(straight / "model.ckpt")
    run_training(config_of(), TrainingOptions(straight, resume="auto"), console)
    assert_equal(weights(straight / "model.ckpt"), before)


def test_ctrl_c_saves_and_says_how_to_go_on(stubs, console, tmp_path):
    add = TrainStep.add

    def interrupted(self: TrainStep, window):
        if self.progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        add(self, window)

    before = signal.getsignal(signal.SIGINT)  # ignored, where tests run in the background
    stubs.setattr(TrainStep, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(config_of(), TrainingOptions(tmp_path), console)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["training"]["step"] == 3
    assert "stopped after step 3 of 10; go on with --resume auto" in console.file.getvalue()
    assert signal.getsignal(signal.SIGINT) is before


def test_another_configuration_or_number_of_processes_is_refused(stubs, straight):
    last, config = straight / "last.ckpt", config_of()
    other = config.model_copy(
        update={"optimizer": config.optimizer.model_copy(update={"learning_rate": 1e-3})}
    )
    with pytest.raises(ValueError, match=r"optimizer.learning_rate was 0.0002 and is 0.001"):
        resume.read_training(last, other, Ranks())
    with pytest.raises(ValueError, match="made with 1 processes, but this is a run of 2"):
        resume.read_training(last, config, Ranks(count=2))
    with pytest.raises(ValueError, match="holds weights, but no training"):
        resume.read_training(straight / "model.ckpt", config, Ranks())
    free = config.model_copy(
        update={"training": config.training.model_copy(update={"workers": 2, "loggers": ()})}
    )
    assert resume.read_training(last, free, Ranks())["training"]["step"] == 10


def test_a_full_disk_is_named_and_the_last_good_checkpoint_survives(
    stubs, console, tmp_path, monkeypatch
):
    class FullDisk:
        def __init__(self) -> None:
            self.saves, self.save = 0, torch.save

        def __call__(self, content, file):
            self.saves += 1
            if self.saves > 1:
                raise OSError(28, "No space left on device")
            self.save(content, file)

    monkeypatch.setattr("leapai.checkpoints.torch.save", FullDisk())
    with pytest.raises(OSError, match=r"last.ckpt cannot be written: No space left on device"):
        run_training(config_of(), TrainingOptions(tmp_path), console)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["training"]["step"] == 4
