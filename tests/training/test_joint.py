"""Both tasks in one run, one alone, and the second step of the static one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from leapai.checkpoints import load_checkpoint
from leapai.config.checks import TRUNK_MODULES
from leapai.config.options import TrainingOptions
from leapai.models.build import build_model
from leapai.training import train_step, training_data, window_losses
from leapai.training.train import run_training
from tests.scenes import JOINT, ROAD_ALONE
from tests.training.runs import StubLog, stub_logs, training_config, weights

SINGLE = {"enable_dynamic_temporal": False, "enable_static_temporal": False}


def joint(**changes):
    return training_config(**(JOINT | SINGLE | changes))


def last_losses(folder):
    return json.loads((folder / "train.jsonl").read_text().splitlines()[-1])["losses"]


def test_one_batch_serves_both_tasks_and_one_of_them_alone_too(stubs, console, tmp_path):
    """Drive 0 has a map, drive 1 has none; both have objects."""
    config = joint(finetune_steps=4, max_steps=4)
    run_training(config, TrainingOptions(tmp_path / "both"), console)
    losses = last_losses(tmp_path / "both")
    assert losses.keys() >= {"class", "box", "static_cross_entropy", "static_dice", "total"}
    assert all(np.isfinite(value) for value in losses.values())
    parts = sum(losses[name] for name in ("static_cross_entropy", "static_dice"))
    assert 0.67 * parts < losses["total"]
    load_checkpoint(tmp_path / "both" / "model.ckpt", build_model(config))
    alone = training_config(**(ROAD_ALONE | SINGLE), finetune_steps=4, max_steps=4)
    run_training(alone, TrainingOptions(tmp_path / "alone"), console)
    losses = last_losses(tmp_path / "alone")
    assert set(losses) == {"static_cross_entropy", "static_dice", "total"}
    assert losses["total"] == pytest.approx(sum(losses.values()) - losses["total"], rel=1e-5)


def test_a_drive_without_a_map_trains_the_objects_only(stubs, console, tmp_path):
    stubs.setattr(training_data, "open_cached_logs", lambda *_, **__: [StubLog(1, 6)])
    seen = {}

    class Watched(window_losses.StaticCriterion):
        def __call__(self, predictions, targets):
            seen["known"] = bool(targets.known.any())
            return super().__call__(predictions, targets)

    stubs.setattr(window_losses, "StaticCriterion", Watched)
    config = joint(finetune_steps=1, max_steps=1)
    torch.manual_seed(config.training.seed)
    before = build_model(config).state_dict()
    run_training(config, TrainingOptions(tmp_path), console)
    after = weights(tmp_path / "model.ckpt")
    assert seen == {"known": False}
    heads = {n for n in after if n.endswith("weight") and after[n].dim() > 1}
    changed = {n.partition(".")[0] for n in heads if not torch.equal(before[n], after[n])}
    assert "bev_dynamic_head" in changed
    decayed = 1 - 1e-6
    for name in (n for n in heads if n.startswith("bev_static")):  # by weight decay at most
        assert float((after[name] / before[name]).nanmedian()) > decayed


def test_step_two_static_from_step_one_with_cached_features(stubs, console, tmp_path):
    config = joint(finetune_steps=1, max_steps=1)
    run_training(config, TrainingOptions(tmp_path / "one"), console)
    second = training_config(
        **ROAD_ALONE,
        freeze_module_schedules=dict.fromkeys(TRUNK_MODULES, 0),
        cache={"folder": str(tmp_path / "cache"), "features_gb": 0.1, "feature_variants": 2},
    )
    options = TrainingOptions(tmp_path / "two", checkpoint=tmp_path / "one" / "model.ckpt")
    run_training(second, options, console)
    printed = console.file.getvalue()
    assert "new, as built" in printed
    assert "bev_static_temporal_fusion" in printed
    assert "left out" in printed
    one, two = (weights(tmp_path / n / "model.ckpt") for n in ("one", "two"))
    assert all(torch.equal(v, two[n]) for n, v in one.items() if n.split(".")[0] in TRUNK_MODULES)
    learnt = {n.split(".")[0] for n in one if n in two and not torch.equal(one[n], two[n])}
    assert learnt == {"bev_static_neck", "bev_static_head"}
    assert 0 < last_losses(tmp_path / "two")["static_dice"] < second.loss.static.dice_weight
    assert list((tmp_path / "cache" / "features").rglob("fingerprint.json"))


def test_validation_of_the_road_alone_says_nothing_of_objects(stubs, console, tmp_path):
    stubs.undo()
    stubs.setattr(training_data, "open_cached_logs", stub_logs)
    config = training_config(
        **ROAD_ALONE,
        finetune_steps=1,
        max_steps=1,
        training={"workers": 0, "validation_frames": 2},
    )
    run_training(config, TrainingOptions(tmp_path), console)
    assert "validation at step 1" in console.file.getvalue()
    assert "mAP" not in console.file.getvalue()
    assert (tmp_path / "pictures" / "step_000001.png").stat().st_size > 1_000


def test_the_road_is_learnt_in_a_few_steps(stubs, console, tmp_path):
    stubs.setattr(training_data, "open_cached_logs", lambda *_, **__: [StubLog(0, 2)])
    config = training_config(
        **(ROAD_ALONE | SINGLE),
        finetune_steps=30,
        max_steps=30,
        optimizer={"learning_rate": 8e-3, "warmup_steps": 5},
        batch_sizes={"train": 1, "val": 1},
    )
    run_training(config, TrainingOptions(tmp_path), console)
    lines = [json.loads(x) for x in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert lines[-1]["losses"]["total"] < 0.8 * lines[0]["losses"]["total"]


def test_what_was_said_a_frame_ago_counts_and_is_forgotten_with_a_skipped_step(
    stubs, console, tmp_path
):
    """Also where the frame before had no gradient."""
    calls, forgot = [], []
    criterion, begin = window_losses.TemporalConsistencyLoss, train_step.TrainStep._begin

    class Watched(criterion):
        def __call__(self, predictions, batch):
            calls.append((int(self.last.timestamp_us[0]), int(batch.timestamp_us[0])))
            parts = super().__call__(predictions, batch)
            return parts | {"total": parts["total"] * (math.nan if len(calls) == 1 else 1)}

    stubs.setattr(window_losses, "TemporalConsistencyLoss", Watched)
    stubs.setattr(
        train_step.TrainStep,
        "_begin",
        lambda self: (begin(self), forgot.append(self.losses.consistency_loss.last is None)),
    )
    config = training_config(
        **(ROAD_ALONE | SINGLE),
        finetune_steps=3,
        max_steps=3,
        streaming={"clip_frames": 20, "frames_without_gradient": 1, "frames_with_gradient": 1},
        loss={"static": {"steadiness_weight": 3.0}},
    )
    run_training(config, TrainingOptions(tmp_path), console)
    assert len(calls) == 3
    for before, now in calls:
        assert before == now - 100_000
    assert forgot == [True, True, False]
    assert last_losses(tmp_path)["static_steadiness"] > 0
