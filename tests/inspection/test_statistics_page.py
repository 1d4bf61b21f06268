"""The page of `leapai inspect --stats`: what is there is drawn in its data set's colour."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from leapai.inspection.samples import Sample, Samples, Shares
from leapai.inspection.statistics_page import (
    FILL,
    OUTLINE,
    ROW_NAMES,
    render_page,
    write_statistics_page,
)
from leapai.types import VOCABULARIES


def samples(values, share=(0.2, 0.8), is_count=False):
    quantity = Sample("speed", "m/s", np.asarray(values, np.float64), is_count)
    shares = Shares("classes", ("car", "bus"), np.asarray(share, np.float64))
    return Samples(((quantity,),) * len(ROW_NAMES), (shares,))


def charts(page, name):
    """The drawings of this name."""
    found = re.findall(rf'<svg class="chart"[^>]*aria-label="{name}">.*?</svg>', page)
    return [ElementTree.fromstring(drawing) for drawing in found]


def overlaps(labels):
    """Those of centred labels (y, x, text), in order, that reach into the next one of a line."""
    letter_px = 6
    return [
        (word, other)
        for (y, x, word), (other_y, other_x, other) in pairwise(labels)
        if y == other_y and other_x - x < letter_px * (len(word) + len(other)) / 2
    ]


def heights(drawing, colour):
    """Heights of all bars of a colour."""
    paths = [p.get("d") for p in drawing.iter("path") if p.get("fill") == colour]
    bars = (re.findall(r"M\S+ ([\d.]+)V([\d.]+)H", d) for d in paths)
    return [float(foot) - float(top) for found in bars for foot, top in found]


def test_both_data_sets_are_drawn_where_their_values_lie():
    low, high = np.linspace(0, 1, 200), np.linspace(9, 10, 200)
    page = render_page(("a", "b"), [samples(low), samples(high)])
    (chart, *_) = charts(page, "speed")
    filled = heights(chart, FILL)
    assert [h > 0 for h in filled] == [True] * 3 + [False] * 21
    lines = [p.get("d") for p in chart.iter("path") if p.get("stroke") == OUTLINE]
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", lines[0])]
    foot = max(y for _, y in points)
    assert min(x for x, y in points if y < foot) > 150
    assert page.count(f'fill="{FILL}"/></svg>a<') == page.count(f'fill="{OUTLINE}"/></svg>b<') == 1


def test_no_values_are_named_and_one_value_is_drawn():
    nothing = render_page(("a",), [samples([])])
    assert nothing.count("no values") == len(ROW_NAMES)
    assert not charts(nothing, "speed")
    (chart, *_) = charts(render_page(("a",), [samples([9.0], is_count=True)]), "speed")
    assert sum(height > 0 for height in heights(chart, FILL)) == 1


def test_counts_have_ticks_at_powers_of_ten():
    page = render_page(("a",), [samples([0, 5, 50, 5000], is_count=True)])
    words = [label.text for label in charts(page, "speed")[0].iter("text")]
    assert {"0", "1", "10", "100", "1000"} < set(words)


def test_bars_rise_with_their_share_and_unknown_ones_are_absent():
    unknown = samples([1.0, 2.0], (np.nan, np.nan))
    page = render_page(("a", "b"), [samples([1.0, 2.0]), unknown])
    (chart,) = charts(page, "classes")
    few, many = heights(chart, FILL)
    assert abs(many / few - 4) < 0.1
    assert not heights(chart, OUTLINE)
    words = [label.text for label in chart.iter("text")]
    assert [w for w in words if w and w.endswith("%")] == ["20%", "80%"]
    assert words.index("car") < words.index("bus")


def test_the_file_is_one_page_with_every_section_and_the_reports_style(tmp_path):
    path = tmp_path / "new" / "statistics.html"
    write_statistics_page(path, ("<a>", "b"), [samples([1.0]), samples([2.0])])
    text = path.read_text()
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        *("Objects and motion", "LiDAR points", "LiDAR intensity"),
        *("LiDAR intensity against ground", "LiDAR scan and ground", "Cameras", "Tracks", "Shares"),
        *("Length", "Width", "Height"),
    ]
    assert "&lt;a&gt; against b" in text
    assert "--ink:" in text
    assert "http" not in text, "it loads nothing"


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_labels_of_neighbours_do_not_overlap(vocabulary):
    kinds = ("ground", "background", *VOCABULARIES[vocabulary].names)
    quantity = Sample("speed", "m/s", np.arange(9.0))
    shares = Shares("classes", kinds, np.full(len(kinds), 1 / len(kinds)))
    page = render_page(("a",), [Samples(((quantity,),) * len(ROW_NAMES), (shares,))])
    written: list[str] = []
    for chart in charts(page, "classes"):
        texts = [t for t in chart.iter("text") if t.get("class") == "tick middle"]
        lines = [(float(t.get("y")), float(t.get("x")), t.text) for t in texts]
        foot = max(y for y, _, word in lines if word.endswith("%"))
        below = sorted(line for line in lines if line[0] > foot)
        of_place = {x: [word for _, at, word in below if at == x] for _, x, _ in below}
        written += ["".join(of_place[x]) for x in sorted(of_place)]
        assert max(y for y, _, _ in below) < float(chart.get("viewBox").split()[3])
        assert not overlaps(below)
    assert written == list(kinds)


@pytest.mark.parametrize(
    ("share", "word"), [(0.0, "0%"), (0.0004, "0%"), (0.003, ".3%"), (0.0096, "1%"), (1.0, "100%")]
)
def test_small_shares_keep_a_digit(share, word):
    (chart,) = charts(render_page(("a",), [samples([1.0], (share, np.nan))]), "classes")
    assert [t.text for t in chart.iter("text") if t.text and t.text.endswith("%")] == [word]


def test_labels_at_the_ends_of_an_axis_are_not_written_over():
    (chart, *_) = charts(render_page(("a",), [samples([276, 1136], is_count=True)]), "speed")
    ticks = [t for t in chart.iter("text") if t.get("class") == "tick middle"]
    assert len(ticks) >= 3
    assert not overlaps(sorted((0.0, float(t.get("x")), t.text) for t in ticks))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 5, 50, 5000], {"1", "10", "100"}), ([12, 40], {"20"}), ([7, 7, 7], {"5", "10"})],
)
def test_every_axis_of_counts_has_ticks(values, expected):
    (chart, *_) = charts(render_page(("a",), [samples(values, is_count=True)]), "speed")
    heights_px = {float(t.get("y")) for t in chart.iter("text") if t.text in expected}
    words = [t.text for t in chart.iter("text") if float(t.get("y")) in heights_px]
    assert expected <= set(words)
    assert len(words) >= 2
