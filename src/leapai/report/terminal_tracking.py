"""How tracking figures are shown in a terminal."""

from __future__ import annotations

from rich.table import Table

from leapai.evaluation.tracking.tracking_results import TrackingMetrics

_ACCURACY = {
    "objects": "objects",
    "AMOTA": "amota",
    "AMOTP m": "amotp_m",
    "MOTA": "mota",
    "MOTP m": "motp_m",
    "recall": "recall",
}
_CONTINUITY = {
    "IDS": "ids",
    "FRAG": "frag",
    "MT": "mt",
    "ML": "ml",
    "FP": "fp",
    "FN": "fn",
    "TID s": "tid_s",
    "LGD s": "lgd_s",
}


def tracking_tables(metrics: TrackingMetrics) -> list[Table]:
    """By class and over all: how well objects are found over time, and how lastingly."""
    counts = ((metrics.objects, "object"), (metrics.tracks, "track"))
    found = " and ".join(_counted(count, name) for count, name in counts)
    accuracy = _by_class(
        f"{found} in {_counted(metrics.sequences, 'sequence')}",
        "MOTA, MOTP and recall at the confidence of the best MOTA",
        _ACCURACY,
        metrics,
    )
    continuity = _by_class(
        "identity over time, at the best MOTA", _left_out(metrics), _CONTINUITY, metrics
    )
    return [accuracy, continuity]


def _by_class(
    title: str, caption: str | None, columns: dict[str, str], metrics: TrackingMetrics
) -> Table:
    table = Table(title=title, caption=caption)
    table.add_column("class")
    for name in columns:
        table.add_column(name, justify="right")
    rows = {name: part for name, part in metrics.classes.items() if part.truths}
    for name, part in rows.items():
        table.add_row(name, *(_text(getattr(part, field)) for field in columns.values()))
    table.add_section()
    table.add_row("all", *(_text(getattr(metrics, field)) for field in columns.values()))
    return table


def _left_out(metrics: TrackingMetrics) -> str | None:
    """What the figures say nothing about."""
    notes = []
    if metrics.untracked_truths:
        notes.append(f"{_counted(metrics.untracked_truths, 'box')} of objects without track id")
    if metrics.unnamed_detections:
        notes.append(f"{_counted(metrics.unnamed_detections, 'detection')} without identity")
    return f"left out: {', '.join(notes)}" if notes else None


def _counted(count: int, name: str) -> str:
    plural = "boxes" if name == "box" else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
