"""A run as a user sees it: its folder, its options, its refusals."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from leapai.checkpoints import load_checkpoint, read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.training import training_data, validating
from leapai.training.adapted_config import adapted
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from leapai.types import Frame
from tests.scenes import JOINT, ROAD_ALONE
from tests.training.runs import StubLog, stub_logs, training_config, weights

WORK_S = ((StubLog, "__getitem__"), (Perception, "forward"), (TrainStep, "_backward"))


def count_the_time(stubs):
    """A clock that only work moves, a second each: what the machine does beside it, it cannot
    see."""
    done = []

    def slow(work):
        def counted(*arguments, **options):
            done.append(work)
            return work(*arguments, **options)

        return counted

    for owner, name in WORK_S:
        stubs.setattr(owner, name, slow(getattr(owner, name)))
    for name in ("progress", "reporting"):
        stubs.setattr(f"leapai.training.{name}.now", lambda: float(len(done)))


def test_the_folder_holds_weights_events_lines_and_a_picture(stubs, console, tmp_path):
    stubs.undo()
    stubs.setattr(training_data, "open_cached_logs", stub_logs)
    count_the_time(stubs)
    config = training_config(training={"workers": 0, "validation_frames": 2})
    output = tmp_path / "out"
    run_training(config, TrainingOptions(output, steps=5), console)
    load_checkpoint(output / "model.ckpt", build_model(config))
    metrics = read_checkpoint(output / "model.ckpt").metrics
    assert 0 <= metrics["mAP"] <= 1
    assert (output / "pictures" / "step_000005.png").stat().st_size > 10_000
    assert list((output / "events").glob("events.out.tfevents*"))
    (line,) = [json.loads(x) for x in (output / "train.jsonl").read_text().splitlines()]
    assert line["step"] == 5
    assert line["losses"].keys() >= {"class", "box", "velocity", "noisy_class", "total"}
    stages = {"data", "forward", "forward without gradient", "backward", "optimiser"}
    assert line["seconds_of"].keys() >= stages
    assert sum(line["seconds_of"].values()) == pytest.approx(line["seconds_a_step"], rel=0.2)
    assert line["frames_per_s"] == pytest.approx(4 / line["seconds_a_step"])
    waiting = line["seconds_of"]["data"] / line["seconds_a_step"]
    assert line["waiting"] == pytest.approx(waiting)
    words = f"{line['frames_per_s']:.1f} frames/s, {line['waiting']:.0%} waiting for frames"
    assert words in console.file.getvalue()
    assert line["seconds_of"]["backward"] == 1.0
    printed = console.file.getvalue()
    assert "step 5/5: loss" in printed
    assert "validation at step 5: mAP" in printed
    assert "model.ckpt" in printed


def test_learning_reduces_the_loss(stubs, console, tmp_path):
    stubs.setattr(
        "leapai.training.training_data.open_cached_logs", lambda *_, **__: [StubLog(0, 2)]
    )
    config = training_config(
        finetune_steps=30,
        max_steps=30,
        optimizer={"learning_rate": 8e-3, "warmup_steps": 5},
        batch_sizes={"train": 1, "val": 1},
    )
    run_training(config, TrainingOptions(tmp_path), console)
    lines = [json.loads(x) for x in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines[-1]["losses"]["total"] < 0.85 * lines[0]["losses"]["total"]


def test_step_two_begins_with_the_weights_of_step_one(stubs, console, tmp_path):
    step_one = training_config(enable_dynamic_temporal=False, finetune_steps=1, max_steps=1)
    run_training(step_one, TrainingOptions(tmp_path / "one"), console)
    trunk = {"stage1_backbone*": 0, "fuser": 0}
    names = [n for n in training_config().active_modules() if not n.startswith("bev_dynamic")]
    assert len(names) > len(trunk)
    step_two = training_config(freeze_module_schedules=dict.fromkeys(names, 0))
    options = TrainingOptions(tmp_path / "two", checkpoint=tmp_path / "one" / "model.ckpt")
    run_training(step_two, options, console)
    assert "loaded" in console.file.getvalue()
    one, two = weights(tmp_path / "one" / "model.ckpt"), weights(tmp_path / "two" / "model.ckpt")
    for name, value in one.items():
        assert torch.equal(value, two[name]) == (name.split(".")[0] in names) or value.ndim == 0
    assert any(not torch.equal(v, two[n]) for n, v in one.items() if "bev_dynamic_head" in n)


def test_a_validation_leaves_no_trace_in_the_run(stubs, console, tmp_path):
    quiet = training_config(finetune_steps=4, max_steps=4)
    run_training(quiet, TrainingOptions(tmp_path / "quiet"), console)
    stubs.undo()
    stubs.setattr(training_data, "open_cached_logs", stub_logs)
    stubs.setattr(validating, "picture_of", lambda *_: None)
    often = quiet.model_copy(
        update={
            "training": quiet.training.model_copy(
                update={"validate_every": 1, "validation_frames": 1}
            )
        }
    )
    run_training(often, TrainingOptions(tmp_path / "often"), console)
    one, other = (weights(tmp_path / n / "model.ckpt") for n in ("quiet", "often"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_options_take_the_place_of_what_the_configuration_says():
    config = training_config(
        train_steps=100,
        finetune_steps=100,
        max_steps=200,
        optimizer={"warmup_steps": 50},
        freeze_module_schedules={"fuser": 0, "lidar_vfe": 101, "view_transfer": 200},
    )
    options = TrainingOptions(None, data=("synthetic:seed=3",), steps=20, workers=5)
    short = adapted(config, options)
    assert (short.max_steps, short.train_steps, short.finetune_steps) == (20, 10, 10)
    assert short.optimizer.warmup_steps == 5
    assert short.freeze_module_schedules == {"fuser": 0, "lidar_vfe": 11, "view_transfer": 20}
    assert short.data.train == "synthetic:seed=3"
    assert short.data.val == config.data.val
    assert short.training.workers == 5
    assert adapted(config, TrainingOptions(None)) == config


def mixed_logs(data: str, **_: Any) -> list[StubLog]:
    """Two drives of the source `a`; one of `b`, which lacks two of the four cameras."""
    if data == "a":
        return [StubLog(0), StubLog(1, frames=5)]
    return [StubLog(2, change=lambda _, frame: replace(frame, cameras=frame.cameras[:2]))]


def test_sources_of_different_rigs_are_mixed(stubs, console, tmp_path):
    stubs.setattr(training_data, "open_cached_logs", mixed_logs)
    config = training_config(
        finetune_steps=3, max_steps=3, streaming={"clip_frames": 2}, data={"val": "a"}
    )
    run_training(config, TrainingOptions(tmp_path, data=("a@1", "b@2")), console)
    assert " on a@1 + b@2, " in console.file.getvalue()
    saved = read_checkpoint(tmp_path / "model.ckpt")
    assert saved.content["config"]["data"]["train"] == ["a@1", "b@2"]
    again = TrainingOptions(tmp_path, data=("a@1", "b@2"), resume="auto")
    run_training(config, again, console)
    assert "goes on from step 3" in console.file.getvalue()
    with pytest.raises(ValueError, match=r"data\.train was \['a@1', 'b@2'\]"):
        run_training(config, replace(again, data=("a@1", "b@3")), console)


def unreadable(*_: Any, **__: Any) -> None:
    raise ValueError("cannot be read")


def test_a_training_that_cannot_begin_leaves_no_folder(stubs, console, tmp_path):
    options = TrainingOptions(tmp_path / "outputs" / "run")
    stubs.setattr(training_data, "open_cached_logs", unreadable)
    with pytest.raises(ValueError, match="cannot be read"):
        run_training(training_config(), options, console)
    stubs.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ValueError, match=r"needs tensorboard.*pip install 'leapai\[train\]'"):
        run_training(training_config(), options, console)
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_not_overwritten(stubs, tmp_path):
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(ValueError, match="--resume auto to go on with it, or name another folder"):
        run_training(training_config(), TrainingOptions(tmp_path))


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_built(stubs, tmp_path):
    (tmp_path / "file").touch()
    stubs.setattr("leapai.training.starting_network.build_model", None)
    with pytest.raises(ValueError, match="is a file, or lies below one; name a folder"):
        run_training(training_config(), TrainingOptions(tmp_path / "file" / "out"))


class _MaplessLog(StubLog):
    def vector_map(self) -> None:
        return None


def without_labels(index: int, frame: Frame) -> Frame:
    return replace(frame, labels=None)


@pytest.mark.parametrize("enabled", [{}, JOINT])
def test_data_without_labels_are_refused_at_once(stubs, console, tmp_path, enabled):
    logs = [StubLog(0, 3, without_labels), StubLog(1, 4, without_labels)]
    stubs.setattr(training_data, "open_cached_logs", lambda *_, **__: logs)
    config = training_config(**enabled)
    words = rf"^data\.train = '{config.data.train}': none of 7 frames looked at, of 7, has labels"
    with pytest.raises(ValueError, match=words):
        run_training(config, TrainingOptions(tmp_path / "out"), console)
    assert not list((tmp_path / "out").glob("*.ckpt"))


def test_one_labelled_frame_is_enough_to_begin():
    logs = [StubLog(0, 3, without_labels), StubLog(1, 1)]
    training_data.check_ground_truth(logs, training_config())


def test_a_static_task_alone_without_any_map_is_refused():
    logs, config = [_MaplessLog(0, 3)], training_config(**ROAD_ALONE)
    with pytest.raises(ValueError, match="no drive has a map, so there is none to learn; name"):
        training_data.check_ground_truth(logs, config)
    training_data.check_ground_truth([*logs, StubLog(0, 3)], config)  # one that has a map is enough
