"""`statistics.html` of `leapai inspect --stats`: every quantity of one or two data sets as a chart.

Charts and style sheet are those of the report. The first data set is filled, the second an outline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from leapai.folders import claim
from leapai.inspection.samples import Sample, Samples, Shares
from leapai.io import write_text
from leapai.report.svg_charts import (
    LARGE_PX,
    SIDES_PX,
    SMALL_PX,
    Axis,
    Bars,
    Frame,
    Line,
    Mark,
    axis_names,
    draw,
    path,
    svg,
    text,
    ticks,
    y_axis,
)
from leapai.report.theme import FILLS, RUN_COLOURS, page_style
from leapai.types import FloatArray

FILL, OUTLINE = FILLS[0], RUN_COLOURS[1]
"""Colours of the first and the second data set."""
ROW_NAMES = (
    *("Objects and motion", "LiDAR points", "LiDAR intensity", "LiDAR intensity against ground"),
    *("LiDAR scan and ground", "Cameras", "Tracks", "Length", "Width", "Height"),
)
"""Headings of `Samples.rows`."""
_SHARES_AFTER = 7
"""Shares stand after this many rows."""
_BINS = 24
_OUTER_PERCENT = (0.5, 99.5)
"""Range of an axis. Values outside are counted in the outermost bins, so that one wild value hides
nothing."""
_FEWEST_TICKS = 3
_END_ROOM = 0.15
"""Share of an axis next to a label at its end that stays free of others."""
_LETTER_PX, _LINE_PX = 6, 12
"""Width of a letter and height of a line of a label, approximately."""
_MOST_KINDS = 12
"""Kinds whose names find room below one chart."""
_FIRST_LINE_PX = 16
"""Foot of a label's first line below the axis."""
_PAGE = Markup(
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>Statistics: {names}</title><style>{style}</style></head>\n<body><header>"
    '<h1>Statistics</h1><div class="legend">{legend}</div>'
    '<p class="note">Share of the values of each quantity, in the BEV range. Values beyond the '
    "axis are counted at its ends.</p></header>\n<main>{sections}</main></body></html>\n"
)

Tick = tuple[float, str]
"""Place on an axis and its label."""


class Label(NamedTuple):
    """A label below an axis, broken into lines."""

    at: float
    """Place on the axis."""
    row: int
    """Lines that are left free above it."""
    lines: list[str]


def write_statistics_page(path: Path, names: Sequence[str], samples: Sequence[Samples]) -> None:
    """Writes the charts of one or two data sets, called `names`, into one HTML file that needs no
    other. Raises ValueError where its folder holds files that are not of leapai."""
    claim(path.parent)
    write_text(path, render_page(names, samples))


def render_page(names: Sequence[str], samples: Sequence[Samples]) -> str:
    """Returns the HTML text of the page."""
    rows = zip(*(data.rows for data in samples), strict=True)
    sections = [
        _section(name, [_histogram(each) for each in zip(*row, strict=True)], "charts small")
        for name, row in zip(ROW_NAMES, rows, strict=True)
    ]
    shares = zip(*(data.shares for data in samples), strict=True)
    bars = [_bars(piece) for each in shares for piece in _pieces(each)]
    sections.insert(_SHARES_AFTER, _section("Shares", bars, "charts"))
    return _PAGE.format(
        names=" against ".join(names),
        style=page_style(),
        legend=Markup("").join(map(_key, names, (FILL, OUTLINE))),
        sections=Markup("\n").join(sections),
    )


def _section(name: str, drawings: Sequence[Markup], kind: str) -> Markup:
    content = Markup("").join(drawings)
    return Markup('<section><h2>{}</h2><div class="{}">{}</div></section>').format(
        name, kind, content
    )


def _key(name: str, colour: str) -> Markup:
    """Returns one entry of the legend."""
    square = '<span><svg class="key"><rect width="22" height="12" fill="{}"/></svg>{}</span>'
    return Markup(square).format(colour, name)


def _figure(name: str, drawing: Markup) -> Markup:
    return Markup("<figure><figcaption>{}</figcaption>{}</figure>").format(name, drawing)


def _histogram(quantity: Sequence[Sample]) -> Markup:
    """Returns the histograms of one quantity, one for each data set, over one axis."""
    first = quantity[0]
    scaled = [np.log10(1 + s.values) if first.is_count else s.values for s in quantity]
    outer = [np.percentile(values, _OUTER_PERCENT) for values in scaled if len(values)]
    if not outer:
        return _figure(first.name, Markup('<p class="note">no values</p>'))
    low, high = float(np.min(outer)), float(np.max(outer))
    margin = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    shares = [_histogram_shares(values, edges) for values in scaled]
    x = Axis(first.unit, edges[0], edges[-1])
    top = max(float(share.max()) for share in shares)
    frame = Frame(x, Axis("share", 0.0, 1.1 * top), SMALL_PX)
    marks: list[Mark] = [Bars(edges, shares[0], FILL)]
    marks += [_outline(edges, share) for share in shares[1:] if share.any()]
    places = _count_ticks(x) if first.is_count else [(v, f"{v:g}") for v in ticks(x.low, x.high)]
    labels = _labels(places, frame.right - frame.left)
    return _figure(first.name, _panel(first.name, frame, SMALL_PX, marks, labels))


