"""`evaluate_stream`: figures of a stream, from a model that goes on training afterwards."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from leapai.data.log import DrivingLog
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.report.terminal import run_tables
from leapai.streaming.session import StreamSession
from leapai.types import Labels
from tests.evaluation.made_up import gt
from tests.scenes import make_batch, make_frame, seeded_model, small_config

CONFIG = small_config()
CONFIG = CONFIG.model_copy(
    update={"evaluation": CONFIG.evaluation.model_copy(update={"min_score": 0.0})}
)
MODEL = seeded_model(CONFIG)


class LabelledLog(DrivingLog):
    """Four frames whose truth is what `MODEL` itself says of them: its figures are perfect."""

    def __init__(self, name, seed, unlabelled=()):
        self.name, self.seed, self.unlabelled = name, seed, unlabelled
        self.session = StreamSession(MODEL, CONFIG)
        self.labels = [self._labels(index) for index in range(4)]

    def _labels(self, index):
        detections = self.session.step(self._bare(index)).detections
        count = len(detections)
        return replace(
            Labels.unlabelled(detections.boxes, detections.class_id),
            velocity_mps=detections.velocity_mps,
            velocity_valid=np.ones(count, bool),
            occlusion_level=detections.occlusion_level,
        )

    def _bare(self, index):
        return make_frame(index, sequence=self.name, seed=self.seed)

    @property
    def timestamps_us(self):
        return np.array([self._bare(index).timestamp_us for index in range(4)])

    def __getitem__(self, index):
        labels = None if index in self.unlabelled else self.labels[index]
        return replace(self._bare(index), labels=labels)


@pytest.fixture(scope="module")
def logs():
    return [LabelledLog("one", 0), LabelledLog("two", 1)]


def test_what_the_stream_says_is_judged(logs):
    metrics = evaluate_stream(MODEL, CONFIG, logs).detection
    assert metrics.frames == 8
    assert metrics.truths > 20
    assert metrics.mean_ap == pytest.approx(1, abs=1e-6)
    assert metrics.errors.velocity_mps in (None, pytest.approx(0, abs=1e-4))


def test_tables_fit_a_narrow_terminal(logs):
    console = Console(record=True, width=80, file=io.StringIO())
    labels = gt([[5.0 + 4 * i, 0] for i in range(8)], class_id=range(8))
    log = LabelledLog("one", 0)
    log.labels = [labels] * 4
    for table in run_tables(evaluate_stream(MODEL, CONFIG, [log])):
        console.print(table)
    text = console.export_text()
    for words in ("mAP", "riderless_non_motor", "12-24 m", "HeavilyOccluded", "hidden"):
        assert words in text
    assert "…" not in text


def test_the_order_of_drives_is_nothing_and_max_frames_counts_in_each(logs):
    metrics = evaluate_stream(MODEL, CONFIG, logs, max_frames=2).detection
    assert metrics.frames == 4
    assert evaluate_stream(MODEL, CONFIG, logs[::-1], max_frames=2).detection == metrics


def test_frames_without_labels_are_streamed_and_not_judged(logs):
    half = LabelledLog("one", 0, unlabelled=(0, 2))
    metrics = evaluate_stream(MODEL, CONFIG, [half]).detection
    assert metrics.frames == 2
    assert metrics.mean_ap == pytest.approx(1, abs=1e-6)  # memory came through frames 0 and 2
    none = evaluate_stream(MODEL, CONFIG, [LabelledLog("one", 0, unlabelled=range(4))]).detection
    assert none.frames == 0
    assert none.mean_ap is None


def test_training_goes_on_as_if_nothing_had_been(logs):
    model = seeded_model(CONFIG).train()
    model.fuser.eval()  # as a frozen module is
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    evaluate_stream(model, CONFIG, logs[:1], max_frames=2)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    for _ in range(2):  # nothing that streaming left behind stands in the way of a gradient
        predictions, _ = model(make_batch(0), model.initial_state(1))
        predictions.dynamic.boxes.sum().backward()
