"""A run goes on over bad frames, counts them, and draws with no calibration that is wrong."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from leapai.config.options import ValidationOptions
from leapai.runs import run_inputs
from leapai.validation import run_validation
from tests.scenes import joint_config, small_config
from tests.training.runs import StubLog
from tests.wrong_frames import camera_with, pose_with, put


def run(output, monkeypatch, log, config):
    """Returns the summary, what was printed, and the faults of each frame."""
    monkeypatch.setattr(run_inputs, "open_logs", lambda *_, **__: [log])
    console = Console(record=True, width=200, file=io.StringIO())
    options = ValidationOptions(output=output, random_weights=True, data="made up")
    summary = run_validation(config, options, console)
    faults = pq.read_table(output / "frames.parquet").column("faults").to_pylist()
    return summary, console.export_text(), faults


def changed_at(index, change):
    return lambda i, frame: change(frame) if i == index else frame


JUMP = pose_with(put((0, 3), 9000.0))


def test_a_frame_that_is_refused_is_left_out_and_counted(tmp_path, monkeypatch):
    log = StubLog(0, 4, changed_at(2, JUMP))
    summary, printed, faults = run(tmp_path, monkeypatch, log, small_config())
    assert summary.frames == 3
    (words,) = faults[2]
    assert words.startswith("frame: drive0 at 1200000 us: ego2global moved by 89")
    assert faults[:2] == [[], []]
    assert words in printed
    assert "frame failed in 1 of 3 frames, first: drive0 at 1200000 us" in printed


def test_a_source_whose_first_frame_is_refused_is_wrong(tmp_path, monkeypatch):
    log = StubLog(0, 4, changed_at(0, pose_with(put((0, 3), np.nan))))
    with pytest.raises(ValueError, match="drive0 at 1000000 us: ego2global is not finite"):
        run(tmp_path, monkeypatch, log, small_config())


def test_pictures_are_drawn_without_cameras_whose_calibration_is_wrong(tmp_path, monkeypatch):
    def spoilt(frame):
        wrong = {
            "back": {"intrinsics": put((0, 0), np.nan)},
            "front_left": {"ego_from_camera": put((0, 3), 1e30)},
            "front_wide": {"distortion": put(2, np.inf)},
        }
        for name, values in wrong.items():
            frame = camera_with(name, **values)(frame)
        return frame

    config = small_config(eval_with_visualize=True, evaluation={"min_score": 0.0})
    log = StubLog(0, 2, changed_at(1, spoilt))
    summary, _, faults = run(tmp_path, monkeypatch, log, config)
    assert summary.frames == 2
    assert [len(each) for each in faults] == [0, 3]
    assert {fault.partition(": ")[0] for fault in faults[1]} == {"back", "front_left", "front_wide"}
    assert len(list((tmp_path / "pictures" / "drive0").glob("*.png"))) == 2


@pytest.mark.parametrize("left_out", [{"cameras": ()}, {"points": None}])
def test_a_rig_without_cameras_and_one_without_lidar_are_evaluated(tmp_path, monkeypatch, left_out):
    config = joint_config(evaluation={"min_score": 0.0})
    log = StubLog(0, 1, lambda _, frame: replace(frame, **left_out))
    summary, _, _ = run(tmp_path, monkeypatch, log, config)
    assert summary.frames == 1
    assert summary.detections > 0
    assert (tmp_path / "report.html").is_file()
