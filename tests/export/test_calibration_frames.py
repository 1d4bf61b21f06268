"""Inputs that calibrate an exported step: those of a stream, bounded, from drives over the whole
source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import leapai
from leapai.data.log import DrivingLog
from leapai.export import calibration_frames
from leapai.export.calibration_frames import CalibrationFrames, spread
from tests.runtime.exported import write_export
from tests.scenes import joint_config, make_frame

CONFIG = joint_config()


class Drive(DrivingLog):
    vocabulary = CONFIG.vocabulary

    def __init__(self, name, frames):
        self.name, self.frames = name, frames

    @property
    def timestamps_us(self):
        return np.array([frame.timestamp_us for frame in self.frames])

    def __getitem__(self, index):
        return replace(self.frames[index], sequence=self.name)


def open_drives(location, options):
    return [Drive(f"drive {n}", [make_frame(i) for i in range(4)]) for n in range(int(location))]


def open_nothing(location, options):
    return [Drive("empty", [])]


def open_broken(location, options):
    """A drive whose second frame has points without a height."""
    frames = [make_frame(index) for index in range(3)]
    frames[1] = replace(frames[1], points=np.zeros((4, 2), np.float32))
    return [Drive("broken", frames)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("joint"), CONFIG)


def inputs_of(frames):
    return list(iter(frames.get_next, None))


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (8, list(range(8))), (20, [0, 2, 5, 7])])
def test_drives_are_spread_over_the_source(count, kept):
    assert spread(range(count))[:4] == kept[:4]
    assert len(spread(range(count))) == min(count, 8)
    assert spread(range(20))[-1] == 17


def test_inputs_are_those_with_which_a_stream_runs_the_graph(exported, monkeypatch):
    monkeypatch.setattr(calibration_frames, "MOST_FRAMES", 6)
    frames = CalibrationFrames(exported, f"{__name__}:open_drives:3")
    given = inputs_of(frames)
    assert frames.frames == len(given) == 6
    stream = leapai.load(exported, device="cpu")
    network, seen = stream.session.network, []
    run = network.graph
    network.graph = lambda inputs: seen.append(inputs) or run(inputs)
    for log in open_drives("3", None):
        for frame in (log[0], log[1]):
            stream.step(frame)
    for ours, theirs in zip(given, seen, strict=True):
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert [bool(inputs["reset"][0]) for inputs in given] == [True, False] * 3


@pytest.mark.parametrize(("drives", "count"), [(7, 14), (8, 8)])
def test_frames_are_never_more_than_stated(exported, monkeypatch, drives, count):
    monkeypatch.setattr(calibration_frames, "MOST_FRAMES", 15)
    frames = CalibrationFrames(exported, f"{__name__}:open_drives:{drives}")
    assert len(inputs_of(frames)) == frames.frames == count


def test_a_frame_that_a_stream_would_leave_out_does_not_calibrate(exported):
    frames = CalibrationFrames(exported, f"{__name__}:open_broken:")
    assert len(inputs_of(frames)) == frames.frames == 2


def test_a_source_without_frames_is_named(exported):
    frames = CalibrationFrames(exported, f"{__name__}:open_nothing:")
    with pytest.raises(ValueError, match=r"open_nothing:: has no frame to calibrate with"):
        frames.get_next()
