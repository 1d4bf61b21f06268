"""Recordings of a run: while it streams, afterwards, and what is said where there is none."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai import cli
from leapai.config.options import ValidationOptions
from leapai.data.log import DrivingLog
from leapai.runs import recordings, run_inputs
from leapai.runs.recordings import recorder, view_run
from leapai.validation import run_validation
from tests.recordings import foxglove_recorded, needs_rerun, recorded
from tests.scenes import joint_config, make_frame, small_config
from tests.wrong_frames import camera_with, put

RERUN = "leapai.pictures.recording"


class MadeUpLog(DrivingLog):
    """Three frames of `tests.scenes` as a drive."""

    def __init__(self, name, start=0):
        self.name, self.start = name, start

    @property
    def timestamps_us(self):
        return np.array([make_frame(self.start + i).timestamp_us for i in range(3)])

    def __getitem__(self, index):
        return make_frame(self.start + index, sequence=self.name)


def two_drives(monkeypatch):
    logs = [MadeUpLog("one"), MadeUpLog("two")]
    for module in (run_inputs, recordings):
        monkeypatch.setattr(module, "open_logs", lambda data, **_: logs)
    return logs


@pytest.fixture
def drives(monkeypatch):
    monkeypatch.setattr(recordings, "_has_screen", lambda: False)
    return two_drives(monkeypatch)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """A run, recorded for Foxglove, and for rerun where it is installed."""
    folder = tmp_path_factory.mktemp("streamed")
    with pytest.MonkeyPatch.context() as patch:
        two_drives(patch)
        run(folder, viewer=find_spec("rerun") is not None, format="mcap")
    return folder


@pytest.fixture
def folder(tmp_path, streamed, drives):
    """A run without recordings."""
    left_out = shutil.ignore_patterns("*.rrd", "*.mcap", "foxglove*", "pictures")
    return shutil.copytree(streamed, tmp_path / "run", ignore=left_out)


@pytest.fixture
def without_rerun(monkeypatch):
    """As if rerun-sdk were not installed."""
    monkeypatch.setitem(sys.modules, "rerun", None)
    monkeypatch.delitem(sys.modules, RERUN, raising=False)
    monkeypatch.delattr("leapai.pictures.recording", raising=False)


def run(output, config=None, **options):
    given = ValidationOptions(output=output, data="made up", random_weights=True, **options)
    run_validation(config or small_config(), given, Console(file=io.StringIO()))


def viewed(folder, *arguments, **options):
    console = Console(record=True, width=300, file=io.StringIO())
    path = view_run(folder, *arguments, console=console, **options)
    return path, console.export_text()


def test_without_viewer_rerun_is_not_needed_and_nothing_is_recorded(
    tmp_path, drives, without_rerun
):
    run(tmp_path)
    assert not list(tmp_path.glob("*.rrd*"))


def test_without_formats_nothing_is_done_but_recordings_of_an_earlier_run_are_dropped(
    tmp_path, without_rerun
):
    for suffix in ("rrd", "mcap", "ros2.mcap"):
        (tmp_path / f"one.{suffix}").write_bytes(b"older")
    with recorder([], 0.3)(tmp_path, MadeUpLog("one")) as record:
        record(None, None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["demo", "view"])
def test_what_needs_rerun_says_how_to_install_it(folder, without_rerun, capsys, command):
    output = folder.parent / "demo"
    options = {"demo": ["--viewer", "--output", str(output)], "view": [str(folder)]}
    assert cli.main([command, *options[command]]) == 2
    said = capsys.readouterr().err
    assert said.endswith("is not installed: pip install 'leapai[viewer]'\n")
    assert said.count("\n") == 1
    assert not output.exists()


def test_a_fault_of_another_module_is_not_taken_for_a_missing_rerun(monkeypatch):
    pytest.importorskip("rerun", reason=needs_rerun)
    monkeypatch.delitem(sys.modules, RERUN, raising=False)
    monkeypatch.delattr(RERUN, raising=False)
    monkeypatch.setitem(sys.modules, "leapai.pictures.recording_parts", None)
    monkeypatch.delattr("leapai.pictures.recording_parts", raising=False)
    with pytest.raises(ImportError, match="recording_parts"):
        recorder(["rerun"], 0.3)


def test_every_drive_is_recorded_while_it_streams(streamed):
    pytest.importorskip("rerun", reason=needs_rerun)
    assert sorted(path.name for path in streamed.glob("*.rrd*")) == ["one.rrd", "two.rrd"]
    for name in ("one", "two"):
        entities = recorded(streamed / f"{name}.rrd")
        assert entities["/world/ego/boxes"]["frame"] == [0, 1, 2]
        slots = [len(row) for row in entities["/world/ego/memory"]["Points3D:positions"]]
        assert slots == [0, 8, 16]


def test_a_recording_afterwards_is_that_of_the_stream_but_for_memory(streamed, folder):
    pytest.importorskip("rerun", reason=needs_rerun)
    path, _ = viewed(folder, "two")
    assert path == folder / "two.rrd"
    then, now = recorded(streamed / "two.rrd"), recorded(path)
    assert sum(map(len, now["/world/ego/boxes"]["Boxes3D:centers"])) > 0
    assert set(then) == set(now)
    for entity in now:
        if not entity.startswith("/__") and "memory" not in entity:
            for column in set(now[entity]) - {"rerun.controls.RowId"}:
                assert now[entity][column] == then[entity][column], (entity, column)
    assert not any(now["/world/ego/memory"]["Points3D:positions"])


def test_a_recording_afterwards_has_the_lines_of_the_road(tmp_path, drives):
    pytest.importorskip("rerun", reason=needs_rerun)
    run(tmp_path, config=joint_config())
    table = pq.read_table(tmp_path / "lines.parquet")
    kerb = {
        "sequence": "one",
        "timestamp_us": int(drives[0].timestamps_us[1]),
        "kind": "Curb",
        "confidence": 0.9,
        "x_m": [4.0, 20.0],
        "y_m": [2.0, 2.5],
    }
    pq.write_table(pa.Table.from_pylist([kerb], schema=table.schema), tmp_path / "lines.parquet")
    path, _ = viewed(tmp_path, "one")
    labels = recorded(path)["/world/ego/road"]["LineStrips3D:labels"]
    assert [list(row or []) for row in labels] == [[], ["Curb  0.90"], []]


def test_a_recording_that_is_there_is_opened_as_it_is(folder):
    pytest.importorskip("rerun", reason=needs_rerun)
    (folder / "one.rrd").write_bytes(b"of the stream")
    path, said = viewed(folder)
    assert path.read_bytes() == b"of the stream"
    assert f"rerun {path}" in said
    assert not (folder / "two.rrd").exists()


@pytest.mark.parametrize(
    ("missing", "drive", "said"),
    [
        ("run.json", None, "run.json is missing"),
        ("detections.parquet", None, "detections.parquet is missing"),
        (None, "three", "has no drive 'three'; its drives: one, two"),
    ],
)
def test_a_folder_that_cannot_be_viewed_says_why(folder, missing, drive, said):
    if missing:
        (folder / missing).unlink()
    with pytest.raises(ValueError, match=said):
        viewed(folder, drive)


@pytest.mark.parametrize("change", ["times", "version", "fewer"])
def test_data_that_changed_is_not_mixed_with_what_was_said_of_it(folder, drives, change):
    pytest.importorskip("rerun", reason=needs_rerun)
    if change == "times":
        drives[1] = MadeUpLog("two", start=1)
    elif change == "version":
        drives[1].version = "2"
    else:
        del drives[1]
    with pytest.raises(ValueError, match="made up: is not what the run saw any more"):
        viewed(folder, "two")
    assert not list(folder.glob("*.rrd*"))


def test_the_viewer_opens_where_there_is_a_screen(folder, monkeypatch):
    pytest.importorskip("rerun", reason=needs_rerun)
    started = []

    def start(command, check):
        started.append(command)
        return SimpleNamespace(returncode=len(started) - 1)

    monkeypatch.setattr(subprocess, "run", start)
    (folder / "one.rrd").write_bytes(b"")
    viewed(folder)
    monkeypatch.setattr(recordings, "_has_screen", lambda: True)
    viewed(folder, opens=False)
    assert not started
    viewed(folder)
    assert started[0][1:3] == ["-m", "rerun"]
    assert started[0][-1] == str(folder / "one.rrd")
    with pytest.raises(ValueError, match=r"viewer ended with status 1; open it with"):
        viewed(folder)


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY", None])
def test_linux_has_a_screen_where_a_display_is_named(monkeypatch, variable):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("os.environ", {variable: ":0"} if variable else {})
    assert recordings._has_screen() == bool(variable)


def test_every_drive_is_recorded_for_foxglove_too(streamed):
    assert sorted(path.name for path in streamed.glob("*.mcap*")) == ["one.mcap", "two.mcap"]
    topics = foxglove_recorded(streamed / "one.mcap")
    assert [len(topics[topic]) for topic in ("/objects", "/lidar", "/tf")] == [3, 3, 3]
    assert [each["memory_slots"] for _, each in topics["/metrics"]] == [0, 8, 16]
    layout = json.loads((streamed / "foxglove_layout.json").read_text())
    assert layout["configById"]["3D!scene"]["followTf"] == "ego"


def test_a_run_is_recorded_for_foxglove_afterwards(streamed, folder):
    path, said = viewed(folder, "two", format="mcap")
    assert path == folder / "two.mcap"
    assert f"open it in Foxglove, and import its layout {folder / 'foxglove_layout.json'}" in said
    then, now = foxglove_recorded(streamed / "two.mcap"), foxglove_recorded(path)
    assert any(update.entities for _, update in now["/objects"])
    assert set(then) == set(now)
    for topic in set(now) - {"/metrics"}:  # memory slots are not on disk
        assert str(now[topic]) == str(then[topic]), topic


def test_what_a_sensor_got_wrong_is_recorded_afterwards_as_while_it_streamed(
    tmp_path, drives, monkeypatch
):
    """A pose of NaN cannot be drawn: the frame is checked, and the check says what is wrong."""
    monkeypatch.setattr(MadeUpLog, "__getitem__", broken)
    run(tmp_path, format="mcap")
    then = foxglove_recorded(tmp_path / "one.mcap")
    (tmp_path / "one.mcap").unlink()
    now = foxglove_recorded(viewed(tmp_path, "one", format="mcap")[0])
    faults = [log.message for _, log in now["/health"]]
    assert any("back: ego_from_camera" in words for words in faults)
    for topic in ("/health", "/tf", "/camera/back/image", "/lidar"):
        assert str(now[topic]) == str(then[topic]), topic


def broken(log, index):
    """A frame of which one camera has lost its place."""
    frame = make_frame(log.start + index, sequence=log.name)
    return camera_with(ego_from_camera=put((0, 3), np.nan))(frame) if index == 1 else frame


def test_a_run_without_a_recording_drops_the_layout_of_an_earlier_one(streamed, drives, tmp_path):
    folder = shutil.copytree(streamed, tmp_path / "run")
    run(folder)
    assert not list(folder.glob("*.mcap")) + list(folder.glob("*.rrd"))
    assert not (folder / "foxglove_layout.json").exists()


def test_the_results_on_every_drive_become_a_bag_of_ros(tmp_path, drives):
    run(tmp_path, format="rosbag")
    assert sorted(path.name for path in tmp_path.glob("*.mcap*")) == [
        "one.ros2.mcap",
        "two.ros2.mcap",
    ]
    assert not (tmp_path / "foxglove_layout.json").exists()


@pytest.mark.parametrize(("format", "beyond_us"), [("mcap", 10**17), ("rosbag", 2**31 * 10**6)])
def test_times_that_a_format_cannot_hold_are_refused_before_the_first_frame(
    tmp_path, monkeypatch, format, beyond_us
):
    late = property(lambda _: np.array([0, beyond_us]))
    monkeypatch.setattr(MadeUpLog, "timestamps_us", late)
    with (
        pytest.raises(ValueError, match=f"one: timestamps_us reach {beyond_us}.*correct the clock"),
        recorder([format], 0.3)(tmp_path, MadeUpLog("one")),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_what_needs_mcap_says_how_to_install_it(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mcap_protobuf", None)
    output = folder.parent / "demo"
    demo = ["demo", "--format", "mcap", "--output", str(output)]
    for arguments in (demo, ["view", "--mcap", str(folder)]):
        assert cli.main(arguments) == 2
        assert capsys.readouterr().err.endswith("not installed: pip install 'leapai[mcap]'\n")
    assert not output.exists()
