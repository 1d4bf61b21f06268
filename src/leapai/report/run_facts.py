"""Facts at the top of the report: what was run, and what limits the metrics of a run or of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from leapai.report.run_view import RunView
from leapai.runs.run_summary import same_machine
from leapai.runs.run_warnings import warnings_of
from leapai.runs.weights_facts import weights_facts

Pair = tuple[str, str]


def facts(of_run: RunView) -> Iterator[Pair]:
    """Yields what was run, with which weights, on what data and machine."""
    summary = of_run.run.summary
    version = f", version {summary.data_version}" if summary.data_version else ""
    yield "data", f"{summary.data}{version}"
    yield from weights_facts(summary, of_run.run.config)
    evaluated, of_map = f"{summary.labelled_frames} with labels", of_run.run.metrics.road
    if of_map is not None:
        evaluated += f", {of_map.labelled_frames} with a map"
    count = len(summary.frames_by_sequence)
    yield "frames", f"{summary.frames} in {count} drive{'s' * (count != 1)}, {evaluated}"
    if of_run.run.config.dynamic_task:
        yield "detected", f"{summary.detections} detections, {summary.tracks} tracks"
    processes = f", {summary.processes} processes" if summary.processes > 1 else ""
    machine = summary.machine or summary.device
    yield "run", f"{summary.finished_utc.replace('T', ' ')} on {machine}{processes}"


def health(of_run: RunView) -> Iterator[Pair]:
    """Yields the state of the sensors and of the memory over the run."""
    run = of_run.run
    for sensor, failures in run.summary.faults.items():
        yield (
            sensor,
            f"failed in {failures.frames} of {run.summary.frames} frames: {failures.first}",
        )
    if not run.summary.faults:
        yield "sensors", f"none failed in {run.summary.frames} frames"
    memory = [each for sequence in run.sequences for each in sequence.memory]
    ages = [each.oldest_age_s for each in memory if each.oldest_age_s is not None]
    if ages:
        used = np.mean([each.slots for each in memory])
        yield "slots in use", f"{used:.0f} of {run.config.history_slots}, mean over frames"
        yield "oldest slot", f"{np.median(ages):.2f} s, median over frames"
    if run.config.dynamic_task:
        resets, first = sum(each.reset for each in memory), len(run.sequences)
        yield "memory resets", f"{resets}, of which {first} at the start of a drive"


def notices(views: Sequence[RunView]) -> Iterator[str]:
    """Yields what a reader of the metrics has to know, also of their differences."""
    compared = len(views) > 1
    for letter, each in zip("AB", views, strict=False):
        for warning in warnings_of(each.run):
            yield f"{letter}: {warning}" if compared else warning
    if compared:
        yield from _incomparable(*views)


def _incomparable(first: RunView, second: RunView) -> Iterator[str]:
    """Yields reasons why a difference may not be the network's."""
    one, other = first.run.summary, second.run.summary
    if (one.data, one.data_version) != (other.data, other.data_version):
        yield "The runs are of different data: differences are not the network's alone."
    elif one.frames_by_sequence != other.frames_by_sequence:
        yield "The runs are of different frames: differences are not the network's alone."
    a, b = (each.run.config for each in (first, second))
    if (a.evaluation, a.bev, a.static.region()) != (b.evaluation, b.bev, b.static.region()):
        yield "The runs differ in settings of evaluation, BEV range or static region."
    if not same_machine([one, other]):
        machines = [each.machine or f"{each.device} of an unknown machine" for each in (one, other)]
        yield f"A ran on {machines[0]}, B on {machines[1]}: their times are not compared."
