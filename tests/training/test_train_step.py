"""A step, and what happens when it is not finite."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config.options import TrainingOptions
from leapai.data import samplers
from leapai.data.augmentation import Augmentation, apply
from leapai.training import training_data
from leapai.training.train import run_training
from leapai.training.train_step import SKIPS_IN_A_ROW, TrainStep
from leapai.training.window_losses import WindowLosses
from leapai.types import Frame
from tests.training.runs import StubLog, training_config, weights


def spoilt(stubs, *indices: int) -> None:
    """Trains on two drives; in these frames of the first, sizes in labels become NaN after the
    frame was checked."""

    def spoiling(frame: Frame, augmentation: Augmentation, **options) -> Frame:
        frame = apply(frame, augmentation, **options)
        index = (frame.timestamp_us - 1_000_000) // 100_000
        if frame.sequence != "drive0" or index not in indices:
            return frame
        boxes = frame.labels.boxes.copy()
        boxes[:, :2] = 1.0  # inside the range, so that it counts
        boxes[:, 3:6] = np.nan
        return replace(frame, labels=replace(frame.labels, boxes=boxes))

    stubs.setattr(samplers, "apply", spoiling)
    stubs.setattr(
        training_data, "open_cached_logs", lambda *_, **__: [StubLog(0, 7), StubLog(1, 7)]
    )


def test_a_step_that_is_not_finite_leaves_no_trace_and_training_goes_on(stubs, console, tmp_path):
    spoilt(stubs, 3)
    seen, step = [], TrainStep._step

    def watched(self: TrainStep) -> None:
        before = {n: v.clone() for n, v in self.model.state_dict().items()}
        statistics = {b.data_ptr(): kept for b, kept in self._kept_statistics}
        for name, buffer in self.model.named_buffers():
            if buffer.data_ptr() in statistics:  # as they were when the step began
                before[name] = statistics[buffer.data_ptr()].clone()
        skipped = self.progress.skipped
        step(self)
        after = self.model.state_dict()
        same = all(torch.equal(before[n], after[n]) for n in after)
        seen.append((self.progress.skipped > skipped, same, self.losses.memory is None))

    stubs.setattr(TrainStep, "_step", watched)
    run_training(training_config(), TrainingOptions(tmp_path / "out"), console)
    skipped = [s for s in seen if s[0]]
    assert 1 <= len(skipped) < 8
    assert all(same and forgot for _, same, forgot in skipped)
    assert not any(same or forgot for was_skipped, same, forgot in seen if not was_skipped)
    printed = console.file.getvalue()
    assert printed.count("skipped, its loss or gradients are not finite") == len(skipped)
    assert "drive0 at 1300000 us" in printed
    line = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[-1])
    assert line["skipped"] == len(skipped)
    assert np.isfinite(line["losses"]["total"])
    assert all(v.isfinite().all() for v in weights(tmp_path / "out" / "model.ckpt").values())


def test_ten_in_a_row_stop_with_the_names_of_the_frames(stubs, console, tmp_path):
    spoilt(stubs, *range(7))
    stubs.setattr(training_data, "open_cached_logs", lambda *_, **__: [StubLog(0, 7)])
    config = training_config(finetune_steps=20, max_steps=20)
    with pytest.raises(ValueError, match=r"10 steps in a row.*drive0 at 1\d00000 us"):
        run_training(config, TrainingOptions(tmp_path / "out"), console)
    assert console.file.getvalue().count(" skipped, its loss") == SKIPS_IN_A_ROW - 1


def test_accumulated_windows_make_one_step(stubs, console, tmp_path):
    config = training_config(accumulate_grad_batches=3, finetune_steps=2, max_steps=2)
    calls, add = [], TrainStep.add

    def watched(self: TrainStep, window) -> None:
        add(self, window)
        calls.append((len(calls), self.progress.step))

    stubs.setattr(TrainStep, "add", watched)
    run_training(config, TrainingOptions(tmp_path / "out"), console)
    assert calls == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 2)]


def test_the_first_frames_of_a_window_have_no_gradient_and_fill_the_memory(
    stubs, console, tmp_path
):
    config = training_config(
        streaming={"clip_frames": 8, "frames_without_gradient": 2, "frames_with_gradient": 2},
        finetune_steps=1,
        max_steps=1,
    )
    calls, forward = [], WindowLosses._frame

    def watched(self: WindowLosses, batch, step, index):
        calls.append((index, int(self.memory.valid.sum())))
        return forward(self, batch, step, index)

    stubs.setattr(WindowLosses, "_frame", watched)
    run_training(config, TrainingOptions(tmp_path / "out"), console)
    slots = config.topk_query * 2
    assert calls == [(2, 2 * slots), (3, 3 * slots)]


@pytest.mark.parametrize("left_out", [{"cameras": ()}, {"points": None}])
def test_a_rig_without_cameras_and_one_without_lidar_train(stubs, console, tmp_path, left_out):
    logs = [StubLog(seed, 7, lambda _, frame: replace(frame, **left_out)) for seed in (0, 1)]
    stubs.setattr(training_data, "open_cached_logs", lambda *_, **__: logs)
    before = tmp_path / "begin"
    run_training(training_config(), TrainingOptions(before, steps=1), console)
    run_training(training_config(), TrainingOptions(tmp_path / "out", steps=3), console)
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert all(np.isfinite(list(json.loads(line)["losses"].values())).all() for line in lines)
    moved = weights(before / "model.ckpt"), weights(tmp_path / "out" / "model.ckpt")
    assert any(not torch.equal(value, moved[1][name]) for name, value in moved[0].items())
