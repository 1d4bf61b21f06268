"""Tracking metrics in a terminal."""

import io

from rich.console import Console

from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.report.terminal import tracking_tables
from leapai.types import CLASS_NAMES
from tests.evaluation.made_up import BEV
from tests.evaluation.tracking.test_tracking_metrics import at, crowd


def shown(frames):
    console = Console(record=True, width=80, file=io.StringIO())
    for table in tracking_tables(tracking_metrics(frames, BEV)):
        console.print(table)
    return console.export_text()


def test_they_fit_a_narrow_terminal():
    frames = crowd(0)
    for frame in frames:
        frame.labels.class_id[:] = CLASS_NAMES.index("riderless_non_motor")
    text = shown(frames)
    for words in ("AMOTA", "riderless_non_motor", "IDS", "LGD s", "all"):
        assert words in text
    assert "…" not in text


def test_they_say_what_is_left_out():
    text = shown([at(0, {1: 10, -1: 20}, {7: 10, -1: 20})])
    assert "1 object and 1 track in 1 sequence" in text
    note = "left out: 1 box of objects without track id, 1 detection without identity"
    assert note in " ".join(text.split())
    assert "left out" not in shown([at(0, {1: 10}, {7: 10})])


def test_nothing_to_measure_is_a_dash():
    assert "0 objects and 0 tracks" in shown([])
    assert "-" in shown([])
