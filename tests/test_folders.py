"""Whatever a name says, files stay in their folder, apart from each other, and those of others
stay as they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from leapai.folders import MARK, claim, file_name, inside, new_folder, sole_user

HOSTILE = (
    "../x", "../../etc/passwd", "/etc/passwd", "..", ".", "", "a/../../b", "a\\..\\b", "~/x",
    "-rf", ".hidden", "a\0b", "a\nb", "\x1b[2J", "x" * 300, "a b", "\ud800", "con:", "*", "$HOME",
    "<script>alert(1)</script>",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["scene-0061", "drive_0.5", "7fab2350-7eaf-3b7e-a39d-6937a4c1bede"]
)
def test_a_plain_name_is_its_own(name):
    assert file_name(name) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_becomes_one_part_of_a_path(tmp_path, name):
    safe = file_name(name)
    (tmp_path / safe).write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [safe]
    assert safe.isascii()
    assert not safe.startswith((".", "-"))


def test_two_names_never_share_a_file():
    names = [*HOSTILE, "a_b", "a/b", "a b", "a.b", "A_B", "x" * 301, "../X"]
    names += [file_name(name) for name in HOSTILE]  # names that look like those of others
    assert len({file_name(name) for name in names}) == len(set(names))


def test_a_name_that_is_taken_gets_another():
    assert file_name("overview", taken=("overview",)).startswith("overview-")
    assert file_name("other", taken=("overview",)) == "other"


def test_only_files_of_the_folder_are_inside(tmp_path):
    folder, secret = tmp_path / "run", tmp_path / "secret"
    (folder / "worst").mkdir(parents=True)
    secret.write_text("secret")
    (folder / "worst" / "a").write_text("a")
    (folder / "out").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "within").symlink_to("worst/a")
    (folder / "loop").symlink_to("loop")
    a = folder / "worst" / "a"
    assert [inside(folder, name) for name in ("worst/a", "within", "worst/../worst/a")] == [a] * 3
    for name in (
        "out", "up/secret", "../secret", str(secret), "worst", "loop", "gone", "a\0", "x" * 5000,
    ):  # fmt: skip
        assert inside(folder, name) is None, name


def test_a_new_an_empty_and_an_own_folder_may_be_claimed(tmp_path):
    claim(tmp_path / "new" / "run")
    (tmp_path / "new" / "run" / "metrics.json").write_text("{}")
    claim(tmp_path / "new" / "run")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "run.json").write_text("{}")
    claim(tmp_path / "older")


def test_a_folder_with_files_of_others_is_refused_and_stays_as_it_was(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "config.json"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(
        ValueError, match=r"no run of leapai wrote \(a.jpg, b.jpg, c.jpg and 2 more"
    ):
        claim(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match=r"out.*: is a file, or lies below one; name a folder"):
        claim(tmp_path / "out" / below)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named():
    with pytest.raises(OSError, match=r"/proc/x cannot be made \(No such file .*--output"):
        claim(Path("/proc/x"))


def test_a_link_that_leads_out_is_refused_and_one_within_is_not(tmp_path):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    claim(run)
    (run / "wandb").mkdir()
    (run / "wandb" / "latest").symlink_to(run / "wandb")
    claim(run)
    (run / "pictures").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="pictures: is a link that leads out of the folder"):
        claim(run)


def hold(folder: Path, ready, ends_by_signal: bool) -> None:
    with sole_user(folder):
        ready.set()
        signal.pause() if ends_by_signal else os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_folder_has_one_user_and_is_free_when_that_is_killed(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, True))
    other.start()
    assert ready.wait(10)
    with (
        pytest.raises(ValueError, match=rf"another run writes into it \(process {other.pid} on "),
        sole_user(tmp_path),
    ):
        pass
    other.kill()
    other.join()
    with sole_user(tmp_path):
        assert str(os.getpid()) in (tmp_path / MARK).read_text()


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
    assert sorted(path.name for path in folder.iterdir()) == [".leapai", "kept"]
    assert old.is_dir()


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, or"), new_folder(tmp_path / "file" / "b"):
        pytest.fail("the block must not run")
