"""Two processes against one: the same gradients, statistics and steps."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from leapai.checkpoints import read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.data import samplers
from leapai.data.augmentation import Augmentation, apply
from leapai.distributed import Ranks, all_gather, any_rank, current_ranks, joined_ranks
from leapai.training import train_step, training_data, validating
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from leapai.types import Frame
from tests.training.runs import (
    NO_AUGMENTATION,
    StubLog,
    as_rank,
    free_port,
    in_processes,
    training_config,
)


def lacks_back(index: int, frame: Frame) -> Frame:
    """The only camera of its group failed, and nothing is labelled in the first frame."""
    cameras = tuple(
        replace(c, image=None) if c.group in ("back", "front_wide") else c for c in frame.cameras
    )
    return replace(frame, cameras=cameras, labels=None if index == 0 else frame.labels)


def unequal_logs(data: str, **_: object) -> list[StubLog]:
    return [StubLog(0, frames=6), StubLog(1, frames=6, change=lacks_back)]


def config_of(streams: int):
    return training_config(
        batch_sizes={"train": streams, "val": 1},
        streaming={"clip_frames": 6, "frames_without_gradient": 1, "frames_with_gradient": 2},
        augmentation=NO_AUGMENTATION,
        temporal_optimization={"random_sampling": False},
        freeze_module_schedules={"stage1_backbone0": 0},
        accumulate_grad_batches=2,
    )


def record_gradients(output: Path, streams: int) -> None:
    """Runs one step; each rank writes its gradients and batch norm's statistics."""
    training_data.open_cached_logs = unequal_logs
    validating.Validator.validate = lambda *_: None

    def keep(self: TrainStep) -> None:
        gradients = {n: p.grad for n, p in self.model.named_parameters() if p.grad is not None}
        content = {"gradients": gradients, "buffers": dict(self.model.named_buffers())}
        torch.save(content, output / f"rank{self.ranks.rank}.pt")
        self.progress.step = self.config.max_steps
        os.kill(os.getpid(), signal.SIGTERM)  # the loop ends after this step

    TrainStep._step = keep
    train_step.wrapped_for = counting_reductions(reductions := [])
    add = TrainStep.add

    def counted(self: TrainStep, window) -> None:
        before = len(reductions)
        add(self, window)
        windows.append(len(reductions) - before)

    TrainStep.add, windows = counted, []
    with pytest.raises(SystemExit):
        run_training(config_of(streams), TrainingOptions(output / "out"))
    (output / f"reductions{os.environ.get('RANK', '')}.json").write_text(json.dumps(windows))


def counting_reductions(reductions: list[int]):
    """`wrapped_for`, whose DDP notes how many numbers each exchange of gradients has."""
    wrapped_for = train_step.wrapped_for

    def noted(_, bucket):
        reductions.append(bucket.buffer().numel())
        return allreduce_hook(None, bucket)

    def wrapped(ranks: Ranks, losses):
        module = wrapped_for(ranks, losses)
        if ranks.count > 1:
            module.register_comm_hook(None, noted)
        return module

    return wrapped


def one_of(count: int, rank: int, port: int, output: Path) -> None:
    as_rank(rank, count, port)
    record_gradients(output, 2 // count)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    joint, split = tmp_path_factory.mktemp("joint"), tmp_path_factory.mktemp("split")
    port = free_port()
    runs = [(1, 0, 0, joint), (2, 0, port, split), (2, 1, port, split)]
    assert in_processes(one_of, runs) == [0, 0, 0]
    windows = [json.loads((split / f"reductions{rank}.json").read_text()) for rank in "01"]
    assert windows[0] == windows[1]
    assert windows[0][0] == 0, "gradients are exchanged by the last window of a step alone"
    assert windows[0][1] > 0
    return [torch.load(p) for p in (joint / "rank0.pt", split / "rank0.pt", split / "rank1.pt")]


def test_two_ranks_have_the_gradients_of_one_on_the_joint_batch(recorded):
    joint, first, second = (r["gradients"] for r in recorded)
    used = {name for name, g in joint.items() if g.abs().sum() > 0}
    assert len(used) > 200
    assert any(name.startswith("stage1_backbone2") for name in used)
    assert not any(name.startswith("stage1_backbone0") for name in joint)
    for name in used:
        assert torch.equal(first[name], second[name])
        wrong = (first[name] - joint[name]).norm() / joint[name].norm()
        # Sums in another order: rounding, which batch norms and ReLUs of 30 layers make larger.
        limit = 1e-4 if name.startswith("bev_dynamic_head") else 1e-2
        assert wrong < limit or joint[name].norm() < 1e-6, name


def test_two_ranks_have_the_statistics_of_one(recorded):
    joint, first, second = (r["buffers"] for r in recorded)
    assert any("running_var" in name for name in joint)
    for name in joint:
        torch.testing.assert_close(first[name], joint[name], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(second[name], first[name])


def spoilt(frame: Frame, augmentation: Augmentation, *, label_pixels: bool) -> Frame:
    """In one frame of the second drive, which the second rank sees first, sizes in labels become
    NaN after the frame was checked."""
    frame = apply(frame, augmentation, label_pixels=label_pixels)
    boxes = frame.labels.boxes.copy()
    boxes[:, :2] = 1.0
    is_spoilt = (frame.sequence, frame.timestamp_us) == ("drive1", 1_000_000 + 3 * 100_000)
    boxes[:, 3:6] = np.nan if is_spoilt else 1.0
    return replace(frame, labels=replace(frame.labels, boxes=boxes))


def stop_and_go_on(rank: int, port: int, output: Path) -> None:
    """Four steps at once, and four steps with a stop after the third."""
    as_rank(rank, 2, port)
    training_data.open_cached_logs = lambda *_, **__: [StubLog(0), StubLog(1)]
    samplers.apply = spoilt
    validating.Validator.validate = lambda *_: None
    config = training_config(
        batch_sizes={"train": 1, "val": 1},
        finetune_steps=4,
        max_steps=4,
        # Now and then a rank sees by one kind of sensor only: its graph must still meet the others.
        augmentation={"lidar_dropout": 0.3, "cameras_dropout": 0.3, "camera_dropout": 0.2},
    )
    with joined_ranks():
        run_training(config, TrainingOptions(output / "straight"))
        add = TrainStep.add

        def interrupted(self: TrainStep, window):
            if self.progress.step == 2 and rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)  # to one of them: both stop after this step
            add(self, window)

        TrainStep.add = interrupted
        with pytest.raises(SystemExit, match="143"):
            run_training(config, TrainingOptions(output / "stopped"))
        all_gather(None)  # the checkpoint is there
        TrainStep.add = add
        run_training(config, TrainingOptions(output / "stopped", resume="auto"))


@pytest.mark.processes
def test_two_ranks_skip_together_stop_together_and_go_on_as_if_they_had_not(tmp_path):
    port = free_port()
    assert in_processes(stop_and_go_on, [(rank, port, tmp_path) for rank in range(2)]) == [0, 0]
    straight, stopped = (
        read_checkpoint(tmp_path / name / "last.ckpt").content for name in ("straight", "stopped")
    )
    assert 1 <= straight["training"]["skipped"] < 4
    assert len(straight["training"]["ranks"]) == 2
    assert stopped["training"]["skipped"] == straight["training"]["skipped"]
    for name, value in straight["state_dict"].items():
        assert torch.equal(value, stopped["state_dict"][name]), name


def test_alone_nobody_is_asked(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert current_ranks() == Ranks()
    assert any_rank(True)
    assert not any_rank(False)
    assert all_gather("mine") == ["mine"]
