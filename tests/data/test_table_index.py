"""An index is that of its tables as they are now, whole, or it is built again."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from leapai.data import table_index
from leapai.data.table_index import IndexContent, TableSource, open_index

BUILD = f"{__name__}:content_of"


def content_of(folder):
    """The tables are one file of numbers; `built.txt` counts how often it was read."""
    path = os.path.join(folder, "table.txt")
    with open(os.path.join(folder, "built.txt"), "a") as log:
        log.write("x")
    with open(path) as file:
        text = file.read()
    if not text:
        raise ValueError(f"{path} is empty; fill it")
    values = np.array(text.split(), np.float64)
    arrays = {"value": values, "pair": np.ones((2, len(values)), np.int16)}
    arrays |= {"name": text.split(), "none": np.zeros((0, 4)), "nobody": []}
    return IndexContent(arrays, ["table.txt: a row is left out"], {"count": len(values)})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAPAI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tables"
    folder.mkdir()
    write(folder, "1 2.5 nan")
    return folder


def write(folder, text):
    """Writes the table, as if it were some time ago."""
    path = folder / "table.txt"
    path.write_text(text)
    os.utime(path, ns=(path.stat().st_mtime_ns - 10**9,) * 2)


def opened(folder):
    return open_index(TableSource(folder, [folder / "table.txt"], BUILD, (str(folder),)))


def times_built(folder):
    return len((folder / "built.txt").read_text())


def files_in_cache(folder):
    return sorted((folder.parent / "cache" / "tables").glob("*.arrow"))


def test_it_holds_what_was_written(folder):
    index = opened(folder)
    np.testing.assert_array_equal(index["value"], [1, 2.5, np.nan])
    assert index["pair"].shape == (2, 3)
    assert index["pair"].dtype == np.int16
    assert index["none"].shape == (0, 4)
    assert index.texts("name") == ["1", "2.5", "nan"]
    assert index.texts("name", 1, 2) == ["2.5"]
    assert index.text("name", 2) == "nan"
    assert index.texts("nobody") == []
    assert index.facts == {"count": 3}
    assert "value" in index
    assert "other" not in index


def test_it_is_a_view_of_the_file_and_cannot_be_changed(folder):
    values = opened(folder)["value"]
    assert not values.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 7


def test_it_is_built_once_and_warns_each_time(folder, caplog):
    with caplog.at_level(logging.WARNING):
        opened(folder)
        opened(folder)
    assert times_built(folder) == 1
    words = f"{folder}/table.txt: a row is left out"
    assert [record.getMessage() for record in caplog.records] == [words] * 2


def test_another_process_opens_the_same_by_its_pickle(folder):
    index = pickle.loads(pickle.dumps(opened(folder)))
    assert index["value"][1] == 2.5


@pytest.mark.parametrize("change", ["size", "time", "code"])
def test_it_is_built_again_where_tables_or_code_have_changed(folder, change, monkeypatch):
    opened(folder)
    if change == "size":
        write(folder, "1 2.5 nan 4")
    elif change == "time":
        os.utime(folder / "table.txt", ns=(1, 1))
    else:
        monkeypatch.setattr(table_index, "own_code", lambda: "other")
    assert len(opened(folder)["value"]) == (4 if change == "size" else 3)
    assert times_built(folder) == 2
    assert len(files_in_cache(folder)) == 1, "the old one is removed"


def test_tables_that_were_written_a_moment_ago_may_have_been_written_again(folder):
    path = folder / "table.txt"
    path.write_text("1 2.5 nan")
    state = path.stat()
    opened(folder)
    (index,) = files_in_cache(folder)
    os.utime(index, ns=(state.st_mtime_ns + 1000,) * 2)
    path.write_text("9 2.5 nan")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert opened(folder)["value"][0] == 9


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "foreign"])
def test_a_damaged_one_is_built_again(folder, damage, caplog):
    opened(folder)
    (path,) = files_in_cache(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(
        {"flip": content, "truncate": content[:-9], "empty": b"", "foreign": b"x" * 500}[damage]
    )
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(opened(folder)["value"], [1, 2.5, np.nan])
    assert "it is damaged; it is built again" in caplog.text
    assert times_built(folder) == 2


def test_an_error_of_the_tables_is_the_readers_and_leaves_nothing(folder):
    (folder / "table.txt").write_text("")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"table\.txt is empty; fill it"):
            opened(folder)
    assert files_in_cache(folder) == []


def test_without_a_cache_folder_it_is_built_for_the_process(folder, monkeypatch, caplog):
    (folder.parent / "file").touch()
    monkeypatch.setenv("LEAPAI_CACHE", str(folder.parent / "file"))
    with caplog.at_level(logging.WARNING):
        index = opened(folder)
    assert "cannot be written" in caplog.text
    assert "LEAPAI_CACHE" in caplog.text
    np.testing.assert_array_equal(index["value"], [1, 2.5, np.nan])


@pytest.mark.processes
def test_large_tables_are_read_by_another_process_with_the_same_result(folder, monkeypatch):
    monkeypatch.setattr(table_index, "LARGE_BYTES", 0)
    np.testing.assert_array_equal(opened(folder)["value"], [1, 2.5, np.nan])
    (folder / "table.txt").write_text("")
    with pytest.raises(ValueError, match=r"table\.txt is empty; fill it"):
        opened(folder)


@pytest.mark.processes
def test_processes_that_start_at_once_build_it_once(folder):
    code = f"from tests.data.test_table_index import opened; from pathlib import Path; print(opened(Path({str(folder)!r}))['value'][1])"  # noqa: E501
    each = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in each] == ["2.5"] * 3
    assert times_built(folder) == 1