def _histogram_shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Returns the share [K] of the values in each bin; values outside are in the outermost bins."""
    counts = np.histogram(values.clip(edges[0], edges[-1]), edges)[0]
    return np.asarray(counts / max(len(values), 1))


def _outline(edges: FloatArray, share: FloatArray) -> Line:
    return Line(np.repeat(edges, 2)[1:-1], np.repeat(share, 2), OUTLINE)


def _count_ticks(axis: Axis) -> list[Tick]:
    """Returns ticks of an axis that shows log10(1 + count): at powers of ten or, where few of them
    lie on it, at 1, 2 and 5 times these, or at last at its ends, too."""
    for times in ((1,), (1, 2, 5)):
        numbers = (0, *(step * 10**power for power in range(6) for step in times))
        places = [(float(np.log10(1 + number)), f"{number}") for number in numbers]
        inside = [(at, word) for at, word in places if axis.low <= at <= axis.high]
        if len(inside) >= _FEWEST_TICKS:
            return inside
    low, high = ((at, f"{10**at - 1:.0f}") for at in (axis.low, axis.high))
    room = _END_ROOM * (axis.high - axis.low)
    return [low, *(t for t in inside if axis.low + room < t[0] < axis.high - room), high]


def _pieces(shares: Sequence[Shares]) -> Iterator[list[Shares]]:
    """Yields the shares of at most `_MOST_KINDS` kinds at a time, evenly."""
    kinds = shares[0].kinds
    for chosen in np.array_split(np.arange(len(kinds)), -(-len(kinds) // _MOST_KINDS)):
        names = tuple(kinds[number] for number in chosen)
        yield [Shares(each.name, names, each.share[chosen]) for each in shares]


def _bars(shares: Sequence[Shares]) -> Markup:
    """Returns the shares of each kind side by side; a share that is not known is left out."""
    first = shares[0]
    top = max(float(np.nan_to_num(each.share).max()) for each in shares) or 1.0
    x, y = Axis("", 0.0, float(len(first.kinds))), Axis("share", 0.0, 1.1 * top)
    left_px, right_px, above_px, below_px = SIDES_PX
    places = [(number + 0.5, kind) for number, kind in enumerate(first.kinds)]
    labels = _labels(places, LARGE_PX[0] - left_px - right_px)
    rows = max(label.row + len(label.lines) for label in labels)
    below_px = max(below_px, _FIRST_LINE_PX + rows * _LINE_PX)
    frame = Frame(x, y, LARGE_PX, (left_px, right_px, above_px, below_px))
    marks: list[Mark] = []
    words: list[Markup] = []
    width = 0.8 / len(shares)
    for number, (each, colour) in enumerate(zip(shares, (FILL, OUTLINE), strict=False)):
        left = np.arange(len(first.kinds)) + 0.1 + number * width
        for start, share in zip(left, each.share, strict=True):
            marks.append(Bars(np.array([start, start + width]), np.array([share]), colour))
            if np.isfinite(share):
                at = frame.x(start + width / 2), frame.y(share) - 4
                words.append(text(*at, _percent(share), "tick middle"))
    return _figure(first.name, _panel(first.name, frame, LARGE_PX, marks, labels, words))


def _percent(share: float) -> str:
    """Formats a share; a small one keeps a digit, without the zero before it."""
    return f"{share:.1%}"[1:] if 0.0005 <= share < 0.0095 else f"{share:.0%}"


def _panel(
    name: str,
    frame: Frame,
    size_px: tuple[int, int],
    marks: Sequence[Mark],
    labels: Sequence[Label],
    words: Sequence[Markup] = (),
) -> Markup:
    """Returns a chart with these labels along its x axis."""
    parts = [y_axis(frame), path("axis", f"M{frame.left} {frame.bottom}H{frame.right}")]
    parts += [draw(mark, frame) for mark in marks]
    for label in labels:
        for row, line in enumerate(label.lines, label.row):
            below_px = _FIRST_LINE_PX + row * _LINE_PX
            parts.append(text(frame.x(label.at), frame.bottom + below_px, line, "tick middle"))
    parts.append(axis_names(frame))
    return svg(name, size_px, Markup("").join([*parts, *words]), "chart")


def _labels(places: Sequence[Tick], width_px: float) -> list[Label]:
    """Breaks labels into lines that fit next to each other. Where one still does not, every second
    label is placed below the others."""
    letters = int(width_px / max(len(places), 1) / _LETTER_PX)
    broken = [_lines(word, letters) for _, word in places]
    lower = 0
    if any(len(line) > letters for lines in broken for line in lines):
        broken = [_lines(word, 2 * letters) for _, word in places]
        lower = max(map(len, broken[::2]))
    return [
        Label(at, number % 2 * lower, lines)
        for number, ((at, _), lines) in enumerate(zip(places, broken, strict=True))
    ]


def _lines(word: str, letters: int) -> list[str]:
    """Breaks a name at its underscores and spaces into lines of at most so many letters, where it
    can."""
    lines = [""]
    for part in re.findall(r"[^_ ]*[_ ]?", word):
        if lines[-1] and len(lines[-1] + part) > letters:
            lines.append("")
        lines[-1] += part
    return lines
