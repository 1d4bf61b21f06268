"""The folder of a prediction: what `leapai predict` writes.

`detections.parquet`  the detections
`lines.parquet`       the lines of the predicted map, where the static task is on
`tracks.parquet`      the tracks
`frames.parquet`      every frame: pose, sensor faults, memory
`pictures/`, `*.mp4`  pictures, and a video of every sequence
`prediction.json`     the summary: source, weights, counts, sensors; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from leapai.config.schema import TaskConfig
from leapai.evaluation.sequence_result import SequenceResult
from leapai.folders import sole_user
from leapai.io import write_text
from leapai.runs import parquet_tables
from leapai.runs.earlier_pictures import remove_pictures
from leapai.runs.run_files import PREDICTION
from leapai.runs.run_folder import LINES, config_json, write_detections
from leapai.runs.run_summary import RunSummary
from leapai.runs.tracks_table import TRACKS

TABLES = ("detections.parquet", LINES, TRACKS, "frames.parquet")


@dataclass(frozen=True)
class PredictionSummary(RunSummary):
    """Content of `prediction.json`: the summary of a run, its weights and its sensors."""

    trained_on: str
    """The data that the weights were trained on."""
    sensors: dict[str, dict[str, int]]
    """Name of a sensor -> status -> number of frames."""
    complete: bool
    """False: a signal stopped it."""


@contextmanager
def begun_prediction(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it for this process alone, as long as the block runs. The tables
    of an earlier prediction in it are removed, and the pictures, videos and recordings of the
    sequences that its tables name; other files stay.

    Raises ValueError where it holds files that are not a run's, and where another process holds it.
    """
    with sole_user(folder):
        remove_pictures(folder)
        for name in (PREDICTION, *TABLES):
            (folder / name).unlink(missing_ok=True)
        yield


def write_prediction(
    folder: Path,
    summary: PredictionSummary,
    sequences: Sequence[SequenceResult],
    config: TaskConfig,
) -> None:
    """Writes all tables and the summary."""
    write_text(folder / "config.json", config_json(config))
    write_detections(folder, sequences, config)
    frames = parquet_tables.frame_table(sequences, (), {})
    parquet_tables.write_table(folder / "frames.parquet", parquet_tables.FRAME_SCHEMA, [frames])
    write_text(folder / PREDICTION, json.dumps(asdict(summary), indent=2) + "\n")
