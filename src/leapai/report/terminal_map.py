"""How figures of the road are shown in a terminal."""

from __future__ import annotations

from rich.table import Table

from leapai.evaluation.map.map_results import LineMetrics, MapMeans, MapMetrics


def map_tables(metrics: MapMetrics) -> list[Table]:
    """Means of both rasters; classes; lines. Without a map the means alone, which tell of
    steadiness."""
    if not metrics.labelled_frames:
        return [_means(metrics)]
    return [_means(metrics), _classes(metrics), _lines(metrics)]


def _means(metrics: MapMetrics) -> Table:
    table = Table(
        title=f"the road in {metrics.frames} frames, {metrics.labelled_frames} with a map",
        caption="hidden now: no sensor sees the ground, but one did in the last 3.4 s",
    )
    table.add_column("mean")
    for title in ("lane markings", "road elements"):
        table.add_column(title, justify="right")
    parts: tuple[dict[str, MapMeans], ...] = (
        {
            f"IoU at {metrics.threshold:g}": metrics.iou,
            "IoU at the best": metrics.best_iou,
            "IoU hidden now": metrics.hidden_iou,
        },
        {f"IoU {name}": means for name, means in metrics.distance_bands.items()},
        {f"IoU {name} aside": means for name, means in metrics.lateral_bands.items()},
        {
            "flip rate": metrics.flip_rate,
            **{f"flip rate {name}": means for name, means in metrics.flip_rate_bands.items()},
            "change": metrics.change,
        },
    )
    for part in parts:
        for name, means in part.items():
            table.add_row(name, _text(means.lane_markings), _text(means.road_elements))
        table.add_section()
    return table


def _classes(metrics: MapMetrics) -> Table:
    table = Table(title=f"the road by class; IoU at {metrics.threshold:g}")
    table.add_column("class")
    for title in ("cells", "IoU", "best", "hidden now", "flip rate"):
        table.add_column(title, justify="right")
    for name, part in metrics.classes.items():
        if part.cells:
            values = (part.iou, part.best_iou, part.hidden_iou, part.flip_rate)
            table.add_row(name, str(part.cells), *(_text(value) for value in values))
    return table


def _lines(metrics: MapMetrics) -> Table:
    table = Table(
        title="lines of the road: " + ", then ".join(f"within {m}" for m in metrics.lines)
    )
    table.add_column("class")
    for _ in metrics.lines:
        for title in ("P", "R", "F1"):
            table.add_column(title, justify="right")
    kinds = next(iter(metrics.lines.values()))
    for kind in kinds:
        of_kind = [_line(by_kind[kind]) for by_kind in metrics.lines.values()]
        if kind == "all":
            table.add_section()
        table.add_row(kind, *(text for texts in of_kind for text in texts))
    return table


def _line(metrics: LineMetrics) -> list[str]:
    return [_text(value) for value in (metrics.precision, metrics.recall, metrics.f1)]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
