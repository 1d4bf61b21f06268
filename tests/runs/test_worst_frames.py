"""The worst frames: which are kept, with what picture, whatever the order and the processes."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from leapai.runs.worst_frames import KEPT, WorstFrames, encoded, worst_of
from tests.evaluation.made_up import BEV, detections_at, gt

BLANK = np.zeros((90, 160, 3), np.uint8)


def step(second, missed, sequence="drive", tenth=0):
    """A step in which so many cars are missed, 20 m away."""
    labels = gt([[20.0, 3.0 * k] for k in range(missed)])
    detections = detections_at(
        [], timestamp_us=second * 1_000_000 + tenth * 100_000, sequence=sequence
    )
    frame = SimpleNamespace(labels=labels)
    return SimpleNamespace(detections=detections, frame=frame, memory=())


def kept_of(*drives):
    """What one process keeps that streams these drives, each a list of steps."""
    worst = WorstFrames(BEV)
    for result in (result for drive in drives for result in drive):
        frame = worst.candidate(result)
        if frame is not None:
            worst.keep(frame, BLANK)
    return worst.frames


def drive(seed, sequence):
    counts = np.random.default_rng(seed).integers(0, 9, (20, 3))
    return [
        step(second, int(missed), sequence, tenth)
        for second, row in enumerate(counts)
        for tenth, missed in enumerate(row)
    ]


def test_of_each_second_the_worst_and_of_those_the_worst():
    steps = [step(0, 2), step(0, 5, tenth=3), step(0, 4, tenth=5), step(1, 1), step(2, 0)]
    assert [(f.timestamp_us, f.weight) for f in kept_of(steps)] == [
        (300_000, 5.0),
        (1_000_000, 1.0),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_looking_at_all_frames_at_once_gives(seed):
    one, other = drive(seed, "a"), drive(seed + 10, "b")
    best = {}
    for result in one + other:
        missed, time = len(result.frame.labels), result.detections.timestamp_us
        window = (result.detections.sequence, time // 1_000_000)
        if missed:
            best[window] = min(best.get(window, (0, "", 0)), (-missed, window[0], time))
    expected = [(name, time) for _, name, time in sorted(best.values())[:KEPT]]
    together = kept_of(one, other)
    shared = worst_of([*kept_of(other), *kept_of(one)])  # by two processes
    assert [frame.key for frame in together] == [frame.key for frame in shared] == expected
    assert all(frame.picture_webp for frame in together)


def test_frames_that_are_right_or_unlabelled_are_not_wanted():
    worst = WorstFrames(BEV)
    assert worst.candidate(step(0, 0)) is None
    unlabelled = step(1, 3)
    unlabelled.frame.labels = None
    assert worst.candidate(unlabelled) is None
    without_dynamic_task = step(1, 3)
    without_dynamic_task.memory = None
    assert worst.candidate(without_dynamic_task) is None


def test_pictures_shrink_to_the_width_of_the_report():
    image = np.tile(np.arange(1920, dtype=np.uint8)[None, :, None], (1080, 1, 3))
    small = Image.open(io.BytesIO(encoded(image)))
    assert (small.format, small.size) == ("WEBP", (1280, 720))
    assert Image.open(io.BytesIO(encoded(BLANK))).size == (160, 90)
    (frame,) = kept_of([step(0, 1)])
    assert Image.open(io.BytesIO(frame.picture_webp)).size == (160, 90)


def test_with_expected_weights_a_frame_counts_by_what_fails_more():
    expected = {("drive", 0): 4.0, ("drive", 1_000_000): 0.0, ("drive", 2_000_000): 1.0}
    worst = WorstFrames(BEV, kept=1, expected=expected)
    for result in (step(0, 6), step(1, 3), step(2, 1), step(3, 9)):
        frame = worst.candidate(result)
        if frame is not None:
            worst.keep(frame, BLANK)
    (frame,) = worst.frames
    assert (frame.timestamp_us, frame.weight) == (1_000_000, 3.0)  # 9 at 3 s are not expected


def test_nothing_is_kept_where_no_frame_is_asked_for():
    worst = WorstFrames(BEV, kept=0)
    assert worst.candidate(step(0, 5)) is None
