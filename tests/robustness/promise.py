"""The promise to whoever reads foreign data, and a folder in which it is put to the test.

Whatever the input: one clear error that names it, or a result in which what failed is marked. Never
an error of another kind, never a hang, and no file written, replaced or deleted outside the output.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

MAX_CPU_S = 10.0
"""An example that takes longer counts as a hang; all of them together take milliseconds each."""
MAX_WORDS = 2000
"""Characters of an error."""
Draw = Callable[..., Any]
"""Draws a value from a strategy of hypothesis."""


class Outcome(Enum):
    """Ways in which the promise was kept."""

    REFUSED = "refused"
    """One clear error."""
    MARKED = "marked"
    """What failed is marked or counted, and the rest is used."""
    USED = "used"
    """The damage left nothing to see: the input is within all bounds."""


class Property(NamedTuple):
    """One promise about one kind of input."""

    name: str
    begin: Callable[[Path], Callable[[Draw], Outcome]]
    """Makes what will be damaged in an empty folder; returns the check of one example."""
    examples: int
    """Examples of `make test`."""


def outcome_of(use: Callable[[], bool], *names: str) -> Outcome:
    """Uses a damaged input; `use` returns whether anything in it is marked as failed.

    Raises AssertionError where an error is not one line that has one of `names` in it, or where it
    takes too long. Errors of other kinds pass through: each is a fault.
    """
    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            outcome = Outcome.MARKED if use() else Outcome.USED
    except (ValueError, OSError) as error:
        check_words(str(error), *names)
        outcome = Outcome.REFUSED
    assert time.process_time() - begin < MAX_CPU_S, "takes too long"
    return outcome


def check_words(words: str, *names: str) -> None:
    """Checks that an error is one line, of a length that can be read, with one of `names` in it."""
    assert any(name in words for name in names), f"names none of {names}: {words[:MAX_WORDS]!r}"
    assert words.isprintable(), f"has several lines, or codes: {words[:MAX_WORDS]!r}"
    assert len(words) <= MAX_WORDS, f"has {len(words)} characters: {words[:MAX_WORDS]!r}"
    assert "failed while opening" not in words, f"is an error of another kind: {words}"


class Link(NamedTuple):
    """A symbolic link in place of a file."""

    target: str


class Sandbox:
    """A folder whose files are damaged one example after another, and put back in between."""

    def __init__(self, root: Path) -> None:
        """Takes the files below `root` as they are for the whole ones."""
        self.root = root
        self.whole = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    @contextmanager
    def damaged(self, files: Mapping[str, bytes | Link | None]) -> Iterator[None]:
        """Replaces files by others (None: removes them) while the block runs. Raises AssertionError
        where the block has changed anything itself."""
        for name, content in files.items():
            self._put(name, content)
        before = self._state()
        try:
            yield
            assert self._state() == before, "files were written, replaced or deleted"
        finally:
            for name in files:
                self._put(name, self.whole.get(name))

    def _put(self, name: str, content: bytes | Link | None) -> None:
        path = self.root / name
        path.unlink(missing_ok=True)
        if content is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content)

    def _state(self) -> dict[str, tuple[int, int]]:
        paths = [path for path in self.root.rglob("*") if not path.is_dir()]
        facts = {str(path.relative_to(self.root)): path.lstat() for path in paths}
        return {name: (fact.st_size, fact.st_mtime_ns) for name, fact in facts.items()}
