"""`leapai stress` from end to end on made-up drives: files, going on after a stop, and mistakes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai import cli
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.config.stress_options import StressOptions
from leapai.report.stress_tables import class_table
from leapai.runs import run_inputs, stress_inputs, stress_streaming
from leapai.runs.history import read_runs
from leapai.runs.stress_folder import read_stress
from leapai.runs.stress_inputs import world_at
from leapai.runs.stress_table import stress_schema, stress_table
from leapai.stress import run_stress
from leapai.types import CLASS_NAMES, NUSCENES
from tests.scenes import seeded_model, small_config
from tests.training.runs import StubLog

GUESSES = {
    "evaluation": {"min_score": 0.0, "max_detections": 20},
    "tracking": {"birth_score": 0.0},
}
"""Thresholds that let some guesses of an untrained network through."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = small_config(**GUESSES)
    path = tmp_path_factory.mktemp("weights") / "model.ckpt"
    save_checkpoint(path, seeded_model(config), config)
    return read_checkpoint(path)


@pytest.fixture(autouse=True)
def drives(monkeypatch):
    logs = [StubLog(0, 2), StubLog(1, 2)]
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: list(logs))
    return logs


@pytest.fixture
def streamed(monkeypatch):
    """Names of the conditions that are streamed, in order."""
    names = []
    stream = stress_streaming.StressStreaming.run

    def note(self, condition):
        names.append(condition.name)
        return stream(self, condition)

    monkeypatch.setattr(stress_streaming.StressStreaming, "run", note)
    return names


def stress(checkpoint, output, **options):
    console = Console(record=True, width=100, file=io.StringIO())
    given = StressOptions(**{"output": output, "data": "made up", "quick": True, **options})
    return run_stress(checkpoint.config, given, checkpoint, console), console.export_text()


def test_a_run_writes_table_summary_page_and_line(tmp_path, checkpoint):
    output = tmp_path / "run"
    summary, text = stress(checkpoint, output, only=("fog", "lost_lidar", "dropped"))
    rows = pq.read_table(output / "stress.parquet")
    assert rows.schema.equals(stress_schema(CLASS_NAMES))
    names = rows["condition"].to_pylist()
    assert names[:2] == ["clean", "fog_2"]
    assert names[2:] == ["lost_lidar", "dropped_40"]
    assert summary.conditions == 4
    written = json.loads((output / "stress.json").read_text())
    assert written["checkpoint_sha256"] == checkpoint.sha256
    assert written["score"] == "mAP"
    assert written["mean_relative_score"] is None
    assert written["corruptions"]["fog"]["relative"].keys() == {"2"}
    assert written["skipped"]["frame rates"] == "--quick leaves them out"
    page = (output / "report.html").read_text()
    for words in ("fog, severity 2", "LiDAR lost", "40 % of the frames dropped", "by NDS"):
        assert words in page
    (line,) = read_runs(tmp_path / "runs.parquet")
    assert line.output == str(output)
    assert line.labelled_frames == summary.frames == 4
    assert line.metrics["mean_ap"] == pytest.approx(summary.clean.mean_ap)
    assert "stress.parquet" in text


def test_each_row_is_what_a_run_of_the_condition_alone_gives(tmp_path, checkpoint):
    stress(checkpoint, tmp_path / "one", only=("lost_lidar", "dark"))
    stress(checkpoint, tmp_path / "two", only=("dark",))
    one, two = (
        {result.name: result.scores for result in read_stress(tmp_path / name).results}
        for name in ("one", "two")
    )
    assert one["dark_2"] == two["dark_2"]
    assert one["lost_lidar"] != one["clean"]
    assert one["clean"] == two["clean"]


def stop_at(name, monkeypatch):
    keep = stress_streaming.keep_result

    def keep_or_stop(folder, result, picture):
        if result.name == name:
            raise KeyboardInterrupt
        keep(folder, result, picture)

    monkeypatch.setattr(stress_streaming, "keep_result", keep_or_stop)
    return keep


