"""The part of the report that tells of the road, of one run or of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from leapai.evaluation.map.line_metrics import LINE_KINDS, MATCH_M
from leapai.evaluation.map.map_results import MapMeans, MapMetrics
from leapai.report.metric_cells import (
    Better,
    Figure,
    Kind,
    Table,
    row,
)
from leapai.runs.run_folder import Run
from leapai.types import STATIC_CLASSES

HIGHER, LOWER = Better.HIGHER, Better.LOWER
Value = float | None
_Runs = Sequence[MapMetrics | None]


@dataclass(frozen=True)
class RoadSection:
    """What it shows. Tables of what only a map tells are None where no run has one."""

    flicker: list[Figure]
    flips: Table
    places: Table | None
    classes: Table | None
    lines: Table | None


HEADLINE: tuple[tuple[Kind, Callable[[Run], Value]], ...] = (
    (
        Kind("IoU of markings", HIGHER, words="mean over lane markings; at best 1"),
        lambda run: None if run.metrics.road is None else run.metrics.road.iou.lane_markings,
    ),
    (
        Kind("IoU of elements", HIGHER, words="mean over road elements; at best 1"),
        lambda run: None if run.metrics.road is None else run.metrics.road.iou.road_elements,
    ),
)
"""What one looks at first."""

_FLIPS = "share of marks that the frame before or after has not at that place"
_CHANGE = "mean difference of a cell's probability from frame to frame"
_STEADINESS: tuple[tuple[Kind, Callable[[MapMetrics], Value]], ...] = (
    (Kind("flips, markings", LOWER, words=_FLIPS), lambda road: road.flip_rate.lane_markings),
    (Kind("flips, elements", LOWER, words=_FLIPS), lambda road: road.flip_rate.road_elements),
    (Kind("change, markings", LOWER, 4, words=_CHANGE), lambda road: road.change.lane_markings),
    (Kind("change, elements", LOWER, 4, words=_CHANGE), lambda road: road.change.road_elements),
)


def road(runs: Sequence[Run]) -> RoadSection | None:
    """None: no run says anything of the road."""
    metrics = [run.metrics.road for run in runs]
    if all(each is None for each in metrics):
        return None
    mapped = any(each is not None and each.labelled_frames for each in metrics)
    return RoadSection(
        flicker=[
            Figure(kind, tuple(None if each is None else read(each) for each in metrics))
            for kind, read in _STEADINESS
        ],
        flips=_flips(metrics),
        places=_places(metrics) if mapped else None,
        classes=_classes(metrics) if mapped else None,
        lines=_lines(metrics) if mapped else None,
    )


def _flips(metrics: _Runs) -> Table:
    """Flip rate by distance from the ego."""
    of_runs = [{} if each is None else each.flip_rate_bands for each in metrics]
    kinds = _of_both(LOWER, _FLIPS)
    return _table("flips", kinds, of_runs, "What is far is seen by few pixels.")


def _places(metrics: _Runs) -> Table:
    """Mean IoU over all, by band, and of what is hidden."""
    of_runs = [{} if each is None else _means(each) for each in metrics]
    return _table(
        "IoU",
        _of_both(HIGHER, "mean IoU over their classes"),
        of_runs,
        "Over cells of probability 0.5 or more. Hidden now: no sensor sees the ground, but one "
        "did in the last 3.4 s; memory must know it.",
    )


def _of_both(better: Better, words: str) -> tuple[Kind, ...]:
    """A column for each raster."""
    names = ("lane markings", "road elements")
    return tuple(Kind(name, better, bar=True, words=words) for name in names)


def _table(
    title: str, kinds: tuple[Kind, ...], of_runs: Sequence[Mapping[str, MapMeans]], note: str
) -> Table:
    """A row for each name that a run has."""
    names = dict.fromkeys(name for of_run in of_runs for name in of_run)
    rows = (row(name, kinds, [_pair(each.get(name)) for each in of_runs]) for name in names)
    return Table(title, kinds, tuple(rows), note)


def _means(metrics: MapMetrics) -> dict[str, MapMeans]:
    return {
        "all": metrics.iou,
        "at the best threshold": metrics.best_iou,
        "hidden now": metrics.hidden_iou,
        **metrics.distance_bands,
        **{f"{name} aside": means for name, means in metrics.lateral_bands.items()},
    }


def _pair(means: MapMeans | None) -> list[Value]:
    return [None, None] if means is None else [means.lane_markings, means.road_elements]


_CLASS_KINDS = (
    Kind("cells", digits=0, words="true ones, over all frames"),
    Kind("IoU", HIGHER, bar=True),
    Kind("best", HIGHER, words="IoU at the threshold that suits the class best"),
    Kind("at", digits=2, words="that threshold"),
    Kind("hidden now", HIGHER, words="IoU over ground hidden now, but seen in the last 3.4 s"),
    Kind("flips", LOWER, words=_FLIPS),
    Kind("change", LOWER, 4, words=_CHANGE),
)


def _classes(metrics: _Runs) -> Table:
    """By class; those without a true cell are left out."""
    names = [name for name in STATIC_CLASSES if any(_cells(each, name) for each in metrics)]
    rows = (row(name, _CLASS_KINDS, [_class(each, name) for each in metrics]) for name in names)
    return Table("class", _CLASS_KINDS, tuple(rows), "Classes without a true cell are left out.")


def _cells(metrics: MapMetrics | None, name: str) -> int:
    return 0 if metrics is None else metrics.classes[name].cells


def _class(metrics: MapMetrics | None, name: str) -> list[Value]:
    if metrics is None:
        return [None] * len(_CLASS_KINDS)
    part = metrics.classes[name]
    threshold, hidden = part.best_threshold, part.hidden_iou
    return [part.cells, part.iou, part.best_iou, threshold, hidden, part.flip_rate, part.change]


_BY_DISTANCE = [
    (
        Kind(f"P {m:g} m", HIGHER, words=f"share of what is said within {m:g} m of a true line"),
        Kind(f"R {m:g} m", HIGHER, words=f"share of the truth within {m:g} m of a line said"),
        Kind(f"F1 {m:g} m", HIGHER, bar=True),
    )
    for m in MATCH_M
]
_LINE_KINDS = (
    Kind("true", digits=0, unit="m", words="length, over all frames"),
    Kind("said", digits=0, unit="m", words="length, over all frames"),
    *(kind for kinds in _BY_DISTANCE for kind in kinds),
)


def _lines(metrics: _Runs) -> Table:
    """By kind; those that are neither said nor true are left out."""
    of_runs = [_by_kind(each) for each in metrics]
    names = [n for n in (*LINE_KINDS, "all") if any(n in of_run for of_run in of_runs)]
    nothing: list[Value] = [None] * len(_LINE_KINDS)
    return Table(
        "kind",
        _LINE_KINDS,
        tuple(
            row(
                name,
                _LINE_KINDS,
                [of_run.get(name, nothing) for of_run in of_runs],
                starts_part=name == "all",
            )
            for name in names
        ),
        "By length, within each distance of a line of the same kind.",
    )


def _by_kind(metrics: MapMetrics | None) -> dict[str, list[Value]]:
    """The values of each kind of line."""
    if metrics is None:
        return {}
    near = [metrics.lines[f"{m:g} m"] for m in MATCH_M]
    return {
        kind: [
            length.true_m,
            length.said_m,
            *(value for of in near for value in (of[kind].precision, of[kind].recall, of[kind].f1)),
        ]
        for kind, length in near[0].items()
    }
