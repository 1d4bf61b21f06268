"""What a run writes is what is read back; a folder that is no run says what is wrong with it."""

import errno
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leapai.folders import MARK
from leapai.runs.run_folder import read_run
from leapai.types import Labels, MapPolyline
from tests.evaluation.made_up import detections_at
from tests.evaluation.map import roads
from tests.made_up_runs import made_up_drive, made_up_run, write


def assert_same(one, other):
    """Dataclasses of arrays and plain values."""
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, field.name)
            assert left.dtype == right.dtype, field.name
        else:
            assert left == right, field.name


def test_everything_comes_back(tmp_path):
    unlabelled = Labels.unlabelled(np.ones((2, 7)), np.array([3, 4]))
    drive = made_up_drive(1)
    drive.labels[2], drive.labels[4] = unlabelled, None
    drive.labels[3] = replace(unlabelled, num_radar_points=np.array([0, 2]))
    drive.detections[5] = replace(detections_at([]), sequence="drive1", timestamp_us=1_500_000)
    run = made_up_run([made_up_drive(0), drive])
    back, pictures = read_run(write(tmp_path / "run", run))
    assert (back.config, back.summary, back.metrics) == (run.config, run.summary, run.metrics)
    assert [drive.number for drive in back.sequences] == [0, 1]
    for one, other in zip(run.sequences, back.sequences, strict=True):
        assert (one.faults, one.memory) == (other.faults, other.memory)
        for left, right in zip(one.detections, other.detections, strict=True):
            assert_same(left, right)
        for left, right in zip(one.labels, other.labels, strict=True):
            assert (left is None) == (right is None)
            if left is not None:
                assert_same(left, right)
    assert sorted(pictures) == [("drive0", 1_000_000), ("drive1", 1_000_000)]
    assert all(path.is_file() for path in pictures.values())


def test_drives_of_one_frame_at_the_same_time_stay_apart(tmp_path):
    run = made_up_run([made_up_drive(number, frames=1) for number in range(3)])
    back, _ = read_run(write(tmp_path, run))
    for one, other in zip(run.sequences, back.sequences, strict=True):
        assert_same(one.detections[0], other.detections[0])
        assert_same(one.labels[0], other.labels[0])


def test_lines_of_the_road_come_back_where_the_task_is_on(tmp_path):
    gt = np.random.default_rng(0).random(roads.SHAPE) < 0.1
    drives = [made_up_drive(0), made_up_drive(1)]
    curved = np.array([[-3.25, 7.0], [0.1 + 0.2, 7.5], [4.0, 9.0]])
    kerb = MapPolyline("Curb", 0.9, curved)
    drives[1].lines[4] = (kerb, MapPolyline("SolidLine", 0.6, curved[:2]))
    drives[1].lines[6] = (kerb,)
    run = made_up_run(drives, road=roads.metrics(roads.frame(gt, gt)))
    back, _ = read_run(write(tmp_path, run))
    for one, other in zip(run.sequences, back.sequences, strict=True):
        assert [len(lines) for lines in one.lines] == [len(lines) for lines in other.lines]
        for lines in zip(one.lines, other.lines, strict=True):
            for left, right in zip(*lines, strict=True):
                assert_same(left, right)
    (tmp_path / "lines.parquet").unlink()
    with pytest.raises(ValueError, match=r"lines\.parquet is missing"):
        read_run(tmp_path)
    write(tmp_path, run)
    write(tmp_path, made_up_run(drives))
    assert not (tmp_path / "lines.parquet").exists()
    assert not any(read_run(tmp_path)[0].sequences[1].lines)


def test_an_earlier_run_in_the_folder_leaves_nothing(tmp_path):
    write(tmp_path, made_up_run())
    write(tmp_path, made_up_run([made_up_drive(0, labelled=False)]))
    back, pictures = read_run(tmp_path)
    assert back.metrics.detection is None
    assert not pictures
    assert not list(tmp_path.glob("worst/*"))


def test_a_run_of_nothing_comes_back(tmp_path):
    back, _ = read_run(write(tmp_path, made_up_run([])))
    assert back.summary.frames == 0
    assert back.sequences == []


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_noise_in_it(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : -8] = bytes(len(content) - len(content) // 2 - 8)
    path.write_bytes(content)


def of_another_program(path):
    pq.write_table(pa.table({"price": [1.0]}), path)


def without_its_last_row(path):
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows - 1), path)


