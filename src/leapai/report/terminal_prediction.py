"""A prediction in the terminal: its weights before it streams, and what it found after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leapai.config.schema import TaskConfig
from leapai.data.sensor_bounds import LIDAR
from leapai.extras import is_installed, missing
from leapai.report.terminal import counted
from leapai.runs.earlier_pictures import files_of
from leapai.runs.prediction_folder import TABLES, PredictionSummary
from leapai.runs.run_files import PREDICTION
from leapai.runs.run_inputs import RunInputs
from leapai.runs.stream_sequences import StreamResults
from leapai.runs.weights_facts import weights_facts
from leapai.streaming.sensor_health import SensorStatus
from leapai.types import CAMERA_GROUPS, Detections

CONFIDENT = 0.3
"""Score from which a detection counts as confident, as pictures show them by default."""


def print_begin(
    inputs: RunInputs, config: TaskConfig, *, with_video: bool, console: Console
) -> None:
    """Prints source and weights, and what the weights were trained on."""
    origin = inputs.origin
    line = f"[bold]predict[/] {escape(origin.data)} on {origin.device}"
    console.print(line, highlight=False, soft_wrap=True)
    for name, words in weights_facts(origin, config):
        _print(console, f"{name}: {words}")
    if with_video and not is_installed("av"):
        _warn(console, f"There will be no video. {missing('report', 'A video needs av')}")


def print_prediction(
    summary: PredictionSummary, results: StreamResults, output: Path, console: Console
) -> None:
    """Prints counts by class, the health of the sensors, warnings and the names of the files."""
    found = [each for sequence in results.sequences for each in sequence.detections]
    if any(len(each) for each in found):
        console.print(class_table(found))
    console.print(sensor_table(results))
    for sentence in _warnings(summary, results):
        _warn(console, sentence)
    seconds = summary.seconds_per_frame
    pace = "" if seconds is None else f", {seconds:.2f} s of the network per frame"
    frames, sequences = (
        counted(*of) for of in ((summary.frames, "frame"), (len(results.sequences), "drive"))
    )
    objects = f"{counted(summary.detections, 'detection')}, {counted(summary.tracks, 'track')}"
    _print(
        console, f"{frames} of {sequences}{pace}: {objects}. `leapai val` evaluates; this does not."
    )
    videos = files_of(summary.frames_by_sequence)
    for name in (*TABLES, PREDICTION, *videos, "pictures"):
        if (output / name).exists():
            console.print(f"  -> [bold]{output / name}[/]", highlight=False, soft_wrap=True)


def class_table(found: list[Detections]) -> Table:
    """Returns a row for each class that was detected: detections, tracks, best score."""
    scores: dict[int, list[float]] = defaultdict(list)
    tracks: dict[int, set[tuple[str, int]]] = defaultdict(set)
    for frame in found:
        for class_id, score, track_id in zip(
            frame.class_id.tolist(), frame.score.tolist(), frame.track_id.tolist(), strict=True
        ):
            scores[class_id].append(score)
            if track_id >= 0:
                tracks[class_id].add((frame.sequence, track_id))
    table = Table(title="detected", caption=f"confident: score of {CONFIDENT:g} or more")
    table.add_column("class")
    for title in ("detections", "confident", "tracks", "best score"):
        table.add_column(title, justify="right")
    for class_id in sorted(scores):
        of_class = scores[class_id]
        counts = (len(of_class), sum(s >= CONFIDENT for s in of_class), len(tracks[class_id]))
        table.add_row(
            found[0].vocabulary.names[class_id], *map(str, counts), f"{max(of_class):.2f}"
        )
    return table


def sensor_table(results: StreamResults) -> Table:
    """Returns a row for each sensor: its frames in order and by each other status that occurred,
    and the first reason of a failure."""
    sensors = results.sensors
    occurred = {status for counts in sensors.frames.values() for status, n in counts.items() if n}
    shown = [each for each in SensorStatus if each is SensorStatus.OK or each.value in occurred]
    table = Table(title="sensors, in frames")
    table.add_column("sensor", overflow="fold")
    for status in shown:
        table.add_column(status.value, justify="right")
    if sensors.reasons:
        table.add_column("first failure", overflow="fold")
    for name, counts in sensors.frames.items():
        frames = (str(counts[status.value] or "") for status in shown)
        reason = [escape(sensors.reasons.get(name, ""))] if sensors.reasons else []
        table.add_row(name, *frames, *reason)
    return table


def _warnings(summary: PredictionSummary, results: StreamResults) -> Iterator[str]:
    """Yields sentences that a reader of the detections has to know."""
    if not summary.complete:
        yield (
            f"Stopped after {counted(summary.frames, 'frame')}: tables, pictures and videos hold "
            "what was streamed until then."
        )
    if not summary.frames:
        yield "There was no frame."
        return
    sensors = results.sensors
    absent = [group for group in CAMERA_GROUPS if group not in sensors.groups]
    if len(absent) == len(CAMERA_GROUPS):
        yield "The source has no camera: objects are detected from LiDAR alone."
    elif absent:
        yield f"The source has no camera of the groups {', '.join(absent)}."
    if sensors.blind:
        yield (
            f"In {sensors.blind} of {counted(summary.frames, 'frame')} no sensor is in order: "
            "what is detected there comes from memory, or from nothing."
        )
    if not sensors.frames[LIDAR][SensorStatus.OK.value] and sensors.blind < summary.frames:
        yield "No frame has a LiDAR sweep in order: objects are detected from cameras alone."
    if not summary.detections:
        yield "Nothing was detected."


def _print(console: Console, sentence: str) -> None:
    console.print(escape(sentence), highlight=False, soft_wrap=True)


def _warn(console: Console, sentence: str) -> None:
    console.print(f"[yellow]{escape(sentence)}[/]", highlight=False, soft_wrap=True)
