"""The page of a stress run as one HTML text: curves, tables, and the worst pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leapai.evaluation.metric_types import Better, Metric
from leapai.evaluation.metrics import RELATIVE_SCORE
from leapai.extras import import_extra
from leapai.io import write_text
from leapai.report.metric_cells import MetricValue, Table, metric_value, table
from leapai.report.report_worst_frames import data_url
from leapai.report.stress_charts import corruption_charts, level_charts
from leapai.report.theme import page_style
from leapai.runs.stress_folder import CLEAN, ConditionResult, StressRun, read_stress
from leapai.runs.weights_facts import weights_facts
from leapai.types import CLASS_NAMES
from leapai.version import __version__

Pair = tuple[str, str]
_HIGHER, _LOWER = Better.HIGHER, Better.LOWER
COLUMNS = (
    Metric(
        "mAP", "scores.mean_ap", _HIGHER,
        words="S: mean over classes and over matching distances of 0.5, 1, 2 and 4 m", bar=True,
    ),
    Metric(
        "of clean", "scores.relative", _HIGHER,
        words="S over S of the clean run, over the same frames",
    ),
    Metric("AP 2 m", "scores.ap_2m", _HIGHER, words="mean over classes, matched within 2 m"),
    Metric("AP 4 m", "scores.ap_4m", _HIGHER, words="mean over classes, matched within 4 m"),
    Metric(
        "recall 2 m", "scores.recall_2m", _HIGHER,
        words="share of the objects found within 2 m at a confidence of 0.1 or more",
    ),
    Metric(
        "precision", "scores.precision", _HIGHER,
        words="share of detections of confidence 0.3 or more that are right within 1.5 m",
    ),
    Metric("boxes", "scores.boxes", digits=0, words="detections of confidence 0.3 or more"),
    Metric("ECE", "scores.ece", _LOWER, words="expected calibration error of confidence"),
    Metric(
        "velocity error", "scores.velocity_error_mps", _LOWER, 2, "m/s",
        words="mean over what was found, can move and has a labelled velocity",
    ),
    Metric("frames", "scores.frames", digits=0, words="labelled frames, which are evaluated"),
)  # fmt: skip
_BY_CLASS = tuple(
    Metric(name, f"scores.ap_by_class.{name}", _HIGHER, words="AP, mean over matching distances")
    for name in CLASS_NAMES
)
_PARTS = {
    "Sensors lost for good": ("lost",),
    "Sensors lost for a second": ("lost_1s",),
    "Wrong and frozen images": ("images",),
    "Calibration and poses": ("calibration", "pose"),
    "Dropped frames and frame rates": ("dropped", "rate"),
}
_SECTIONS = {
    "scores": "Scores",
    "corruptions": "Corruptions",
    "faults": "Faults",
    "worst": "Worst frames",
    "classes": "Classes",
    "run": "Run",
}
_SHOWN_WORST = 12
OTHERS_NOTE = (
    "RA of published models on nuScenes by the benchmark's own score, NDS, and with its own data "
    "(Beemelmanns et al., MultiCorrupt, IV 2024, and the papers of the models). It is another "
    "score over other data, so it is no comparison with this run, only the size of what others "
    "lose."
)
OTHERS = {
    "CMT": {
        "beamsreducing": 0.786, "brightness": 0.937, "dark": 0.948, "fog": 0.806,
        "missingcamera": 0.974, "motionblur": 0.841, "pointsreducing": 0.925, "snow": 0.833,
        "spatialmisalignment": 0.809, "temporalmisalignment": 0.788, "mRA": 0.865,
    },
    "MEFormer": {"mRA": 0.856},
    "MoME": {"mRA": 0.856},
    "BEVFusion": {"mRA": 0.830},
}  # fmt: skip
"""Published relative scores by model and corruption, by NDS."""


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
    jinja2 = import_extra("jinja2", "report", "a page needs jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leapai.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    template = environment.get_template("stress.html.j2")
    write_text(path, str(template.render(_content(read_stress(folder)))))


def _content(run: StressRun) -> dict[str, Any]:
    summary = run.summary
    corrupted = [result for result in run.results if result.corruption is not None]
    parts = list(_part_tables(run))
    has = {**dict.fromkeys(_SECTIONS, True), "corruptions": bool(corrupted), "faults": bool(parts)}
    return {
        "title": run.folder.resolve().name,
        "style": page_style(),
        "version": __version__,
        "sections": [(id_, name) for id_, name in _SECTIONS.items() if has[id_]],
        "facts_of_run": list(_facts(run)),
        "notices": list(_notices(run)),
        "tiles": list(_tiles(run)),
        "charts_of_corruptions": corruption_charts(run),
        "levels": level_charts(run),
        "corruptions": _relative_table(run),
        "others": _others_table(),
        "others_note": OTHERS_NOTE,
        "corrupted": _condition_table([run.results[0], *corrupted]) if corrupted else None,
        "parts": parts,
        "classes": _table("condition", _BY_CLASS, run.results),
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
    drives = f"{summary.drives} drive{'s' * (summary.drives != 1)}"
    yield "frames", f"{summary.frames} with labels in {drives}"
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


def _tiles(run: StressRun) -> Iterator[MetricValue]:
    """Yields mRA, the clean score, and what is left without the main sensors."""
    by_name = {result.name: result for result in run.results}
    yield metric_value(RELATIVE_SCORE, [run.summary])
    for name, heading in (
        (CLEAN, "clean mAP"),
        ("lost_lidar", "LiDAR lost"),
        ("lost_cameras", "cameras lost"),
    ):
        if name in by_name:
            source = "scores.mean_ap" if name == CLEAN else "scores.relative"
            words = "mAP" if name == CLEAN else "share of the clean mAP"
            yield metric_value(Metric(heading, source, _HIGHER, words=words), [by_name[name]])
    weakest = min(
        ((s.resilience, name) for name, s in run.summary.corruptions.items() if s.resilience),
        default=None,
    )
    if weakest is not None:
        value, name = weakest
        metric = Metric(f"worst: {name}", lambda _: value, _HIGHER, words="lowest RA")
        yield metric_value(metric, [value])


def _relative_table(run: StressRun) -> Table | None:
    """Returns the relative score of each corruption by severity, and RA."""
    scores = run.summary.corruptions
    if not scores:
        return None
    severities = sorted({severity for score in scores.values() for severity in score.relative})
    columns = [
        Metric(f"severity {s}", lambda score, s=s: score.relative.get(s), _HIGHER, bar=True)
        for s in severities
    ]
    columns.append(Metric("RA", "resilience", _HIGHER, words="mean over the severities", bar=True))
    return table("corruption", columns, [scores])


def _others_table() -> Table:
    """Returns what published models reach by corruption, and in the mean."""
    names = [*OTHERS["CMT"]]
    columns = [Metric(model, lambda row, model=model: row.get(model), _HIGHER) for model in OTHERS]
    rows = {name: {model: values.get(name) for model, values in OTHERS.items()} for name in names}
    return table("RA by NDS", columns, [rows])


def _part_tables(run: StressRun) -> Iterator[tuple[str, Table]]:
    clean = run.results[0]
    for title, kinds in _PARTS.items():
        results = [result for result in run.results if result.kind in kinds]
        if results:
            yield title, _condition_table([clean, *results])


def _condition_table(results: Sequence[ConditionResult]) -> Table:
    return _table("condition", COLUMNS, results)


def _table(head: str, columns: Sequence[Metric], results: Sequence[ConditionResult]) -> Table:
    return table(head, columns, [{result.words: result for result in results}])


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
