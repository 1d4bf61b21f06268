"""Recordings of sequences for rerun, Foxglove and ROS 2: written and opened.

They are written while a run streams (`--viewer`, `--format mcap`, `--format rosbag`), or afterwards
from the folder of the run and the data that it read (`leapai view`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from leapai.config.untrusted_data import untrusted
from leapai.data.frame_check import check_frame
from leapai.data.log import DrivingLog, open_logs, version_of
from leapai.evaluation.sequence_result import SequenceResult
from leapai.extras import RecordingFormat, check_recorder
from leapai.folders import inside
from leapai.io import whole_file
from leapai.pictures.foxglove_layout import LAYOUT
from leapai.runs.earlier_pictures import all_recordings_of, recording_of
from leapai.runs.run_folder import Run, read_run
from leapai.streaming.step_result import StepResult
from leapai.types import Frame

_MODULES: dict[RecordingFormat, str] = {
    "rerun": "leapai.pictures.recording",
    "mcap": "leapai.pictures.foxglove_recording",
    "rosbag": "leapai.pictures.ros_recording",
}
_END_US: dict[RecordingFormat, int] = {
    "rerun": 2**63 // 1000,
    "mcap": 2**64 // 1000,
    "rosbag": 2**31 * 10**6,
}
"""End of time of a format: nanoseconds in 64 bits, or seconds in 32."""
Record = Callable[[Frame, StepResult], None]
"""Adds a frame and the result of its step to the recordings."""


def recorder(
    formats: Collection[RecordingFormat], confident: float
) -> Callable[[Path, DrivingLog], AbstractContextManager[Record]]:
    """Returns a context manager that records a sequence into a folder, a file for each format.

    Recordings of an earlier run are removed from there: they would be taken for those of this.
    Detections below `confident` are hidden at first, or left out. Raises ValueError where what
    writes a format is not installed.
    """
    return partial(_recordings, [(each, _recording_module(each)) for each in formats], confident)


@contextmanager
def _recordings(
    formats: Collection[tuple[RecordingFormat, ModuleType]],
    confident: float,
    folder: Path,
    log: DrivingLog,
) -> Iterator[Record]:
    for path in all_recordings_of(folder, log.name):
        path.unlink(missing_ok=True)
    with ExitStack() as files:
        recordings = []
        for format, module in formats:
            _check_times(format, log)
            temporary = files.enter_context(whole_file(recording_of(folder, log.name, format)))
            recording = module.SequenceRecording(temporary, log.vector_map(), confident)
            recordings.append(files.enter_context(recording))

        def record(frame: Frame, result: StepResult) -> None:
            for recording in recordings:
                known = replace(frame, faults=result.faults)
                recording.add(known, result.detections, result.memory_slots, result.lines)

        yield record


def _check_times(format: RecordingFormat, log: DrivingLog) -> None:
    """Raises ValueError where a format cannot hold the times of a sequence."""
    latest_us = int(np.max(log.timestamps_us, initial=0))
    if latest_us >= _END_US[format]:
        raise ValueError(
            f"{log.name}: timestamps_us reach {latest_us}, and a recording ({format}) holds times "
            f"below {_END_US[format]} us; correct the clock of the data, or do not record it"
        )


def _recording_module(format: RecordingFormat) -> ModuleType:
    """Imports the module that writes a format."""
    check_recorder(format)
    return import_module(_MODULES[format])


def view_run(
    folder: Path,
    sequence: str | None = None,
    *,
    format: RecordingFormat = "rerun",
    opens: bool = True,
    console: Console | None = None,
) -> Path:
    """Returns the recording of one drive of a finished run, written if there is none yet; by
    default that of the first drive. Opens that of rerun where there is a screen and `opens`, else
    prints how to.

    Raises ValueError for what a user can fix.
    """
    console = console or Console()
    run, _ = read_run(folder)
    sequences = {each.detections[0].sequence: each for each in run.sequences}
    name = next(iter(sequences)) if sequence is None else sequence
    if name not in sequences:
        raise ValueError(f"{folder}: has no drive '{name}'; its drives: {', '.join(sequences)}")
    module = _recording_module(format)
    path = recording_of(folder, name, format)
    if inside(folder, path.name) is None:
        log = _log_of(run, sequences[name])
        _check_times(format, log)
        with (
            whole_file(path) as temporary,
            module.SequenceRecording(temporary, log.vector_map(), _confident(run)) as recording,
        ):
            _record_afterwards(recording, log, sequences[name], run, console)
    console.print(f"  -> [bold]{path}[/]", highlight=False)
    if format == "rerun" and opens and _has_screen():
        _open(path)
    else:
        console.print(how_to_open(path), highlight=False, soft_wrap=True)
    return path


def how_to_open(path: Path) -> str:
    """Returns how a recording is opened; that of rerun with a screen and without one."""
    if path.suffix == ".mcap":
        return f"open it in Foxglove, and import its layout {path.with_name(LAYOUT)}"
    return (
        f"open it with `rerun {path}`, or serve it to a browser of this machine with `rerun "
        f"--serve-web --bind 127.0.0.1 {path}`"
    )


def _record_afterwards(
    recording: Any, log: DrivingLog, sequence: SequenceResult, run: Run, console: Console
) -> None:
    """Records detections of a run over its data, read again and checked as while it streamed, with
    the faults of then; memory slots are not on disk."""
    groups = run.config.camera.groups
    for i, found in enumerate(track(sequence.detections, log.name, console=console)):
        checked = check_frame(log[i], groups=groups)
        known = replace(checked, faults=sequence.faults[i])
        recording.add(known, found, None, sequence.lines[i])


def _confident(run: Run) -> float:
    return run.config.draw_dynamic_cfg.dynamic_conf


def _log_of(run: Run, sequence: SequenceResult) -> DrivingLog:
    """Opens the data of a sequence again. Raises ValueError where it is not what the run read."""
    data, version = untrusted(run.summary.data), run.summary.data_version
    config = run.config
    logs = open_logs(
        data,
        image_size_px=config.camera.image_size_px,
        label_range_m=config.bev.label_range_m,
        vocabulary=config.vocabulary,
    )
    if version_of(logs) == version and sequence.number < len(logs):
        log = logs[sequence.number]
        read_us = [found.timestamp_us for found in sequence.detections]
        if log.timestamps_us[: len(read_us)].tolist() == read_us:
            return log
    raise ValueError(
        f"{data}: is not what the run saw any more; run `leapai val --viewer` to record anew"
    )


def _has_screen() -> bool:
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


def _open(path: Path) -> None:
    """Opens the viewer, which listens to this machine only; returns when it is closed."""
    command = [sys.executable, "-m", "rerun", "--bind", "127.0.0.1", str(path)]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ValueError(f"rerun's viewer ended with status {status}; {how_to_open(path)}")
