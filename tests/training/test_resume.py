"""A run that stopped and went on is one that never stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import safetensors.torch
import torch

from leapai.checkpoints import header, read_checkpoint, write_checkpoint
from leapai.config.options import TrainingOptions
from leapai.distributed import Ranks
from leapai.training import resume, training_data, validating
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from tests.scenes import JOINT, small_config
from tests.training.runs import in_processes, stub_logs, training_config, weights

STEPS, STOP_IN_STEP = 7, 4
"""The stop comes between the checkpoints after steps 3 and 6."""


def config_of():
    return training_config(
        **JOINT,
        finetune_steps=STEPS,
        max_steps=STEPS,
        freeze_module_schedules={"fuser": 0, "stage1_backbone0": 2, "stage1_neck0": 6},
        training={"workers": 0, "checkpoint_every": 3},
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
def never_stopped(tmp_path_factory):
    """Folder of the run that never stopped."""
    output = tmp_path_factory.mktemp("runs") / "straight"
    assert in_processes(one_run, [(0, output)]) == [0]
    return output


@pytest.fixture
def straight(never_stopped, stubs):
    """The run that never stopped, where others may go on with stub drives."""
    return never_stopped


@pytest.mark.parametrize(
    ("number", "status", "saved_at"),
    [(signal.SIGKILL, -signal.SIGKILL, 3), (signal.SIGTERM, 128 + signal.SIGTERM, 5)],
)
def test_what_goes_on_is_bit_for_bit_what_never_stopped(
    straight, console, tmp_path, number, status, saved_at
):
    output = tmp_path / "stopped"
    assert in_processes(one_run, [(int(number), output)]) == [status]
    saved = read_checkpoint(output / "last.ckpt").content["training"]
    assert saved["step"] == saved_at
    assert not (output / "model.ckpt").exists()
    run_training(config_of(), TrainingOptions(output, resume="auto"), console)
    assert f"goes on from step {saved_at}" in console.file.getvalue()
    mine, theirs = (read_checkpoint(p / "last.ckpt").content for p in (output, straight))
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
        if self.progress.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        add(self, window)

    before = signal.getsignal(signal.SIGINT)  # ignored, where tests run in the background
    stubs.setattr(TrainStep, "add", interrupted)
    with pytest.raises(KeyboardInterrupt) as stop:
        run_training(config_of(), TrainingOptions(tmp_path), console)
    assert read_checkpoint(tmp_path / "last.ckpt").content["training"]["step"] == 2
    assert str(stop.value) == (
        f"after step 2 of 7; {tmp_path / 'last.ckpt'} keeps the training; go on with: --resume auto"
    )
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
    assert resume.read_training(last, free, Ranks())["training"]["step"] == STEPS


def test_where_the_last_checkpoint_is_damaged_the_one_before_is_used_and_said(
    straight, console, tmp_path
):
    output = tmp_path / "damaged"
    assert in_processes(one_run, [(int(signal.SIGTERM), output)]) == [128 + signal.SIGTERM]
    last = output / "last.ckpt"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    run_training(config_of(), TrainingOptions(output, resume="auto"), console)
    said = " ".join(console.file.getvalue().split())
    assert "changed or damaged in it" in said
    assert "before_last.ckpt is used, which was written before it" in said
    assert "goes on from step 3 of" in said
    mine, theirs = (read_checkpoint(p / "last.ckpt").content for p in (output, straight))
    assert_equal(mine["state_dict"], theirs["state_dict"])
    assert_equal(mine["training"], theirs["training"])


@pytest.mark.parametrize("harm", ["gone", "empty", "cut"])
def test_a_last_checkpoint_that_is_no_more_is_replaced_by_the_one_before(tmp_path, harm):
    last, before = tmp_path / "last.ckpt", tmp_path / "before_last.ckpt"
    write_checkpoint(before, {"state_dict": {"w": torch.ones(1)}})
    assert TrainingOptions(tmp_path, resume="auto").resume_from() == last
    if harm != "gone":
        last.write_bytes(b"" if harm == "empty" else before.read_bytes()[:-3])
    checkpoint, damage = resume.undamaged(last)
    assert checkpoint.path == before
    assert "before_last.ckpt is used" in damage
    last.write_bytes(before.read_bytes())
    before.write_bytes(b"")
    assert resume.undamaged(last)[1] == ""
    last.write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        resume.undamaged(last)


def test_a_section_of_another_program_is_one_line(tmp_path):
    content = {"state_dict": {"w": torch.ones(1)}, "config": {}}
    for training in ([], {"ranks": [], "step": "x"}, {"step": 1}, None):
        write_checkpoint(tmp_path / "last.ckpt", {**content, "training": training})
        with pytest.raises(ValueError, match=r"last.ckpt: its section 'training' is not as"):
            resume.read_training(tmp_path / "last.ckpt", config_of(), Ranks())


def test_a_full_disk_is_named_and_the_last_good_checkpoint_survives(
    stubs, console, tmp_path, monkeypatch
):
    class FullDisk:
        def __init__(self) -> None:
            self.saves, self.save = 0, safetensors.torch.save_file

        def __call__(self, *given):
            self.saves += 1
            if self.saves > 1:
                raise OSError(28, "No space left on device")
            self.save(*given)

    monkeypatch.setattr("safetensors.torch.save_file", FullDisk())
    with pytest.raises(OSError, match=r"last.ckpt cannot be written: No space left on device"):
        run_training(config_of(), TrainingOptions(tmp_path), console)
    assert read_checkpoint(tmp_path / "last.ckpt").content["training"]["step"] == 3


def test_a_checkpoint_of_other_classes_is_not_replaced_by_the_one_before(tmp_path):
    content = {"state_dict": {"w": torch.zeros(1)}, **header(small_config())}
    write_checkpoint(tmp_path / "before_last.ckpt", content)
    write_checkpoint(tmp_path / "last.ckpt", {**content, "class_names": ["tree"]})
    with pytest.raises(ValueError, match=r"last\.ckpt: its class_names are tree"):
        resume.undamaged(tmp_path / "last.ckpt")
