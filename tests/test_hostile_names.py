"""Names in data, and whole folders of runs, come from others: whatever they say, nothing outside
the output folder is read, written, replaced or deleted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai import cli
from leapai.config.options import ValidationOptions
from leapai.data.log import DrivingLog
from leapai.folders import MARK, new_folder
from leapai.inspection.inspection_pictures import write_pictures
from leapai.inspection.statistics_page import write_statistics_page
from leapai.report.page import write_report
from leapai.runs import recordings, run_inputs
from leapai.runs.history import TABLE, RunLine, append_run, read_runs
from leapai.runs.recordings import view_run
from leapai.runs.run_folder import begun_run, read_run
from leapai.validation import run_validation
from tests.made_up_runs import made_up_drive, made_up_run, write
from tests.pictures.made_up import camera, frame
from tests.scenes import make_frame, small_config

NAMES = (
    "../video", "../../video", "{home}/video", "../recording", "{home}/recording", "..", ".",
    "", "a/b", "a_b", "worst/../../video", "x" * 300, "a\0b", "-rf", "<script>alert(1)</script>",
    "\x1b[2J", "statistics.html", "overview", "~/x", "con\n",
)  # fmt: skip
SCRIPT = "<script>alert(1)</script>"


class OneFrame(DrivingLog):
    """A drive of one frame under any name."""

    timestamps_us = np.array([make_frame(0).timestamp_us])

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, index: int):
        return make_frame(index, sequence=self.name)


@pytest.fixture
def home(tmp_path):
    """A folder of a user, with files that hostile names point to."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("video.mp4", "recording.rrd", "secret.txt", "video"):
        (home / name).write_text(f"my {name}")
    return home


def content(folder: Path, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Digests of all files below a folder, except in the sub-folders `but`."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in but
    }


def test_names_of_drives_stay_in_the_output_folder_of_val(home, monkeypatch):
    logs = [OneFrame(name.format(home=home)) for name in NAMES[:6]]
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: logs)
    before, output = content(home), home / "out" / "run"
    options = ValidationOptions(output=output, data="x", random_weights=True)
    config = small_config(eval_with_visualize=True)
    run_validation(config, options, Console(file=io.StringIO()))
    assert content(home, but=("out",)) == before
    assert {p.name for p in (home / "out").iterdir()} == {"run", TABLE, f".{TABLE}.lock"}
    assert len(list(output.glob("*.mp4"))) == len(logs)
    assert len(list((output / "pictures").iterdir())) == len(logs)
    back, _ = read_run(output)
    assert [drive.detections[0].sequence for drive in back.sequences] == [log.name for log in logs]


def test_names_of_drives_and_cameras_stay_in_the_output_folder_of_inspect(home):
    class Inspected(OneFrame):
        def __getitem__(self, index):
            return frame(0, cameras=(replace(camera(), name=self.name),))

    before = content(home)
    logs = [Inspected(name.format(home=home)) for name in NAMES]
    assert write_pictures(logs, home / "out", len(NAMES)) == 2 * len(NAMES)
    assert content(home, but=("out",)) == before
    assert len(list((home / "out").rglob("*.png"))) == 2 * len(NAMES)


@pytest.mark.parametrize(
    "begin",
    [
        lambda folder: begun_run(folder).__enter__(),
        lambda folder: new_folder(folder).__enter__(),
        lambda folder: write_pictures([OneFrame("a")], folder, 1),
        lambda folder: write_statistics_page(folder / "statistics.html", [], []),
    ],
    ids=["val", "train", "inspect", "statistics"],
)
def test_a_folder_of_other_files_is_no_output_folder(home, begin):
    before = content(home)
    with pytest.raises(ValueError, match="holds files that no run of leapai wrote"):
        begin(home)
    assert content(home) == before


@pytest.fixture
def foreign(home):
    """The folder of a run, as somebody else may have sent it."""
    return write(home / "run", made_up_run())


def with_column(folder: Path, name: str, column: str, value: object) -> None:
    """Replaces what a table of a run has in a column where it has anything."""
    table = pq.read_table(folder / name)
    values = [None if each is None else value for each in table[column].to_pylist()]
    number = table.column_names.index(column)
    field = table.schema.field(column)
    pq.write_table(table.set_column(number, field, pa.array(values, field.type)), folder / name)


def with_summary(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(values | changes))


@pytest.mark.parametrize(
    "picture", ["{home}/secret.txt", "../secret.txt", "worst/link", "up/secret.txt"]
)
def test_a_picture_outside_is_not_put_into_the_report(home, foreign, picture):
    (foreign / "worst" / "link").symlink_to(home / "secret.txt")
    (foreign / "up").symlink_to(home)
    with_column(foreign, "frames.parquet", "picture", picture.format(home=home))
    with pytest.raises(ValueError, match=r"frames\.parquet: the picture '.*' is not in the folder"):
        write_report(home / "report.html", [foreign])


def test_a_file_that_is_no_picture_is_not_put_into_the_report(home, foreign):
    (foreign / "notes.txt").write_text("secret notes")
    with_column(foreign, "frames.parquet", "picture", "notes.txt")
    write_report(home / "report.html", [foreign])
    page = (home / "report.html").read_text()
    assert "c2VjcmV0IG5vdGVz" not in page  # base64
    assert "secret notes" not in page


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "config.json", "frames.parquet"])
def test_files_of_a_run_are_not_read_through_links_that_lead_out(home, foreign, name):
    (foreign / name).rename(home / name)
    (foreign / name).symlink_to(home / name)
    with pytest.raises(ValueError, match=f"{name}: is a link that leads out of the folder"):
        read_run(foreign)


