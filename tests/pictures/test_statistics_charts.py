"""Charts: what is there is drawn in its data set's colour, at its place."""

from __future__ import annotations

import numpy as np

from leapai.pictures.palette import CANVAS, faded
from leapai.pictures.statistics_charts import (
    COLOURS,
    Bars,
    Histogram,
    draw_charts,
)


def columns_of(picture, colour):
    return np.flatnonzero((picture[44:] == colour).all(-1).any(0))


def test_both_data_sets_are_drawn_where_their_values_lie():
    low, high = np.linspace(0, 1, 200), np.linspace(9, 10, 200)
    picture = draw_charts(("a", "b"), [[Histogram("speed (m/s)", (low, high))]])
    filled = columns_of(picture, faded(COLOURS[0], CANVAS, 0.75))
    middle = picture.shape[1] / 2
    assert filled.max() < middle
    raised = (picture[70:120] == COLOURS[1]).all(-1).any(0)
    assert np.flatnonzero(raised).min() > middle


def test_no_values_are_said_and_one_value_is_drawn():
    nothing, one = np.zeros(0), np.array([3.0])
    empty = draw_charts(("a",), [[Histogram("x", (nothing,))]])
    single = draw_charts(("a",), [[Histogram("x", (one,), logarithmic=True)]])
    assert len(columns_of(empty, faded(COLOURS[0], CANVAS, 0.75))) == 0
    assert len(columns_of(single, faded(COLOURS[0], CANVAS, 0.75))) > 0


def test_bars_rise_with_their_share_and_unknown_ones_are_absent():
    shares = (np.array([0.2, 0.8]), np.array([np.nan, np.nan]))
    picture = draw_charts(("a", "b"), [[Bars("classes", ("car", "bus"), shares)]])
    mask = (picture[44:] == COLOURS[0]).all(-1)
    left, right = mask[:, : mask.shape[1] // 2], mask[:, mask.shape[1] // 2 :]
    assert 2 * left.any(1).sum() < right.any(1).sum()
    assert len(columns_of(picture, COLOURS[1])) == 0


def test_rows_of_different_lengths_fill_the_picture():
    panel = Histogram("x", (np.arange(10.0),))
    picture = draw_charts(("a",), [[panel] * 3, [panel]])
    drawn = columns_of(picture[200 - 44 :], faded(COLOURS[0], CANVAS, 0.75))
    assert drawn.min() < 30
    assert drawn.max() > picture.shape[1] - 30