def test_a_run_that_was_stopped_goes_on(tmp_path, checkpoint, streamed, monkeypatch):
    output = tmp_path / "run"
    keep = stop_at("fog_2", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        stress(checkpoint, output, only=("dark", "fog", "snow"))
    assert streamed == ["clean", "dark_2", "fog_2"]
    assert not (output / "stress.json").exists()
    monkeypatch.setattr(stress_streaming, "keep_result", keep)
    streamed.clear()
    summary, text = stress(checkpoint, output, only=("dark", "fog", "snow"))
    assert streamed == ["clean", "fog_2", "snow_2"]
    assert summary.conditions == 4
    assert "3 to run" in text
    streamed.clear()
    again, text = stress(checkpoint, output, only=("dark", "fog", "snow"))
    assert streamed == []
    assert "all results are there" in text
    assert again.corruptions == summary.corruptions
    assert len(read_runs(tmp_path / "runs.parquet")) == 1


def test_others_are_added_later(tmp_path, checkpoint, streamed):
    stress(checkpoint, tmp_path, only=("dark",))
    summary, _ = stress(checkpoint, tmp_path, only=("fog",))
    assert streamed == ["clean", "dark_2", "clean", "fog_2"]
    assert set(summary.corruptions) == {"dark", "fog"}


def test_a_broken_result_is_made_again(tmp_path, checkpoint, streamed):
    stress(checkpoint, tmp_path, only=("dark",))
    path = tmp_path / "conditions" / "dark_2.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match="the result of dark_2 is missing or broken"):
        read_stress(tmp_path)
    stress(checkpoint, tmp_path, only=("dark",))
    assert streamed == ["clean", "dark_2", "clean", "dark_2"]


def test_other_settings_are_refused_and_begin_anew_where_asked(tmp_path, checkpoint, drives):
    stress(checkpoint, tmp_path, only=("dark",))
    with pytest.raises(ValueError, match=r"of other settings \(draws_seed was 0 and is 1.*--anew"):
        stress(checkpoint, tmp_path, only=("dark",), seed=1)
    with pytest.raises(ValueError, match="max_frames was 8 and is 1"):
        stress(checkpoint, tmp_path, only=("dark",), max_frames=1)
    drives[1] = StubLog(5, 2)
    with pytest.raises(ValueError, match="sequences_sha256 was"):
        stress(checkpoint, tmp_path, only=("dark",))
    other = replace(checkpoint, sha256="0" * 64)
    with pytest.raises(ValueError, match="checkpoint_sha256 was"):
        stress(other, tmp_path, only=("dark",))
    summary, _ = stress(checkpoint, tmp_path, only=("fog",), anew=True)
    assert set(summary.corruptions) == {"fog"}


def test_the_frame_that_lost_most_is_painted(tmp_path, checkpoint, monkeypatch):
    # As if nothing had failed in the clean run: the untrained network misses all objects in both.
    nothing = SimpleNamespace(weight=np.zeros(1))
    monkeypatch.setattr(stress_streaming, "failures", lambda *_: nothing)
    stress(checkpoint, tmp_path, only=("lost_lidar",))
    run = read_stress(tmp_path)
    clean, lost = run.results
    assert (clean.worst, run.picture("clean")) == (None, None)
    assert lost.worst.loss > 0
    assert run.picture("lost_lidar").read_bytes()[8:12] == b"WEBP"
    assert "data:image/webp;base64," in (tmp_path / "report.html").read_text()


def test_a_frame_that_fails_as_in_the_clean_run_lost_nothing(tmp_path, checkpoint):
    stress(checkpoint, tmp_path, only=("dark",))
    assert read_stress(tmp_path).results[1].worst is None
    assert "No frame lost anything" in (tmp_path / "report.html").read_text()


def test_pictures_are_written_where_asked_for(tmp_path, checkpoint):
    stress(checkpoint, tmp_path, only=("dark",), every=1)
    for name in ("clean", "dark_2"):
        place = tmp_path / "conditions" / name / "pictures" / "drive0"
        assert sorted(path.name for path in place.iterdir()) == ["000000.png", "000001.png"]


def test_data_without_labels_are_refused(tmp_path, checkpoint, monkeypatch):
    bare = StubLog(0, 2, change=lambda _, frame: replace(frame, labels=None))
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: [bare])
    with pytest.raises(ValueError, match=r"data 'made up': no frame has labels.*--data"):
        stress(checkpoint, tmp_path)


