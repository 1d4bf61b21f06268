"""Two processes against one: the same gradients, statistics and steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from tests.training.runs import NO_AUGMENTATION, StubLog, as_rank, free_port, training_config

from leapai.training import train
from leapai.training.distributed import any_rank, gathered, ranks_of_launch
from leapai.training.module import TrainingModule
from leapai.training.train import TrainingOptions, run_training
from leapai.types import Frame


def lacks_back(index: int, frame: Frame) -> Frame:
    """The only camera of its group failed, and nothing is labelled in the first frame."""
    cameras = tuple(
        replace(c, image=None) if c.group in ("back", "front_wide") else c for c in frame.cameras
    )
    return replace(frame, cameras=cameras, labels=None if index == 0 else frame.labels)


def unequal_logs(data: str, **_: object) -> list[StubLog]:
    return [StubLog(0, frames=6), StubLog(1, frames=6, change=lacks_back)]


def config_of(lanes: int):
    return training_config(
        batch_sizes={"train": lanes, "val": 1},
        streaming={"clip_frames": 6, "frames_without_gradient": 1, "frames_with_gradient": 2},
        augmentation=NO_AUGMENTATION,
        temporal_optimization={"random_sampling": False},
        freeze_module_schedules={"stage1_backbone0": 0},
    )


def record_gradients(output: Path, lanes: int) -> None:
    """Runs one step; each rank writes its gradients and batch norm's statistics."""
    train.open_cached_logs = unequal_logs
    train.Validator.validate = lambda *_: None

    def keep(self: TrainingModule) -> None:
        gradients = {n: p.grad for n, p in self.model.named_parameters() if p.grad is not None}
        content = {"gradients": gradients, "buffers": dict(self.model.named_buffers())}
        torch.save(content, output / f"rank{self.ranks.rank}.pt")
        self.progress.step = self.config.max_steps
        self.trainer.should_stop = True

    TrainingModule._step = keep
    run_training(config_of(lanes), TrainingOptions(output / "out"))


def one_of_two(rank: int, port: int, output: Path) -> None:
    as_rank(rank, 2, port)
    record_gradients(output, 1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    joint, split = tmp_path_factory.mktemp("joint"), tmp_path_factory.mktemp("split")
    mp.spawn(_joint, (joint,), nprocs=1)
    mp.spawn(one_of_two, (free_port(), split), nprocs=2)
    return [torch.load(p) for p in (joint / "rank0.pt", split / "rank0.pt", split / "rank1.pt")]


def _joint(_: int, output: Path) -> None:
    torch.set_num_threads(1)
    record_gradients(output, 2)


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


def test_alone_nobody_is_asked(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert ranks_of_launch().is_first
    assert any_rank(True)
    assert not any_rank(False)
    assert gathered("mine") == ["mine"]
