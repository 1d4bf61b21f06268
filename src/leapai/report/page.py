"""The page of the report: one run, or two side by side, as one HTML text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leapai.config.load import explain
from leapai.io import write_text
from leapai.report import report_curves, report_tables, run_facts
from leapai.report.page_template import check_templates, filled
from leapai.report.report_map import map_section
from leapai.report.report_sequences import legend, sequence_table, timelines
from leapai.report.report_worst_frames import WORST_NOTE, WorstView, worst_frames
from leapai.report.run_view import RunView, view
from leapai.report.theme import class_colour, joined_names, page_style
from leapai.version import __version__

Pair = tuple[str, str]
_SECTIONS = {
    "metrics": "Metrics",
    "classes": "Classes",
    "distance": "Distance",
    "occlusion": "Occlusion",
    "velocity": "Velocity",
    "road": "Map",
    "tracks": "Tracks",
    "drives": "Drives",
    "worst": "Worst frames",
    "run": "Run",
}
_OF_DETECTION = {"classes", "distance", "occlusion", "velocity"}
_OF_OBJECTS = {"tracks", "drives", "worst"}


@dataclass(frozen=True)
class RunOnPage:
    """The parts of the page that are about one run alone."""

    number: int
    folder: str
    facts: list[Pair]
    worst: list[WorstView]
    no_worst: str
    health: list[Pair]
    versions: list[Pair]
    config_sha256: str
    configuration: str

    @property
    def letter(self) -> str:
        """A of the first run, B of the second."""
        return "AB"[self.number - 1]


def write_report(path: Path, folders: Sequence[Path]) -> None:
    """Writes the report of one finished run, or of two side by side.

    Raises ValueError as `read_run` does, and where the files of a run do not belong together.
    """
    views = [view(folder) for folder in folders]
    check_templates()
    try:
        page = render(views)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        names = " or ".join(map(str, folders))
        raise ValueError(
            f"{names}: its tables and its metrics are not of one run, or were changed "
            f"({type(error).__name__}: {str(error)[:200]}); run `leapai val` again"
        ) from error
    write_text(path, page)


def render(views: Sequence[RunView]) -> str:
    """Returns the page of one or two runs. Raises ValueError where jinja2 is not installed."""
    return filled("report.html.j2", _content(views))


def _content(views: Sequence[RunView]) -> dict[str, Any]:
    runs = [each.run for each in views]
    compared = len(views) > 1
    detection, of_map = _detection(views), map_section(runs)
    objects = any(run.config.dynamic_task for run in runs)
    left_out = {
        *(() if detection else _OF_DETECTION),
        *(() if objects else _OF_OBJECTS),
        *(() if of_map else {"road"}),
    }
    drawn, more = timelines(views)
    names = joined_names(run.config.vocabulary for run in runs)
    return {
        "title": " against ".join(_names([each.folder for each in views])),
        "style": page_style(names),
        "compared": compared,
        "version": __version__,
        "runs": [_on_page(number, each) for number, each in enumerate(views, 1)],
        "notices": list(run_facts.notices(views)),
        "sections": [(id_, name) for id_, name in _SECTIONS.items() if id_ not in left_out],
        "tiles": report_tables.tiles(runs),
        "operating_point": report_tables.operating_point(runs),
        "detection": detection,
        "map": of_map,
        "objects": objects,
        "tracking": report_tables.tracking(runs),
        "consistency": report_tables.consistency_cells(runs),
        "sequences": sequence_table(views),
        "keys": legend(compared, class_colour(names[0])),
        "timelines": drawn,
        "more_sequences": more,
        "worst_note": WORST_NOTE,
        "stages": report_tables.stages(runs),
        "configuration_differences": _configuration_differences(views) if compared else [],
    }


def _names(folders: Sequence[Path]) -> list[str]:
    """Returns the names of runs: those of their folders, or whole paths where these are alike."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _detection(views: Sequence[RunView]) -> dict[str, Any] | None:
    """Returns the sections of detection; None where a run has no labels."""
    metrics = [v.run.metrics.detection for v in views if v.run.metrics.detection is not None]
    profiles = [v.profiles for v in views if v.profiles is not None]
    if len(metrics) < len(views) or len(profiles) < len(views):
        return None
    return {
        "classes": report_tables.classes(metrics),
        "left_out": report_tables.left_out(metrics),
        "distances": report_tables.distances(metrics),
        "groups": report_tables.groups(metrics),
        "occlusion": report_tables.occlusion(metrics),
        "precision": report_curves.precision_recall(profiles),
        "precision_note": report_curves.precision_note(len(profiles)),
        "against_distance": report_curves.against_distance(profiles),
        "velocity": [
            report_curves.velocity(profiles),
            report_curves.reliability([each.calibration for each in metrics]),
        ],
        "angle_bins": report_tables.angle_bins(metrics),
        "confusions": [report_tables.confusion(each) for each in metrics],
    }


def _on_page(number: int, of_run: RunView) -> RunOnPage:
    run = of_run.run
    worst = worst_frames(of_run)
    return RunOnPage(
        number=number,
        folder=str(of_run.folder),
        facts=list(run_facts.facts(of_run)),
        worst=worst,
        no_worst="" if worst else _why_no_worst(of_run),
        health=list(run_facts.health(of_run)),
        versions=[("leapai", run.summary.version), *run.summary.versions.items()],
        config_sha256=run.summary.config_sha256[:12],
        configuration=explain(run.config),
    )


def _why_no_worst(of_run: RunView) -> str:
    if not of_run.run.config.dynamic_task:
        return "No objects were looked for."
    if not of_run.labelled:
        return "There are no labels to compare with."
    return "No object was missed, and there is no false positive."


def _configuration_differences(views: Sequence[RunView]) -> list[tuple[str, str, str]]:
    first, second = (dict(_flat(each.run.config.model_dump(), "")) for each in views)
    names = dict.fromkeys([*first, *second])
    return [
        (name, repr(first.get(name)), repr(second.get(name)))
        for name in names
        if first.get(name) != second.get(name)
    ]


def _flat(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
