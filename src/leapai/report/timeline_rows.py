"""Rows of a timeline: each is an object over time as a bar, with the track that was matched with
it, where that changed, and how occluded it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from leapai.evaluation.tracking.object_timelines import ObjectTimeline
from leapai.pictures.palette import OCCLUSION_WORDS
from leapai.report.svg_charts import path, text
from leapai.report.theme import OCCLUSION_GREYS, ROW, class_colour
from leapai.types import FloatArray, IntArray

ROW_PX = 15
MOST_ROWS = 40
"""Rows of a sequence at most: those with the most failures."""
_BAR_PX, _STRIP_PX = 8, 3


@dataclass(frozen=True)
class ObjectRow:
    """The timelines of one object, of each run that has it."""

    timelines: tuple[ObjectTimeline, ...]
    runs: tuple[str, ...]
    """Names of the runs; an empty name where there is one."""

    @property
    def trouble(self) -> int:
        """Switches weigh most, then losses, then frames missed."""
        return sum(
            100 * int(timeline.switched.sum())
            + 20 * timeline.losses
            + int((timeline.evaluated & ~timeline.found).sum())
            for timeline in self.timelines
        )


def chosen_rows(
    timelines: Sequence[Sequence[ObjectTimeline]], sequence: str
) -> tuple[list[ObjectRow], int]:
    """Returns the rows of a sequence from the timelines of each run, by first appearance, and how
    many there would be without a limit."""
    names = ("",) if len(timelines) == 1 else tuple("AB")
    of_object: dict[tuple[str, int], list[tuple[str, ObjectTimeline]]] = {}
    for name, of_run in zip(names, timelines, strict=True):
        for timeline in of_run:
            if timeline.sequence == sequence:
                of_object.setdefault((timeline.class_name, timeline.own_id), []).append(
                    (name, timeline)
                )
    rows = [
        ObjectRow(tuple(x for _, x in each), tuple(n for n, _ in each))
        for each in of_object.values()
    ]
    worst = sorted(rows, key=lambda row: -row.trouble)[: MOST_ROWS // len(timelines)]
    return sorted(
        worst, key=lambda row: (row.timelines[0].time_us[0], row.timelines[0].class_id)
    ), len(rows)


def draw_row(row: ObjectRow, time_us: IntArray, edges_px: FloatArray) -> Markup:
    """Draws a bar for each run, from the top; frame k of [F] lies between edges k and k + 1."""
    parts = []
    for i, (name, timeline) in enumerate(zip(row.runs, row.timelines, strict=True)):
        content = _bar(timeline, np.searchsorted(time_us, timeline.time_us), edges_px)
        words = f"{timeline.class_name} {timeline.own_id}" if i == 0 else ""
        label = text(edges_px[0] - 8 - 14 * bool(name), 8, words, "row end")
        run = text(edges_px[0] - 8, 8, name, "row end run")
        share = text(edges_px[-1] + 8, 8, _share(timeline), "row")
        parts.append(
            Markup('<g transform="translate(0 {})">{}{}{}{}<title>{}</title></g>').format(
                i * ROW_PX, label, run, content, share, _tooltip(timeline)
            )
        )
    return Markup("").join(parts)


def _bar(timeline: ObjectTimeline, frame: IntArray, edges_px: FloatArray) -> Markup:
    colour = class_colour(timeline.class_name)
    parts = []
    for first, last, evaluated in _runs(frame, timeline.evaluated):
        left, right = edges_px[frame[first]], edges_px[frame[last] + 1]
        if evaluated:
            parts.append(_box(left, right, 0, _BAR_PX, ROW))
        else:
            parts.append(path("hidden", f"M{left:.1f} {_BAR_PX / 2}H{right:.1f}"))
    # The shade changes with the track, so that a switch shows even where its mark is small.
    shade = np.cumsum(timeline.switched) % 2
    for first, last, found in _runs(frame, np.where(timeline.found, 1 + shade, 0)):
        if found:
            left, right = edges_px[frame[first]], edges_px[frame[last] + 1]
            parts.append(_box(left, right, 0, _BAR_PX, colour, "1" if found == 1 else "0.55"))
    for first, last, level in _runs(frame, timeline.occlusion_level):
        if level > 0:
            left, right = edges_px[frame[first]], edges_px[frame[last] + 1]
            parts.append(_box(left, right, _BAR_PX, _STRIP_PX, OCCLUSION_GREYS[int(level)]))
    for k in np.flatnonzero(timeline.switched):
        parts.append(path("switch", f"M{edges_px[frame[k]]:.1f} -2v{_BAR_PX + 4}"))
    return Markup("").join(parts)


def _runs(frame: IntArray, values: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yields the first and last index of each run of successive frames of one value, and that
    value."""
    if not len(frame):
        return
    cuts = np.flatnonzero((np.diff(values) != 0) | (np.diff(frame) != 1)) + 1
    for first, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(frame)], strict=True):
        yield first, end - 1, int(values[first])


def _box(
    left: float, right: float, top: float, height: float, colour: str, opacity: str = "1"
) -> Markup:
    return Markup(
        '<rect x="{:.1f}" y="{:g}" width="{:.1f}" height="{:g}" fill="{}" opacity="{}"/>'
    ).format(left, top, right - left, height, colour, opacity)


def _share(timeline: ObjectTimeline) -> str:
    switches = int(timeline.switched.sum())
    found = f"{timeline.share_found:.0%}"
    return f"{found}, {switches} switch{'es' * (switches > 1)}" if switches else found


def _tooltip(timeline: ObjectTimeline) -> str:
    ids = [str(i) for i in timeline.track_id[timeline.found]]
    in_turn = [i for k, i in enumerate(ids) if k == 0 or i != ids[k - 1]]
    hidden = int((~timeline.evaluated).sum())
    levels = ", ".join(
        f"{word} {count}"
        for word, count in zip(
            OCCLUSION_WORDS,
            np.bincount(timeline.occlusion_level[timeline.occlusion_level >= 0], minlength=4),
            strict=True,
        )
        if count
    )
    return (
        f"{timeline.class_name} {timeline.own_id}: "
        f"found in {int(timeline.found.sum())} of {int(timeline.evaluated.sum())} frames, "
        f"hidden in {hidden}, lost and found again {timeline.losses} x; "
        f"tracks {' > '.join(in_turn) or 'none'}; frames by occlusion: {levels or 'not labelled'}"
    )
