"""The table of runs: lines of many processes at once, old tables, broken tables."""

import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from torch import multiprocessing

from leapai.report.terminal_runs import comparison_table, runs_tables
from leapai.runs.history import RunLine, append_run, read_runs

LINE = RunLine(
    finished_utc="2026-01-02T03:04:05+00:00",
    job_name="tiny",
    output="outputs/tiny",
    data="synthetic",
    data_version="2",
    weights="tiny.ckpt",
    checkpoint_sha256="abcdef0123456789",
    exported_sha256=None,
    exported_weights=None,
    config_sha256="0123456789abcdef",
    seed=0,
    version="0.1.0",
    frames=40,
    labelled_frames=40,
    max_frames=None,
    machine="cpu: a machine",
    metrics={
        "mean_ap": 0.5,
        "nds": 0.4,
        "velocity_error_mps": 1.25,
        "amota": 0.6,
        "id_switches": 8,
        "consistency": 0.7,
        "marking_iou": 0.3,
        "element_iou": 0.2,
        "mra": None,
        "seconds_per_frame": 0.1,
    },
)


def changed(facts=None, **metrics):
    return replace(LINE, **(facts or {}), metrics={**LINE.metrics, **metrics})


def append_ten(number, table):
    for seed in range(10):
        append_run(table, replace(LINE, job_name=f"job{number}", seed=seed))


def test_lines_come_back_in_order(tmp_path):
    table = tmp_path / "runs.parquet"
    unknown = {"data_version": None, "checkpoint_sha256": None}
    nothing = changed(unknown, mean_ap=None, amota=None)
    for line in (LINE, nothing, replace(LINE, max_frames=3)):
        append_run(table, line)
    assert read_runs(table) == [LINE, nothing, replace(LINE, max_frames=3)]


def test_no_line_is_lost_when_runs_end_at_once(tmp_path):
    table = tmp_path / "runs.parquet"
    multiprocessing.start_processes(append_ten, (table,), nprocs=4, start_method="fork")
    lines = read_runs(table)
    assert len(lines) == 40
    for number in range(4):
        assert [x.seed for x in lines if x.job_name == f"job{number}"] == list(range(10))
    assert not list(tmp_path.glob("*.tmp*"))


def test_a_table_of_another_version_is_read_and_kept(tmp_path):
    table = tmp_path / "runs.parquet"
    append_run(table, LINE)
    old = pq.read_table(table).drop_columns(["consistency", "amota"])
    pq.write_table(old.append_column("mystery", pa.array([3])), table)
    append_run(table, LINE)
    assert read_runs(table) == [changed(consistency=None, amota=None), LINE]
    assert pq.read_table(table)["mystery"].to_pylist() == [3, None]


@pytest.mark.parametrize("name", ["broken", "foreign"])
def test_a_table_that_is_none_is_named_and_never_overwritten(tmp_path, name):
    table = tmp_path / "runs.parquet"
    if name == "broken":
        append_run(table, LINE)
        table.write_bytes(table.read_bytes()[:-20])
    else:
        pq.write_table(pa.table({"price": [1.0]}), table)
    before = table.read_bytes()
    message = {"broken": "not a whole Parquet file", "foreign": "has no column finished_utc"}[name]
    for use in (lambda: append_run(table, LINE), lambda: read_runs(table)):
        with pytest.raises(ValueError, match=message) as error:
            use()
        assert str(table) in str(error.value)
    assert table.read_bytes() == before


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="there is no table of runs"):
        read_runs(tmp_path / "runs.parquet")


def shown(*tables, width=160):
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(*tables)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 160])
def test_the_list_fits_a_terminal_and_says_which_runs_saw_only_first_frames(width):
    short = replace(
        LINE, output="outputs/short", frames=5, max_frames=5, data="nuscenes:/[odd] place"
    )
    text = shown(*runs_tables([LINE, short], width), width=width)
    lines = text.splitlines()
    heads = next(line for line in lines if "mAP" in line)
    numbers = lines[lines.index(heads) + 2 :]
    for title, value in {"frames": "40", "mAP": "0.500", "NDS": "0.400", "s": "0.100"}.items():
        at = heads.index(f" {title}") + len(f" {title}")
        assert numbers[0][:at].endswith(f" {value}"), "aligned with its heading"
    assert " 5+ " in numbers[1]
    assert ("tiny" in numbers[0]) == (width == 160)
    for words in ("abcdef01", "01234567", "2026-01-02 03:04", "[odd]"):
        assert words in text


def test_an_exported_network_is_told_from_its_checkpoint():
    other = replace(LINE, exported_sha256="e" * 64, exported_weights="int8")
    rows = shown(*runs_tables([LINE, other], 160)).splitlines()
    assert ["abcdef01 int8" in row for row in rows if "abcdef01" in row] == [False, True]
    compared = shown(comparison_table([LINE, other], 1, 2))
    assert "exported_weights" in compared
    assert "int8" in compared


def test_metrics_that_no_run_has_are_left_out_of_the_list():
    objects = changed(marking_iou=None, element_iou=None)
    road = changed(mean_ap=None, nds=None)
    heads = [shown(*runs_tables([line], 160)).split("tiny")[0] for line in (objects, road)]
    assert "mAP" in heads[0]
    assert "IoU" not in heads[0]
    assert "mAP" not in heads[1]
    assert "IoU" in heads[1]


def test_two_lines_are_compared_with_signs_and_what_differs():
    other = changed({"seed": 4}, mean_ap=0.55, velocity_error_mps=1.5, amota=None)
    text = shown(comparison_table([LINE, other], 1, 2))
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    assert "+0.050" in rows["mAP"]
    assert "+0.250" in rows["AVE m/s"]
    assert "seed" in rows
    assert "job_name" not in rows
    with pytest.raises(ValueError, match="there is no run 3; the table has runs 1 to 2"):
        comparison_table([LINE, other], 1, 3)
