"""The feather of Argoverse 2, held against the publisher's own annotations of a real log."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.feather
import pytest

from leapai.data.argoverse2.argoverse2_classes import CATEGORIES
from leapai.data.argoverse2.argoverse2_reader import Argoverse2Log
from leapai.data.argoverse2.argoverse2_submission import argoverse2_table
from leapai.data.argoverse2.argoverse2_tables import CLASS_OF, EGO_HEIGHT_M
from leapai.data.log import open_logs
from leapai.data.submissions import check_submission, write_submission
from leapai.types import CLASS_NAMES, Detections
from tests.pictures.made_up import detections

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "argoverse2" / "val"
SIZE_PX = (64, 96)
OFFICIAL_COLUMNS = {
    *("log_id", "timestamp_ns", "category", "score"),
    *("tx_m", "ty_m", "tz_m", "length_m", "width_m", "height_m", "qw", "qx", "qy", "qz"),
}
"""Of `av2.evaluation.detection.eval`: UUID_COLUMNS, CATEGORY_COLUMN, DTS_COLUMNS."""


def test_a_box_is_told_from_the_axle_and_by_a_quaternion():
    boxes = np.array([[10.0, 3.0, 0.8, 4.0, 2.0, 1.6, np.pi / 2]])
    (row,) = argoverse2_table(detections(boxes, track_id=[12]), 1234567890123456789).to_pylist()
    half = np.sqrt(0.5)
    expected = {
        **dict(zip(("tx_m", "ty_m", "tz_m"), (10.0, 3.0, 0.8 - EGO_HEIGHT_M), strict=True)),
        **dict(zip(("length_m", "width_m", "height_m"), (4.0, 2.0, 1.6), strict=True)),
        **dict(zip(("qw", "qx", "qy", "qz"), (half, 0.0, 0.0, half), strict=True)),
        "score": 0.9,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    words = {name: row[name] for name in set(row) - set(expected)}
    assert words == {
        "log_id": "drive",
        "timestamp_ns": 1234567890123456789,
        "category": "REGULAR_VEHICLE",
        "track_uuid": "12",
    }


def test_without_identity_there_is_no_uuid():
    said = detections(np.ones((2, 7)), track_id=[-1, 3])
    assert argoverse2_table(said)["track_uuid"].to_pylist() == [None, "3"]


def test_nothing_said_is_a_table_of_no_rows():
    table = argoverse2_table(detections(np.zeros((0, 7))))
    assert table.num_rows == 0
    assert set(table.column_names) - OFFICIAL_COLUMNS == {"track_uuid"}


def test_the_words_written_are_read_as_the_same_classes():
    assert set(CATEGORIES) == set(CLASS_NAMES)
    for name, category in CATEGORIES.items():
        assert CLASS_OF[category] == name


def test_data_of_another_kind_is_refused(tmp_path):
    drives = open_logs("synthetic:frames=1", image_size_px=SIZE_PX)
    for act in (check_submission, lambda f, logs: write_submission(f, [], logs, tmp_path)):
        with pytest.raises(ValueError, match=r"synthetic-\d+ is no Argoverse 2 log"):
            act("argoverse2", drives)
    assert not list(tmp_path.iterdir())


def test_a_sweep_keeps_its_nanoseconds(monkeypatch, tmp_path):
    monkeypatch.setattr(Argoverse2Log, "timestamps_ns", np.array([1_234_567, 1_334_567]))
    said = replace(detections(np.ones((1, 7))), timestamp_us=1_334)
    (path,) = write_submission("argoverse2", [said], [Argoverse2Log(Path("drive"))], tmp_path)
    assert pyarrow.feather.read_table(path)["timestamp_ns"].to_pylist() == [1_334_567]


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip(f"no Argoverse 2 log at {REAL}")
    return open_logs(f"argoverse2:{REAL}", image_size_px=SIZE_PX)


def said_of(frame):
    labels, count = frame.labels, len(frame.labels)
    plain = detections(labels.boxes, class_id=labels.class_id, score=np.full(count, 0.5))
    return replace(plain, sequence=frame.sequence, timestamp_us=frame.timestamp_us)


def test_the_gt_of_a_real_log_comes_out_as_its_publisher_wrote_it(real, tmp_path):
    (log,) = real
    said: list[Detections] = [said_of(log.ground_truth(i)) for i in range(0, len(log), 20)]
    (path,) = write_submission("argoverse2", said, real, tmp_path)
    table = pyarrow.feather.read_table(path)
    assert set(table.column_names) >= OFFICIAL_COLUMNS
    theirs = pyarrow.feather.read_table(REAL / log.name / "annotations.feather")
    known = np.isin(theirs["category"].to_pylist(), list(CLASS_OF))
    written = np.isin(theirs["timestamp_ns"].to_numpy(), table["timestamp_ns"].to_numpy())
    theirs = theirs.filter(known & written).sort_by("timestamp_ns")
    assert table.num_rows == theirs.num_rows
    assert table["timestamp_ns"].equals(theirs["timestamp_ns"])
    for name in OFFICIAL_COLUMNS - {"log_id", "timestamp_ns", "category", "score"}:
        ours, given = table[name].to_numpy(), theirs[name].to_numpy()
        if name in ("qw", "qz"):  # a quaternion and its negative are one rotation
            sign = np.sign(theirs["qw"].to_numpy() * table["qw"].to_numpy())
            given = given * np.where(sign == 0, 1, sign)
        np.testing.assert_allclose(ours, given, atol=1e-5, err_msg=name)
    assert set(table["log_id"].to_pylist()) == {log.name}


def test_a_run_that_said_nothing_is_a_whole_file(real, tmp_path):
    (path,) = write_submission("argoverse2", [], real, tmp_path)
    assert pyarrow.feather.read_table(path).num_rows == 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
