"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from leapai.io import whole_file


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path):
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_a_block_that_raises_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_path_do_not_meet_and_may_use_another_folder(tmp_path):
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "a"
    with whole_file(path, tmp_path / "temporary") as one, whole_file(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert (one.parent.name, other.parent) == ("temporary", tmp_path)
    assert path.read_text() == "one"
    assert not list((tmp_path / "temporary").iterdir())