def of_another_version(path):
    reported = json.loads(path.read_text())
    del reported["seed"]
    path.write_text(json.dumps(reported))


def with_value(column, value):
    """Replaces a column of a table by one value."""

    def harm(path):
        table = pq.read_table(path)
        number, field = table.column_names.index(column), table.schema.field(column)
        values = pa.array([value] * table.num_rows, field.type)
        pq.write_table(table.set_column(number, field, values), path)

    return harm


@pytest.mark.parametrize(
    ("name", "harm", "said_of_it"),
    [
        ("run.json", lambda path: path.unlink(), "run.json is missing: the run has not finished"),
        ("truth.parquet", lambda path: path.unlink(), "truth.parquet is missing"),
        ("metrics.json", half, "metrics.json: Invalid JSON"),
        ("run.json", of_another_version, "run.json: seed: Field required"),
        ("detections.parquet", half, "detections.parquet: is not a whole Parquet file"),
        ("truth.parquet", with_noise_in_it, "truth.parquet: is not a whole Parquet file"),
        ("frames.parquet", half, "frames.parquet: is not a whole Parquet file"),
        ("truth.parquet", of_another_program, "truth.parquet: has no column"),
        ("detections.parquet", without_its_last_row, "but run.json speaks of"),
        ("detections.parquet", with_value("class_id", 8), "detections.parquet has class_id 8, and"),
        ("truth.parquet", with_value("class_id", -1), "class_id has a value outside 0 to 63"),
        ("truth.parquet", with_value("occlusion_level", 2**60), "occlusion_level has a value"),
        ("frames.parquet", with_value("timestamp_us", -1), "timestamp_us has a value outside"),
        ("frames.parquet", with_value("drive", None), "drive has rows without a value"),
        ("frames.parquet", with_value("picture", "x" * 9999), "the picture 'xxx.*is not in the"),
    ],
)
def test_a_harmed_folder_is_named_in_one_line(tmp_path, name, harm, said_of_it):
    folder = write(tmp_path / "run", made_up_run())
    harm(folder / name)
    with pytest.raises(ValueError, match=said_of_it) as error:
        read_run(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_of_before_radar_points_were_counted_is_read(tmp_path):
    folder = write(tmp_path / "run", made_up_run())
    table = pq.read_table(folder / "truth.parquet")
    pq.write_table(table.drop_columns(["num_radar_points"]), folder / "truth.parquet")
    run, _ = read_run(folder)
    assert all(labels.num_radar_points is None for labels in run.sequences[0].labels)


def test_a_picture_that_does_not_fit_on_the_disk_is_named(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a write names no file

    monkeypatch.setattr(Path, "write_bytes", full)
    match = r"worst/01\.webp cannot be written: No space left on device; make room on that disk"
    with pytest.raises(OSError, match=match):
        write(tmp_path / "run", made_up_run())


def test_no_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: there is no such folder"):
        read_run(tmp_path / "nowhere")


def test_frames_have_their_consistency_and_tracks_a_row_each(tmp_path):
    run = made_up_run()
    folder = write(tmp_path / "run", run)
    frames = pq.read_table(folder / "frames.parquet").to_pylist()
    of_frame = {(each.sequence, each.timestamp_us): each for each in run.metrics.consistency.frames}
    assert len(frames) == len(of_frame)
    for row in frames:
        expected = of_frame[row["sequence"], row["timestamp_us"]]
        for name in ("consistency", "expected", "missing", "id_changes", "class_flips",
                     "occlusion_flips"):  # fmt: skip
            assert row[name] == getattr(expected, name)
    assert frames[0]["consistency"] is None
    tracks = pq.read_table(folder / "tracks.parquet")
    assert tracks.num_rows == run.summary.tracks
    detections = pq.read_table(folder / "detections.parquet")
    assert sum(tracks["frames"].to_pylist()) == detections.num_rows


def test_tables_of_memory_of_an_earlier_run_are_removed(tmp_path):
    write(tmp_path / "run", made_up_run())
    old = tmp_path / "run/memory/slots/gone.parquet"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "run" / MARK).touch()
    write(tmp_path / "run", made_up_run())
    assert not old.exists()
