"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from leapai.io import new_folder, whole_file


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


def test_a_folder_that_stayed_empty_goes_when_its_block_raises(tmp_path):
    folder = tmp_path / "a" / "b"
    with pytest.raises(KeyboardInterrupt), new_folder(folder):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_stays(tmp_path):
    folder, old = tmp_path / "a" / "b", tmp_path / "old"
    with pytest.raises(FileExistsError), new_folder(folder):
        [(folder / "kept").touch(exist_ok=False) for _ in range(2)]
    old.mkdir()
    with pytest.raises(ValueError, match="was there before"), new_folder(old):
        raise ValueError("was there before")
    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert old.is_dir()


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), new_folder(tmp_path / "file" / "b"):
        pytest.fail("the block must not run")
