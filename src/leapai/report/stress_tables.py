"""The tables on the page of a stress run: corruptions, other conditions, classes, and what others
reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from leapai.evaluation.metric_types import Better, Metric
from leapai.evaluation.metrics import RELATIVE_SCORE
from leapai.evaluation.robustness import CorruptionScore
from leapai.report.metric_cells import MetricValue, Table, metric_value, table
from leapai.runs.stress_results import CLEAN, ConditionResult, StressRun

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
_PARTS = {
    "Sensors lost for good": ("lost",),
    "Sensors lost for a second": ("lost_1s",),
    "Wrong and frozen images": ("images",),
    "Calibration and poses": ("calibration", "pose"),
    "Dropped frames and frame rates": ("dropped", "rate"),
}
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


def stress_tiles(run: StressRun) -> Iterator[MetricValue]:
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
        (
            (score.resilience, name)
            for name, score in run.summary.corruptions.items()
            if score.resilience is not None
        ),
        default=None,
    )
    if weakest is not None:
        value, name = weakest
        metric = Metric(f"worst: {name}", lambda _: value, _HIGHER, words="lowest RA")
        yield metric_value(metric, [value])


def relative_table(run: StressRun) -> Table | None:
    """Returns the relative score of each corruption by severity, and RA."""
    scores = run.summary.corruptions
    if not scores:
        return None
    severities = sorted({severity for score in scores.values() for severity in score.relative})
    columns = [
        Metric(f"severity {severity}", _relative_at(severity), _HIGHER, bar=True)
        for severity in severities
    ]
    columns.append(Metric("RA", "resilience", _HIGHER, words="mean over the severities", bar=True))
    return table("corruption", columns, [scores])


def _relative_at(severity: int) -> Callable[[CorruptionScore | None], float | None]:
    return lambda score: score.relative.get(severity) if score else None


def others_table() -> Table:
    """Returns what published models reach by corruption, and in the mean."""
    names = [*OTHERS["CMT"]]
    columns = [Metric(model, model, _HIGHER) for model in OTHERS]
    rows = {name: {model: values.get(name) for model, values in OTHERS.items()} for name in names}
    return table("RA by NDS", columns, [rows])


def part_tables(run: StressRun) -> Iterator[tuple[str, Table]]:
    """Yields a title and a table for each kind of condition that is no corruption; each begins with
    the clean row."""
    clean = run.results[0]
    for title, kinds in _PARTS.items():
        results = [result for result in run.results if result.kind in kinds]
        if results:
            yield title, condition_table([clean, *results])


def condition_table(results: Sequence[ConditionResult]) -> Table:
    """Returns all scores of some conditions."""
    return _table("condition", COLUMNS, results)


def _table(head: str, columns: Sequence[Metric], results: Sequence[ConditionResult]) -> Table:
    return table(head, columns, [{result.words: result for result in results}])


def class_table(results: Sequence[ConditionResult]) -> Table:
    """Returns AP by class of every condition."""
    names = results[0].scores.ap_by_class if results else ()
    words = "AP, mean over matching distances"
    by_class = [Metric(name, _ap_of(name), _HIGHER, words=words) for name in names]
    return _table("condition", by_class, results)


def _ap_of(name: str) -> Callable[[ConditionResult], float | None]:
    """Returns what reads the AP of a class, whose name may have dots."""
    return lambda result: result.scores.ap_by_class.get(name)