def test_a_report_replaces_a_link_and_not_what_it_leads_to(home, foreign):
    (foreign / "report.html").symlink_to(home / "secret.txt")
    assert cli.main(["report", str(foreign)]) == 0
    assert (home / "secret.txt").read_text() == "my secret.txt"
    assert not (foreign / "report.html").is_symlink()


def test_names_of_a_run_are_text_in_its_report(home):
    drive = made_up_drive(0)
    drive.detections[:] = [replace(found, sequence=SCRIPT) for found in drive.detections]
    drive.faults[0] = (f"{SCRIPT}: {SCRIPT}",)
    changes = dict.fromkeys(("job_name", "data", "weights", "device", "version"), SCRIPT)
    folder = write(home / "run", made_up_run([drive], **changes, versions={SCRIPT: SCRIPT}))
    write_report(home / "report.html", [folder])
    page = (home / "report.html").read_text()
    assert SCRIPT not in page
    assert page.count("&lt;script&gt;alert(1)") > 5


def test_columns_of_other_types_are_one_line(foreign):
    table = pq.read_table(foreign / "frames.parquet")
    number = table.column_names.index("timestamp_us")
    words = pa.array(["x"] * table.num_rows)
    table = table.set_column(number, "timestamp_us", words)
    pq.write_table(table, foreign / "frames.parquet")
    with pytest.raises(ValueError, match=r"frames\.parquet: has columns of other types"):
        read_run(foreign)


@pytest.mark.parametrize(("column", "value"), [("timestamp_us", 1_000_000), ("labelled", False)])
def test_tables_that_do_not_belong_together_are_one_line(foreign, column, value):
    with_column(foreign, "frames.parquet", column, value)
    match = f"{foreign}: its tables and its metrics are not of one run"
    with pytest.raises(ValueError, match=match) as error:
        write_report(foreign / "report.html", [foreign])
    assert "\n" not in str(error.value)
    assert not (foreign / "report.html").exists()


@pytest.fixture
def viewer(monkeypatch):
    """Stands in for rerun: the files that were recorded."""

    class Recording:
        def __init__(self, path, *_):
            path.write_text("recorded")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def add(self, *_):
            pass

    monkeypatch.setattr(
        recordings, "_recording_module", lambda _: SimpleNamespace(SequenceRecording=Recording)
    )
    monkeypatch.setattr(recordings, "_has_screen", lambda: False)


@pytest.mark.parametrize("name", ["../recording", "{home}/recording"])
def test_view_writes_into_the_folder_of_the_run(home, viewer, monkeypatch, name):
    drive, name = made_up_drive(0), name.format(home=home)
    drive.detections[:] = [replace(found, sequence=name) for found in drive.detections]
    folder = write(home / "run", made_up_run([drive]))
    monkeypatch.setattr(
        recordings,
        "_log_of",
        lambda *_: SimpleNamespace(name=name, vector_map=lambda: None, timestamps_us=np.zeros(1)),
    )
    monkeypatch.setattr(recordings, "track", lambda *_, **__: ())
    before = content(home, but=("run",))
    path = view_run(folder, console=Console(file=io.StringIO()))
    assert path.parent == folder
    assert path.read_text() == "recorded"
    assert content(home, but=("run",)) == before


@pytest.mark.parametrize("data", ["cProfile:run:{code}", "planted:open_logs:x"])
def test_view_calls_no_function_that_a_run_names(home, foreign, viewer, monkeypatch, data):
    code = f"open({str(home / 'ran')!r}, 'w').close()"
    (home / "planted.py").write_text(code)
    monkeypatch.syspath_prepend(home)
    with_summary(foreign, data=data.format(code=code))
    with pytest.raises(ValueError, match="a function to call, which no file may ask for"):
        view_run(foreign, console=Console(file=io.StringIO()))
    assert not (home / "ran").exists()
    assert "planted" not in sys.modules


def test_a_table_of_runs_sends_no_codes_to_the_terminal(home, capsys):
    line = RunLine.of(made_up_run(job_name="\x1b]0;x\x07[red]", finished_utc="[link=x]" * 9), home)
    append_run(home / TABLE, line)
    assert cli.main(["runs", "--table", str(home / TABLE)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    table = pq.read_table(home / TABLE)
    number = table.column_names.index("frames")
    pq.write_table(table.set_column(number, "frames", pa.array(["many"])), home / TABLE)
    with pytest.raises(ValueError, match="has columns of other types"):
        read_runs(home / TABLE)


def test_words_of_an_error_send_no_codes_to_the_terminal(foreign, viewer, capsys):
    assert cli.main(["view", str(foreign), "--drive", "\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_run_folder_that_leads_out_is_no_output_folder(home, foreign):
    (foreign / "pictures").symlink_to(home)
    with pytest.raises(ValueError, match="pictures: is a link that leads out"):
        begun_run(foreign).__enter__()
    assert (foreign / "run.json").is_file(), "nothing was removed"
    os.unlink(foreign / "pictures")
    with begun_run(foreign):
        pass
    assert (foreign / MARK).is_file()
