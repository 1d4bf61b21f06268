"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leapai.io import remove_stale, whole_file, whole_files, write_text


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


def test_files_of_a_group_are_moved_together_in_their_order(tmp_path, monkeypatch):
    paths, moved = [tmp_path / name for name in ("graph", "another", "manifest")], []
    for path in paths:
        path.write_text("old")

    def interrupted():
        with whole_files(paths) as temporaries:
            for temporary in temporaries[:2]:
                temporary.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["old"] * 3
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *names: (moved.append(names[1]), replace(*names)))
    with whole_files(paths) as temporaries:
        for temporary in temporaries:
            temporary.write_text("new")
        assert [path.read_text() for path in paths] == ["old"] * 3
    assert moved == paths
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["new"] * 3


def test_two_writers_of_one_path_do_not_meet_and_may_use_another_folder(tmp_path):
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "a"
    with whole_file(path, tmp_path / "temporary") as one, whole_file(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert (one.parent.name, other.parent) == ("temporary", tmp_path)
    assert path.read_text() == "one"
    assert not list((tmp_path / "temporary").iterdir())


def aged(path, seconds):
    path.write_text("half")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    with whole_file(tmp_path / "a.ckpt") as mine:
        pattern = mine.name.replace(f"-{os.getpid()}-", "-{}-")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        stale = aged(tmp_path / pattern.format(dead.pid), 120)
        elsewhere = pattern.replace("a.ckpt.tmp-", "a.ckpt.tmp-other_")
        old = aged(tmp_path / elsewhere.format(1), 100_000)
        kept = [
            aged(mine, 120),
            aged(tmp_path / elsewhere.format(2), 120),  # of another host: it may be at work
            aged(tmp_path / ("b" + pattern.format(dead.pid)), 1),
            aged(tmp_path / "notes.tmp", 100_000),
            aged(tmp_path / "a.ckpt.tmp-mine", 100_000),
        ]
        remove_stale(tmp_path)
        assert not stale.exists()
        assert not old.exists()
        assert all(path.exists() for path in kept)


def test_names_of_temporary_files_differ_and_name_host_and_process(tmp_path):
    with whole_file(tmp_path / "a") as one, whole_file(tmp_path / "a") as other:
        one.touch()
        other.touch()
        assert one != other
        assert f"-{os.getpid()}-" in one.name


def test_bytes_are_on_the_disk_before_the_file_is_moved(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(number):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        fsync(number)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "a.txt", "x")
    assert synced[0].startswith("a.txt.tmp-"), "the file itself, under its temporary name"
    assert synced[1:] == [tmp_path.name], "then its name in the folder"
    with whole_file(tmp_path / "b.png", durable=False) as temporary:
        temporary.write_text("x")
    assert len(synced) == 2


FULL_DISK = """
import resource, sys
from pathlib import Path
from leapai.io import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "x" * 5000)
except OSError as error:
    print(error)
"""


def test_a_full_disk_names_file_reason_and_remedy(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{path} cannot be written: File too large; make room on that disk, or name" in output
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
