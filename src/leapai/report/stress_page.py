"""The page of a stress run as one HTML text: curves, tables, and the worst pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leapai.io import write_text
from leapai.report.page_template import filled
from leapai.report.report_worst_frames import data_url
from leapai.report.stress_charts import chart_keys, corruption_charts, level_charts
from leapai.report.stress_tables import (
    OTHERS_NOTE,
    class_table,
    condition_table,
    others_table,
    part_tables,
    relative_table,
    stress_tiles,
)
from leapai.report.theme import page_style
from leapai.runs.stress_folder import read_stress
from leapai.runs.stress_results import StressRun
from leapai.runs.weights_facts import weights_facts
from leapai.version import __version__

Pair = tuple[str, str]
_SECTIONS = {
    "scores": "Scores",
    "corruptions": "Corruptions",
    "faults": "Faults",
    "worst": "Worst frames",
    "classes": "Classes",
    "run": "Run",
}
_SHOWN_WORST = 12


@dataclass(frozen=True)
class WorstPicture:
    """The frame that lost most under one condition."""

    words: str
    sequence: str
    timestamp_us: int
    loss: float
    picture: str
    """The picture as a data URL; empty: it is not there."""


def write_stress_page(path: Path, folder: Path) -> None:
    """Writes the page of a finished stress run.

    Raises ValueError as `read_stress` does, and where jinja2 is not installed.
    """
    write_text(path, filled("stress.html.j2", _content(read_stress(folder))))


def _content(run: StressRun) -> dict[str, Any]:
    summary = run.summary
    corrupted = [result for result in run.results if result.corruption is not None]
    parts = list(part_tables(run))
    has = {**dict.fromkeys(_SECTIONS, True), "corruptions": bool(corrupted), "faults": bool(parts)}
    return {
        "title": run.folder.resolve().name,
        "style": page_style(),
        "version": __version__,
        "sections": [(id_, name) for id_, name in _SECTIONS.items() if has[id_]],
        "facts_of_run": list(_facts(run)),
        "notices": list(_notices(run)),
        "tiles": list(stress_tiles(run)),
        "charts_of_corruptions": corruption_charts(run),
        "levels": level_charts(run),
        "keys": chart_keys(),
        "corruptions": relative_table(run),
        "others": others_table(),
        "others_note": OTHERS_NOTE,
        "corrupted": condition_table([run.results[0], *corrupted]) if corrupted else None,
        "parts": parts,
        "classes": class_table(run.results),
        "worst": _worst(run),
        "skipped": [(name.replace("_", " "), why) for name, why in summary.skipped.items()],
        "versions": [("leapai", summary.version), *summary.versions.items()],
        "folder": str(run.folder),
    }


def _facts(run: StressRun) -> Iterator[Pair]:
    summary = run.summary
    version = f", version {summary.data_version}" if summary.data_version else ""
    yield "data", f"{summary.data}{version}"
    yield from weights_facts(summary, run.config)
    count = summary.sequences
    yield "frames", f"{summary.frames} with labels in {count} drive{'s' * (count != 1)}"
    yield "conditions", f"{summary.conditions - 1}, and the clean one; seed {summary.draws_seed}"
    yield "run", f"{summary.finished_utc.replace('T', ' ')} on {summary.device}"


def _notices(run: StressRun) -> Iterator[str]:
    summary = run.summary
    if summary.quick:
        yield "A quick run: few frames and one severity, so there is no mRA."
    elif summary.mean_relative_score is None:
        yield "Not all corruptions were run at all severities, so there is no mRA."
    if summary.max_frames is not None:
        yield f"Only the first {summary.max_frames} frames of each drive were streamed."
    if not summary.clean.mean_ap:
        yield "Nothing is found in the clean frames, so there are no relative scores."


def _worst(run: StressRun) -> list[WorstPicture]:
    """Returns the conditions whose worst frame lost most."""
    lost = [(result, result.worst) for result in run.results if result.worst is not None]
    lost.sort(key=lambda pair: (-pair[1].loss, pair[0].name))
    return [
        WorstPicture(
            result.words,
            worst.sequence,
            worst.timestamp_us,
            worst.loss,
            data_url(picture) if (picture := run.picture(result.name)) else "",
        )
        for result, worst in lost[:_SHOWN_WORST]
    ]
