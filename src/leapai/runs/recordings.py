"""Recordings for rerun's viewer: written while a run streams (`--viewer`) or afterwards, from what
the run left and the data it read (`leapai view`); and opened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import track

from leapai.data.log import DrivingLog, open_logs, version_of
from leapai.evaluation.sequence_result import SequenceResult
from leapai.io import whole_file
from leapai.runs.run_folder import Run, read_run
from leapai.streaming.session import StepResult, memory_slots_of
from leapai.types import Frame

Record = Callable[[Frame, StepResult], None]
"""Adds to a recording a frame and what a step made of it."""


def recorder(
    wanted: bool, confident: float
) -> Callable[[Path, DrivingLog], AbstractContextManager[Record]]:
    """What records a drive into a file, as a context manager; not `wanted`, it does nothing.

    Detections below `confident` are recorded, but hidden at first. Raises ValueError where a
    recording is wanted and rerun-sdk is missing.
    """
    return partial(_recording, _recording_module(), confident) if wanted else _no_recording


@contextmanager
def _no_recording(path: Path, _: DrivingLog) -> Iterator[Record]:
    """The stub. A recording of an earlier run does not stay: it would be taken for one of this."""
    path.unlink(missing_ok=True)
    yield lambda frame, result: None


@contextmanager
def _recording(
    module: ModuleType, confident: float, path: Path, log: DrivingLog
) -> Iterator[Record]:
    with (
        whole_file(path) as temporary,
        module.SequenceRecording(temporary, log.vector_map(), confident) as drive,
    ):

        def record(frame: Frame, result: StepResult) -> None:
            drive.add(frame, result.detections, memory_slots_of(result), result.lines)

        yield record


def _recording_module() -> ModuleType:
    """`leapai.pictures.recording`, which needs rerun-sdk."""
    try:
        from leapai.pictures import recording
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] != "rerun":
            raise
        raise ValueError(
            "rerun-sdk, which writes and shows recordings, is not installed: "
            "pip install 'leapai[viewer]'"
        ) from None
    return recording


def view_run(
    folder: Path, drive: str | None = None, *, opens: bool = True, console: Console | None = None
) -> Path:
    """The recording of one drive of a finished run, written if there is none yet; by default that
    of the first drive. Opens it where there is a screen and `opens`, else says how to.

    Raises ValueError for what a user can mend.
    """
    console = console or Console()
    run, _ = read_run(folder)
    drives = {drive.detections[0].sequence: drive for drive in run.drives}
    name = next(iter(drives)) if drive is None else drive
    if name not in drives:
        raise ValueError(f"{folder}: has no drive '{name}'; its drives: {', '.join(drives)}")
    module = _recording_module()
    path = folder / f"{name}.rrd"
    if not path.is_file():
        with whole_file(path) as temporary:
            _record_afterwards(module, run, drives[name], temporary, console)
    console.print(f"  -> [bold]{path}[/]", highlight=False)
    if opens and _has_screen():
        _open(path)
    else:
        console.print(how_to_open(path), highlight=False, soft_wrap=True)
    return path


def how_to_open(path: Path) -> str:
    """For a machine with a screen, and for one without."""
    return (
        f"open it with `rerun {path}`, or serve it to a browser of this machine with `rerun "
        f"--serve-web --bind 127.0.0.1 {path}`"
    )


def _record_afterwards(
    module: ModuleType, run: Run, drive: SequenceResult, path: Path, console: Console
) -> None:
    """From the sensors as the data gives them again; memory slots are not on disk."""
    log = _log_of(run, drive)
    confident = run.config.draw_dynamic_cfg.dynamic_conf
    with module.SequenceRecording(path, log.vector_map(), confident) as recording:
        for i, said in enumerate(track(drive.detections, log.name, console=console)):
            recording.add(log[i], said, None, drive.lines[i])


def _log_of(run: Run, drive: SequenceResult) -> DrivingLog:
    """The drive as its data has it; raises ValueError where that is not what the run saw."""
    data, version = run.summary.data, run.summary.data_version
    logs = open_logs(data, image_size_px=run.config.camera.image_size_px)
    if version_of(logs) == version and drive.number < len(logs):
        log = logs[drive.number]
        seen_us = [said.timestamp_us for said in drive.detections]
        if log.timestamps_us[: len(seen_us)].tolist() == seen_us:
            return log
    raise ValueError(
        f"{data}: is not what the run saw any more; run `leapai val --viewer` to record anew"
    )


def _has_screen() -> bool:
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


def _open(path: Path) -> None:
    """Returns when the viewer is closed. It listens to this machine only."""
    command = [sys.executable, "-m", "rerun", "--bind", "127.0.0.1", str(path)]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ValueError(f"rerun's viewer ended with status {status}; {how_to_open(path)}")
