"""KITTI's tables: what a row, a number and a file of labels may be."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from leapai.data import kitti_tables
from leapai.data.kitti_tables import NamedNumbers, numbers, rows, xml_tree

SIZE_PX = (40, 120)


@pytest.fixture
def labels(tmp_path):
    return tmp_path / "tracklet_labels.xml"


@pytest.mark.parametrize("encoding", [
    *("foo", "hex", "rot13", "undefined", "big5", "utf-7", "idna", "utf-16", "utf-32", "a" * 99),
])  # fmt: skip
def test_encodings_that_no_file_of_labels_has_are_errors_with_the_file(labels, encoding):
    labels.write_text(f'<?xml version="1.0" encoding="{encoding}"?>\n<a>{chr(233)}</a>')
    with pytest.raises(ValueError, match=r"labels\.xml: is no valid XML: .*; get the file again$"):
        xml_tree(labels)


@pytest.mark.parametrize(("encoding", "declared"), [
    ("utf-8", "UTF-8"), ("utf-8-sig", "utf-8"), ("utf-16", "UTF-16"), ("latin-1", "iso-8859-1"),
    ("cp1252", "windows-1252"),
])  # fmt: skip
def test_encodings_of_texts_are_read(labels, encoding, declared):
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<a><b>\u00e9</b></a>'
    labels.write_bytes(text.encode(encoding))
    assert xml_tree(labels).findtext("b") == "\u00e9"


def test_the_largest_file_of_labels_has_16_mebibytes(labels):
    with labels.open("wb") as file:
        file.truncate(1 << 24)  # of zeros
    with pytest.raises(ValueError, match="is no valid XML"):
        xml_tree(labels)
    with labels.open("wb") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(ValueError, match=r"labels\.xml: has 16,777,217 bytes, at most 16,777,216"):
        xml_tree(labels)


def test_the_largest_file_of_labels_has_half_a_million_elements(labels, monkeypatch):
    labels.write_text("<a>" + "<b/>" * 500_000 + "</a>")
    with pytest.raises(ValueError, match=r"labels\.xml: has more than 500,000 elements; get the"):
        xml_tree(labels)
    monkeypatch.setattr(kitti_tables, "_MAX_ELEMENTS", 10)
    labels.write_text("<a>" + "<b/>" * 9 + "</a>")
    assert len(xml_tree(labels)) == 9
    labels.write_text("<a>" + "<b/>" * 10 + "</a>")
    with pytest.raises(ValueError, match="has more than 10 elements"):
        xml_tree(labels)


@pytest.mark.parametrize("text", [
    "<a>" + "\n" * 400_000 + "</a>",
    "<a>" + '<b c="" d="" e="" f="" g="" h=""/>' * 12_000 + "</a>",
], ids=["lines", "attributes"])  # fmt: skip
def test_what_is_between_elements_takes_little_memory(labels, text):
    """A file of 0.4 MB takes its own bytes, its text, and what both are put together from."""
    labels.write_text(text)
    tracemalloc.start()
    try:
        xml_tree(labels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3e6


def test_rows_are_numbered_as_an_editor_does(tmp_path):
    (tmp_path / "rows.txt").write_text("\n1 2\n\n 3  4 \n\n")
    assert rows(tmp_path / "rows.txt") == {"row 2": ["1", "2"], "row 4": ["3", "4"]}


@pytest.mark.parametrize("word", ["4_0", "nan", "inf", "\u0664", "0x4", "1e", "", "4 0"])
def test_a_number_is_written_as_numbers_are(tmp_path, word):
    with pytest.raises(
        ValueError, match=r"x\.txt: row 3 = .* lacks 1 finite numbers; get the file"
    ):
        numbers(tmp_path / "x.txt", {"row 3": [word]}, {"z": (0, 100)})


@pytest.mark.parametrize(("word", "bounds", "words"), [
    ("-1.5", (-1, 2), "row 2: z = -1.5 is not from -1 to 2"),
    ("2.25", (-1, 2), "row 2: z = 2.25 is not from -1 to 2"),
    ("1e999", (-1, 2), "row 2: z = inf is not from -1 to 2"),
    ("-1", range(3), "row 2: z = -1 is no whole number from 0 to 2"),
    ("3", range(3), "row 2: z = 3 is no whole number from 0 to 2"),
    ("0.5", range(3), "row 2: z = 0.5 is no whole number from 0 to 2"),
])  # fmt: skip
def test_a_number_out_of_bounds_is_named(tmp_path, word, bounds, words):
    table = {"row 1": ["7", "1"], "row 2": ["7", word], "row 5": ["7", "0"]}
    with pytest.raises(ValueError, match=rf"x\.txt: {words}; get the file again"):
        numbers(tmp_path / "x.txt", table, {"y": (0, 10), "z": bounds})


def test_numbers_at_their_bounds_are_read(tmp_path):
    table = {"row 1": ["-1.0", "+2"], "row 2": ["2e0", "0"]}
    found = numbers(tmp_path / "x.txt", table, {"y": (-1, 2), "z": range(3)})
    np.testing.assert_array_equal(found, [[-1, 2], [2, 0]])


@pytest.mark.parametrize("words", [
    "1 1 0 0 1 1 0 0 0 0 1 0",  # singular
    "1e-9 0 60 0 0 70 20 0 0 0 1 0",
    "70 0 60 0 0 -70 20 0 0 0 1 0",
    "70 0 60 0 0 70 20 0 0 0 2 0",
    "70 0 600 0 0 70 20 0 0 0 1 0",
])  # fmt: skip
def test_a_projection_is_that_of_a_pinhole(tmp_path, words):
    path = tmp_path / "calib_cam_to_cam.txt"
    path.write_text(f"P_rect_02: {words}\nP_rect_03: 70 0 60 -33 0 70 20 1 0 0 1 0\n")
    given = NamedNumbers(path)
    assert given.projection("P_rect_03", SIZE_PX)[0, 3] == -33
    said = r"cam_to_cam\.txt: P_rect_02 = \[\[.* is no projection to an image of 120 x 40 pixels"
    with pytest.raises(ValueError, match=said):
        given.projection("P_rect_02", SIZE_PX)
