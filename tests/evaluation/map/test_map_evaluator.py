"""The road judged while drives stream: truth from maps, drives without one, order and ranks."""

import io

import numpy as np
import pytest
from rich.console import Console

from leapai.data.log import DrivingLog
from leapai.data.static_labels import rasterise
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.evaluation.map.map_evaluator import MapEvaluator, merged_map_metrics
from leapai.report.terminal import map_tables
from leapai.streaming.sensor_health import health_of
from leapai.streaming.step_result import StepResult
from tests.evaluation.map import roads
from tests.scenes import ROAD_MAP, joint_config, make_frame, seeded_model, static_config

CONFIG = joint_config(static={**joint_config().static.model_dump(), "cell_m": 0.2})
REGION = CONFIG.static.region()


class MappedLog(DrivingLog):
    """Three frames of `tests.scenes` as a drive."""

    def __init__(self, name, vector_map=ROAD_MAP, seed=0):
        self.name, self.seed, self._map = name, seed, vector_map

    @property
    def timestamps_us(self):
        return np.array([make_frame(i).timestamp_us for i in range(3)])

    def __getitem__(self, index):
        return make_frame(index, sequence=self.name, seed=self.seed)

    def vector_map(self):
        return self._map


class PartlyMapped(MappedLog):
    """Its map tells of no kerbs."""

    static_classes = ("SolidLine",)


def step(frame, logits):
    """Predictions as of a network."""
    logits = np.asarray(logits, np.float32)
    return StepResult(frame, None, None, logits, REGION, None, health_of(frame, None), frame)


def gt_itself(frame):
    """Logits of a network that knows the map."""
    labels = rasterise(ROAD_MAP, frame.ego2global, REGION)
    return 40.0 * np.concatenate([labels.lane_markings, labels.road_elements]) - 20.0


def noise(frame):
    """Logits of one that knows nothing."""
    shape = (14, REGION.rows, REGION.columns)
    smooth = np.random.default_rng(frame.timestamp_us).normal(size=(*shape[:1], 28, 52))
    return np.kron(smooth, np.ones((8, 8)))[:, : shape[1], : shape[2]] * 2 - 3


def sparse_noise(frame):
    """The same with few marks, so that tracing its lines is quick."""
    return noise(frame) - 2.4


def tally(logs, logits=gt_itself, frames=3):
    evaluate = MapEvaluator(CONFIG)
    for log in logs:
        add = evaluate.of_sequence(log)
        for index in range(frames):
            frame = log[index]
            add(step(frame, logits(frame)))
    return evaluate.tally


def test_a_network_that_says_the_map_itself_is_perfect():
    metrics = merged_map_metrics([tally([MappedLog("one")])])
    assert (metrics.frames, metrics.labelled_frames) == (3, 3)
    assert metrics.iou.lane_markings == metrics.iou.road_elements == 1
    assert metrics.flip_rate.lane_markings == pytest.approx(0, abs=0.01)
    assert metrics.lines["0.25 m"]["all"].f1 > 0.98
    assert metrics.hidden_cells > 0  # the frames' random returns stand in the way


def test_a_network_that_says_another_map_is_not():
    metrics = merged_map_metrics([tally([MappedLog("one")], noise)])
    assert metrics.iou.lane_markings < 0.3
    assert metrics.lines["0.5 m"]["all"].f1 < 0.5


def test_without_a_map_steadiness_alone_is_judged():
    metrics = merged_map_metrics([tally([MappedLog("one", None)], noise)])
    assert (metrics.frames, metrics.labelled_frames) == (3, 0)
    assert metrics.iou.lane_markings is None
    assert metrics.change.lane_markings > 0
    assert [table.title for table in map_tables(metrics)] == [
        "map in 3 frames, 0 with ground truth"
    ]


def test_what_a_map_does_not_tell_is_not_judged():
    metrics = merged_map_metrics([tally([PartlyMapped("one")])])
    assert metrics.classes["SolidLine"].iou == 1
    assert metrics.classes["Curb"].iou is None
    assert metrics.classes["Curb"].cells == 0


def test_neither_the_order_of_drives_nor_how_they_are_dealt_changes_a_figure():
    logs = [MappedLog("one"), MappedLog("two", None, 1), PartlyMapped("three", seed=2)]
    expected = merged_map_metrics([tally(logs, sparse_noise, 2)])
    assert 0 < expected.iou.road_elements < 0.3
    assert merged_map_metrics([tally(logs[::-1], sparse_noise, 2)]) == expected
    parts = [tally(some, sparse_noise, 2) for some in (logs[1:], logs[:1])]
    assert merged_map_metrics(parts) == expected


def test_a_stream_is_judged_with_its_road_where_it_says_one():
    config = static_config()
    metrics = evaluate_stream(seeded_model(config), config, [MappedLog("one")], max_frames=2)
    assert metrics.detection.mean_ap is None
    assert (metrics.road.frames, metrics.road.labelled_frames) == (2, 2)
    assert metrics.road.iou.lane_markings is not None


def test_tables_fit_a_narrow_terminal():
    console = Console(record=True, width=80, file=io.StringIO())
    for table in map_tables(merged_map_metrics([tally([MappedLog("one")])])):
        console.print(table)
    for table in map_tables(roads.metrics(*roads.random_frames(0))):
        console.print(table)
    text = console.export_text()
    for words in ("hidden", "0-30 m", "4-10 m aside", "Curb", "LeftSolidRightDashed", "all"):
        assert words in text
    assert "…" not in text
