"""Rows of a list are read one after another, to what `json.loads` reads at once."""

from __future__ import annotations

import json

import pytest

from leapai.data import json_rows as module
from leapai.data.json_rows import json_rows

ROWS = [
    {"a": [1, -2.5e3], "b": "é€😀 ],[{"},
    None,
    17,
    "x",
    {},
    [],
    [[1], {"c": '\\"'}],
    True,
    3.25,
]


@pytest.fixture(params=[1, 2, 3, 7, 1 << 22])
def chunk(request, monkeypatch):
    """Elements, numbers and letters of several bytes are cut anywhere."""
    monkeypatch.setattr(module, "_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("rows", [ROWS, [], [12345]])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_they_are_those_of_the_whole_text(tmp_path, rows, indent, encoding):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False) + "\n ", encoding)
    assert list(json_rows(path, "")) == rows


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    "text",
    ["[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1] 2", "[1]]", "[1, {]", '["x', "[1,,2]", "[01]"],
)
def test_what_json_refuses_is_refused(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Expecting|delimiter|Extra|Unterminated|property|value"):
        json.loads(text)
    with pytest.raises(ValueError, match=r"rows\.json is not valid JSON \(.*\); get it again"):
        list(json_rows(path, "get it again"))


def test_a_fault_in_the_first_row_does_not_bring_the_whole_file_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 10)
    monkeypatch.setattr(module, "_MAX_ROW", 100)
    path = tmp_path / "rows.json"
    path.write_text("[{" + "1" * 100_000 + "}]")
    rows = module._Rows(iter(lambda: chunks.read(10), b""))
    with path.open("rb") as chunks:
        with pytest.raises(ValueError, match="property name"):
            list(rows)
        assert chunks.tell() < 200


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "rows.json"
    path.write_bytes(b'["\xff"]')
    with pytest.raises(ValueError, match=r"is not valid JSON \('utf-8' codec"):
        list(json_rows(path, ""))