def test_an_unknown_condition_is_named(tmp_path, checkpoint):
    with pytest.raises(ValueError, match="--only frog: there is no such condition; use one of"):
        stress(checkpoint, tmp_path, only=("frog",))
    assert not list(tmp_path.iterdir())


def test_the_folder_of_another_command_is_refused(tmp_path, checkpoint):
    (tmp_path / ".leapai").touch()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds a run of another command \(run.json"):
        stress(checkpoint, tmp_path)


def test_the_page_is_written_again_by_report_and_val_commands_refuse_the_folder(
    tmp_path, checkpoint, capsys
):
    output = tmp_path / "run"
    stress(checkpoint, output, only=("dark",))
    before = (output / "report.html").read_text()
    (output / "report.html").unlink()
    assert cli.main(["report", str(output)]) == 0
    assert (output / "report.html").read_text() == before
    capsys.readouterr()
    for arguments in (["report", str(output), str(output)], ["view", str(output)]):
        assert cli.main(arguments) == 2
        assert "`leapai stress` wrote this, not `leapai val`" in capsys.readouterr().err


def test_text_of_the_data_is_escaped_on_the_page(tmp_path, checkpoint):
    stress(checkpoint, tmp_path, only=("dark",), data="<script>alert(1)</script>")
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_the_embedded_world_is_opened_at_another_rate_with_its_other_options():
    data = "synthetic:split=val,drives=2,rate_hz=4,frames=7,place=street"
    assert world_at(data, 20, 31) == (
        "synthetic:split=val,drives=2,place=street,rate_hz=20,frames=31"
    )
    assert world_at("synthetic", 20, 31) == "synthetic:rate_hz=20,frames=31"


def test_drives_at_another_rate_have_the_classes_of_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr(
        stress_inputs, "open_logs", lambda _, **options: asked.append(options) or [StubLog(0, 2)]
    )
    config = small_config(vocabulary="nuscenes")
    finer = stress_inputs._finer(
        "synthetic:", config, [StubLog(0, 2)], stress_inputs.FrameMemory(0)
    )
    assert len(finer()) == 1
    assert asked[0]["vocabulary"] == NUSCENES


def test_tables_have_the_classes_of_the_network(tmp_path, checkpoint):
    """Names of classes may have dots."""
    stress(checkpoint, tmp_path, only=("lost_lidar",))
    results = [
        replace(r, scores=replace(r.scores, ap_by_class={"vehicle.car": 0.5, "cone": None}))
        for r in read_stress(tmp_path).results
    ]
    table = stress_table(results)
    assert table["ap_vehicle.car"].to_pylist() == [0.5, 0.5]
    assert table["ap_cone"].to_pylist() == [None, None]
    assert "ap_car" not in table.column_names
    columns = class_table(results).columns
    assert [column.name for column in columns] == ["vehicle.car", "cone"]
    assert [column.value(results[0]) for column in columns] == [0.5, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.ckpt"], "checkpoint none.ckpt: there is no such file"),
        (["--data", "lyft:/data"], "there is no data set 'lyft'"),
        (["--every", "0"], "'0' must be a whole number, 1 or more"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    try:
        status = cli.main(["stress", *arguments])
    except SystemExit as end:
        status = end.code
    assert status == 2
    written = capsys.readouterr().err
    assert message in written
    assert written.count("\n") == 1


def test_ctrl_c_tells_how_many_results_are_kept(tmp_path, checkpoint, monkeypatch, capsys):
    stop_at("fog_2", monkeypatch)
    arguments = ["stress", str(checkpoint.path), "--data", "synthetic", "--quick"]
    output = tmp_path / "run"
    only = ["--only", "dark", "--only", "fog"]
    assert cli.main([*arguments, *only, "-o", str(output)]) == 130
    last = capsys.readouterr().err.strip()
    assert last == (
        f"stopped early; {output} keeps the results of 2 conditions, and the same command goes on "
        "from there"
    )
