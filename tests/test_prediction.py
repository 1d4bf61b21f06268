"""`leapai predict` from end to end: files, contents, what it reports, and how it stops."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai import cli
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.cli.predict_command import default_output
from leapai.config.options import PredictionOptions, ValidationOptions
from leapai.prediction import run_prediction
from leapai.runs import run_inputs
from leapai.runs.tracks_table import TRACK_SCHEMA
from leapai.validation import run_validation
from tests.evaluation.made_up import gt
from tests.scenes import ROAD_MAP, joint_config, seeded_model
from tests.test_validation import MadeUpLog

GUESSES = {
    "evaluation": {"min_score": 0.0, "max_detections": 20},
    "tracking": {"birth_score": 0.0},
}
"""Thresholds that let some guesses of an untrained network through."""


class LogThatStops(MadeUpLog):
    """A drive in whose second frame a signal comes: Ctrl-C, if no other is given."""

    def __init__(self, name, number=signal.SIGINT):
        super().__init__(name)
        self.number = number

    def __getitem__(self, index):
        if index == 1:
            os.kill(os.getpid(), self.number)
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = joint_config(**GUESSES)
    path = tmp_path_factory.mktemp("weights") / "model.ckpt"
    save_checkpoint(path, seeded_model(config), config)
    return read_checkpoint(path)


@pytest.fixture
def drives(monkeypatch):
    def given(*logs):
        monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: list(logs))

    given(MadeUpLog("one"), MadeUpLog("two", without=(1,)))
    return given


def predict(checkpoint, output, source="made up", **options):
    console = Console(record=True, width=200, file=io.StringIO())
    given = PredictionOptions(source=source, output=output, **options)
    summary = run_prediction(checkpoint.config, given, checkpoint, console)
    return summary, console.export_text()


def test_data_without_labels_gives_every_table_and_no_metrics(tmp_path, drives, checkpoint):
    summary, text = predict(checkpoint, tmp_path, pictures=False)
    rows = {
        path.stem: pq.read_table(path) for path in tmp_path.iterdir() if path.suffix == ".parquet"
    }
    assert set(rows) == {"detections", "lines", "tracks", "frames"}
    assert rows["detections"].num_rows == summary.detections > 0
    assert rows["frames"].num_rows == 6
    assert rows["tracks"].schema.equals(TRACK_SCHEMA)
    tracked = [i for i in rows["detections"]["track_id"].to_pylist() if i >= 0]
    assert rows["tracks"].num_rows == summary.tracks == len(set(tracked)) > 0
    assert sum(rows["tracks"]["frames"].to_pylist()) == len(tracked)
    written = json.loads((tmp_path / "prediction.json").read_text())
    assert written["sensors"]["lidar"] == {"ok": 5, "corrupt": 1}
    assert written["complete"]
    assert not (tmp_path / "metrics.json").exists()
    for metric in ("mAP", "MOTA", "IoU", "recall"):
        assert metric not in text


def test_it_reports_weights_sensors_and_what_is_missing(tmp_path, drives, checkpoint):
    _, text = predict(checkpoint, tmp_path, pictures=False)
    assert f"weights: {checkpoint.path}, not shipped with leapai" in text
    trained_on = checkpoint.config.data.train
    assert f"trained on: {trained_on}" in text
    assert "no frame of a real sensor" in text
    (lidar,) = (line for line in text.splitlines() if "│ lidar" in line)
    cells = [cell.strip() for cell in lidar.strip("│").split("│") if cell.strip()]
    assert cells == ["lidar", "5", "1", "sweeps/1.bin: is truncated"]
    assert "6 frames of 2 drives" in text


def test_what_the_source_never_had_is_reported(tmp_path, drives, checkpoint):
    class Back(MadeUpLog):
        def __getitem__(self, index):
            frame = super().__getitem__(index)
            back = [camera for camera in frame.cameras if camera.group == "back"]
            return replace(frame, cameras=tuple(back), points=None)

    drives(Back("one"))
    _, text = predict(checkpoint, tmp_path, pictures=False)
    assert "no camera of the groups front_narrow, front_wide, side" in text
    assert "No frame has a LiDAR sweep in order" in text


def test_frames_without_any_sensor_are_counted(tmp_path, drives, checkpoint):
    class Blind(MadeUpLog):
        def __getitem__(self, index):
            frame = super().__getitem__(index)
            dark = tuple(replace(camera, image=None) for camera in frame.cameras)
            return replace(frame, cameras=dark, points=frame.points if index == 0 else None)

    drives(Blind("one"))
    _, text = predict(checkpoint, tmp_path, pictures=False)
    assert "In 2 of 3 frames no sensor is in order" in text
    assert "cameras alone" not in text


def test_labels_and_map_change_nothing_and_are_not_shown(tmp_path, drives, checkpoint):
    drives(MadeUpLog("one"))
    plain, _ = predict(checkpoint, tmp_path / "plain", every=3)
    log = MadeUpLog("one")
    log.labels, log.map = gt(np.array([[5.0, 0.0], [9.0, 3.0]])), ROAD_MAP
    drives(log)
    again, _ = predict(checkpoint, tmp_path / "labelled", every=3)
    assert (plain.labelled_frames, again.labelled_frames) == (0, 0)
    for name in ("detections.parquet", "pictures/one/000000.png"):
        files = [tmp_path / run / name for run in ("plain", "labelled")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_it_streams_as_a_validation_does(tmp_path, drives, checkpoint):
    predict(checkpoint, tmp_path / "predict", pictures=False)
    options = ValidationOptions(
        output=tmp_path / "val", data="made up", checkpoint=checkpoint.path, pictures=False
    )
    console = Console(record=True, width=200, file=io.StringIO())
    run_validation(checkpoint.config, options, console, checkpoint)
    for name in ("detections.parquet", "lines.parquet"):
        tables = [pq.read_table(tmp_path / run / name) for run in ("predict", "val")]
        assert tables[0].equals(tables[1])
    text = console.export_text()
    assert "No frame has labels" in text
    assert "`leapai predict` is the command for data without labels" in text


def test_every_second_frame_gets_a_picture_and_the_video_keeps_real_time(
    tmp_path, drives, checkpoint
):
    drives(MadeUpLog("one"))
    predict(checkpoint, tmp_path, every=2)
    names = sorted(path.name for path in (tmp_path / "pictures" / "one").iterdir())
    assert names == ["000000.png", "000002.png"]
    with av.open(str(tmp_path / "one.mp4")) as video:
        assert video.streams.video[0].average_rate == Fraction(5)  # frames come at 10 Hz
        assert sum(1 for _ in video.decode(video=0)) == 2


def test_ctrl_c_keeps_what_was_streamed(tmp_path, drives, checkpoint):
    drives(LogThatStops("one"), MadeUpLog("two"))
    summary, text = predict(checkpoint, tmp_path)
    assert (summary.frames, summary.complete) == (2, False)
    assert "Stopped after 2 frames" in text
    assert pq.read_table(tmp_path / "frames.parquet").num_rows == 2
    with av.open(str(tmp_path / "one.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 2
    assert not (tmp_path / "two.mp4").exists()


def test_the_command_that_was_stopped_ends_as_one_that_ctrl_c_ended(tmp_path, drives, checkpoint):
    drives(LogThatStops("one"))
    arguments = ["predict", "synthetic:", "--ckpt", str(checkpoint.path), "--no-pictures"]
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--output", str(tmp_path)])
    assert end.value.code == 130
    assert (tmp_path / "prediction.json").is_file()


def test_sigterm_keeps_what_was_streamed_and_ends_with_its_own_status(tmp_path, drives, checkpoint):
    drives(LogThatStops("one", signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        predict(checkpoint, tmp_path, pictures=False)
    assert pq.read_table(tmp_path / "frames.parquet").num_rows == 2


def test_an_earlier_prediction_leaves_no_table_behind(tmp_path, drives, checkpoint):
    predict(checkpoint, tmp_path, pictures=False)
    drives(MadeUpLog("one", fail_at=0))
    with pytest.raises(ValueError, match="the disk is gone"):
        predict(checkpoint, tmp_path, pictures=False)
    assert not list(tmp_path.glob("*.parquet"))
    assert not (tmp_path / "prediction.json").exists()


def test_pictures_of_an_earlier_prediction_go_and_files_of_the_user_stay(
    tmp_path, drives, checkpoint
):
    predict(checkpoint, tmp_path)
    theirs = (tmp_path / "holiday.mp4", tmp_path / "pictures" / "one" / "notes.png")
    for path in theirs:
        path.write_text("mine")
    drives(MadeUpLog("three"))
    predict(checkpoint, tmp_path)
    assert {path.name for path in tmp_path.glob("*.mp4")} == {"three.mp4", "holiday.mp4"}
    pictures = tmp_path / "pictures"
    assert [path.name for path in (pictures / "one").iterdir()] == ["notes.png"]
    assert not list((pictures / "two").iterdir())
    assert list((pictures / "three").iterdir())
    assert all(path.read_text() == "mine" for path in theirs)


def test_a_folder_that_another_run_holds_is_refused(tmp_path, drives, checkpoint):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys\nfrom leapai.folders import sole_user\n"
            "with sole_user(pathlib.Path(sys.argv[1])):\n    print(flush=True); input()",
            str(tmp_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"\n"
        with pytest.raises(ValueError, match=rf"another run writes into it \(process {holder.pid}"):
            predict(checkpoint, tmp_path, pictures=False)
    finally:
        holder.communicate(b"\n")
    predict(checkpoint, tmp_path, pictures=False)


def test_pictures_of_an_earlier_prediction_do_not_stay(tmp_path, drives, checkpoint):
    drives(MadeUpLog("one"))

    def pictures(**options):
        predict(checkpoint, tmp_path, **options)
        return [p.name for p in sorted((tmp_path / "pictures").rglob("*.png"))]

    assert pictures(every=1) == ["000000.png", "000001.png", "000002.png"]
    assert (tmp_path / "one.mp4").is_file()
    assert pictures(every=2) == ["000000.png", "000002.png"]
    assert pictures(pictures=False) == []
    assert not (tmp_path / "one.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_folder"], "there is no data set 'no_such_folder'; use one of"),
        (["synthetic:", "--ckpt", "none.ckpt"], "checkpoint none.ckpt: there is no such file"),
        (["synthetic:", "--no-pictures", "--every", "2"], "contradict each other"),
        (["synthetic:", "--every", "0"], "'0' must be a whole number, 1 or more"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    try:
        status = cli.main(["predict", *arguments])
    except SystemExit as end:
        status = end.code
    assert status == 2
    written = capsys.readouterr().err
    assert message in written
    assert written.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("nuscenes:/data/nuscenes,sweeps=3", "nuscenes"),
        ("folder:/data/my drive/", "my_drive"),
        ("synthetic:split=val,drives=1", "synthetic"),
        ("ourcar:open_logs:/data/monday", "monday"),
        ("ourcar:open_logs:monday", "monday"),
        ("synthetic", "synthetic"),
        ("folder:/data/..", "folder"),
    ],
)
def test_the_default_folder_is_named_after_the_source(source, name):
    assert default_output(source).as_posix() == f"outputs/predict/{name}"
