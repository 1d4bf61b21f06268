"""The registry of metrics: an entry shows everywhere, and every entry can be read."""

import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai.evaluation import metrics as registry
from leapai.evaluation.map.map_results import LineMetrics
from leapai.evaluation.metric_columns import (
    ACCURACY_COLUMNS,
    CLASS_COLUMNS,
    CONTINUITY_COLUMNS,
    LINE_COLUMNS,
    MAP_CLASS_COLUMNS,
    PART_COLUMNS,
)
from leapai.evaluation.metrics import RUN_METRICS, headline, run_metrics, scalars
from leapai.evaluation.run_metrics import RunMetrics
from leapai.report.page import write_report
from leapai.report.terminal import run_tables
from leapai.report.terminal_runs import runs_tables
from leapai.runs.history import RunLine, append_run, metric_columns, read_runs
from leapai.types import CLASS_NAMES, OCCLUSION_NAMES
from tests.evaluation.map import roads
from tests.made_up_runs import made_up_drive, made_up_run, write

LINE = LineMetrics(said_m=2, true_m=1, precision=0.5, recall=1, f1=0.67)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "report.md"


def text_of(*tables):
    console = Console(record=True, width=120, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


@pytest.fixture
def added(monkeypatch):
    """The example of `docs/report.md`, as one entry more."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    (metric,) = (value for value in names.values() if isinstance(value, registry.RunMetric))
    monkeypatch.setattr(registry, "RUN_METRICS", (*RUN_METRICS, metric))
    return metric


def test_one_entry_shows_in_all_six_outputs(tmp_path, added):
    drive = made_up_drive(0)
    aside = drive.detections[0].boxes + np.eye(7)[1] * 5
    drive.detections[0] = replace(drive.detections[0], boxes=aside)
    run = made_up_run([drive])
    value = run.metrics.detection.operating["all"].false_positives / run.metrics.detection.frames
    assert value > 0.5
    shown = f"{value:.3f}"

    table = text_of(*run_tables(run.metrics))
    assert "false alarms a frame" in table
    assert shown in table

    folder = write(tmp_path / "run", run)
    write_report(folder / "report.html", [folder])
    page = unescape((folder / "report.html").read_text())
    tile = re.search(r"<h2>false alarms <small>a frame</small></h2><p>(.*?)</p>", page).group(1)
    assert shown in tile

    stored = json.loads((folder / "metrics.json").read_text())
    assert stored["extra"] == {"false_per_frame": value}
    assert RunMetrics.model_validate(stored) == run.metrics

    history = tmp_path / "runs.parquet"
    append_run(history, RunLine.of(run, folder))
    assert pq.read_table(history)["false_per_frame"].to_pylist() == [value]
    lines = text_of(*runs_tables(read_runs(history), 160))
    assert "false alarms" in lines
    assert shown in lines

    assert scalars(run.metrics)["false_per_frame"] == value

    assert headline(run.metrics).endswith(f", false_per_frame {shown}")
    assert headline(scalars(run.metrics)) == headline(run.metrics)


def test_an_entry_without_a_value_is_a_dash_or_left_out(tmp_path, added):
    run = made_up_run([made_up_drive(0, labelled=False)])
    assert "extra" not in json.loads(run.metrics.model_dump_json())
    assert RunLine.of(run, tmp_path).metrics["false_per_frame"] is None
    assert headline(run.metrics) == "no labels"


def test_the_file_of_metrics_has_the_fields_of_the_results_alone():
    metrics = made_up_run([made_up_drive(0)]).metrics
    assert list(json.loads(metrics.model_dump_json())) == [
        "detection", "tracking", "consistency", "road",
    ]  # fmt: skip
    assert RunMetrics.model_validate_json(metrics.model_dump_json()) == metrics


@pytest.fixture(scope="module")
def full():
    return made_up_run(road=roads.metrics(*roads.random_frames(0))).metrics


def test_every_entry_reads_a_number_of_a_full_run(full):
    assert len({metric.key for metric in RUN_METRICS}) == len(RUN_METRICS)
    for metric in RUN_METRICS:
        assert isinstance(metric.value(full), float | int), metric.key


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (CLASS_COLUMNS, lambda run: run.detection.class_results()),
        (PART_COLUMNS, lambda run: run.detection.groups),
        (ACCURACY_COLUMNS, lambda run: run.tracking.by_class()),
        (CONTINUITY_COLUMNS, lambda run: run.tracking.by_class()),
        (MAP_CLASS_COLUMNS, lambda run: run.road.classes_with_cells()),
        (LINE_COLUMNS, lambda run: {"Curb": dict.fromkeys(run.road.lines, LINE)}),
    ],
)
def test_every_column_reads_a_number_of_some_row(full, columns, rows):
    parts = rows(full).values()
    for column in columns:
        assert any(isinstance(column.value(part), float | int) for part in parts), column.name


def test_names_of_scalars_and_columns_stay(full):
    """Others read them: dashboards, checkpoints, tables of earlier runs."""
    rasters = ("lane_markings", "road_elements")
    assert set(scalars(full)) == {
        "mAP", "NDS", "position_error_m", "orientation_error_rad", "velocity_error_mps",
        *(f"AP_{name}" for name in CLASS_NAMES),
        *(f"recall_{name}" for name in OCCLUSION_NAMES),
        *(f"{name}_{r}" for name in ("IoU", "hidden_IoU", "flip_rate") for r in rasters),
    }  # fmt: skip
    assert [metric.key for metric in metric_columns()] == [
        "mean_ap", "nds", "velocity_error_mps", "amota", "id_switches", "consistency",
        "marking_iou", "element_iou", "mra", "seconds_per_frame",
    ]  # fmt: skip
    assert [metric.event for metric in run_metrics(registry.LINE)] == [
        "mAP", "NDS", "velocity_error_mps", "IoU_lane_markings", "IoU_road_elements",
    ]  # fmt: skip
