"""Recordings for rerun's viewer: written while a run streams (`--viewer`), or afterwards from what
a run left (`leapai view`), and opened."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError
from rich.console import Console
from rich.progress import track

from leapai.config import DrawDynamicConfig
from leapai.data.logs import DrivingLog, open_logs, version_of
from leapai.runtime.files import whole_file
from leapai.runtime.session import StepResult
from leapai.types import Detections, Frame
from leapai.visualisation.scene import MemoryDots

INSTALL = "pip install 'leapai[viewer]'"
VIEWED_IMAGE_SIZE_PX = (256, 480)
"""At which a source that renders does so for a recording made afterwards."""

Record = Callable[[Frame, StepResult], None]
"""Adds a frame and what the network said of it to a recording."""


def recorder(
    wanted: bool, confident: float
) -> Callable[[Path, DrivingLog], AbstractContextManager[Record]]:
    """What records a drive into a file, as a context manager; one that does nothing if not
    `wanted`.

    Detections below `confident` are recorded, but not shown at first. Raises ValueError where
    rerun-sdk is wanted and missing.
    """
    return partial(_recording, _rerun_parts(), confident) if wanted else _no_recording


@contextmanager
def _no_recording(path: Path, log: DrivingLog) -> Iterator[Record]:
    """The stub. A recording of an earlier run is not one of this run."""
    path.unlink(missing_ok=True)
    yield lambda frame, result: None


@contextmanager
def _recording(
    parts: ModuleType, confident: float, path: Path, log: DrivingLog
) -> Iterator[Record]:
    with (
        whole_file(path) as temporary,
        parts.DriveRecording(temporary, log.vector_map(), confident) as recording,
    ):
        yield lambda frame, result: recording.add(frame, result.detections, memory_dots(result))


def _rerun_parts() -> ModuleType:
    try:
        from leapai.visualisation import recording
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "rerun":
            raise
        raise ValueError(f"recordings need rerun-sdk, which is not installed: {INSTALL}") from error
    return recording


def memory_dots(result: StepResult) -> MemoryDots:
    """The valid history slots of a frame, as they are drawn."""
    memory = result.memory
    valid = memory.valid[0].cpu().numpy()
    stored_us = memory.timestamp_us[0].cpu().numpy()[valid]
    # Frames may be unevenly spaced, so age counts distinct times, newest first.
    distinct = np.unique(stored_us)
    age = len(distinct) - np.searchsorted(distinct, stored_us)
    return MemoryDots(
        position_m=memory.reference_m[0].cpu().numpy()[valid],
        velocity_mps=memory.velocity_mps[0].cpu().numpy()[valid],
        class_id=memory.class_id[0].cpu().numpy()[valid],
        age=age,
    )
