"""Texts of a card that come out of files: without Markdown of theirs, and without paths of the
machine that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from leapai.io import printable

_LONGEST = 200
_FOLDERS = re.compile(r"^((?:[\w.]+[:=])*).*/", re.DOTALL)
"""Folders of a path, with the name of a data set, a function or an option before them."""


def plain(text: str) -> str:
    """Returns a text as one line that Markdown and HTML show as it is."""
    line = printable(" ".join(text.split()))[:_LONGEST]
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", line)


def code(text: str) -> str:
    """Returns a text as inline code, in a table, too."""
    line = printable(" ".join(text.split()))[:_LONGEST]
    return f"`{line.replace('`', '').replace('|', '/')}`"


def public_data(data: str) -> str:
    """Returns the name of data without the folders above it: `nuscenes:/home/x/nuscenes,split=val`
    becomes `nuscenes:nuscenes,split=val`."""
    return ",".join(_FOLDERS.sub(r"\1", part.rstrip("/")) for part in data.split(","))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Returns a table of Markdown; so many columns behind the first one hold numbers."""
    marks = ["---:" if 0 < column <= numbers else "---" for column in range(len(titles))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, marks, *rows))


def local_paths(value: object) -> tuple[str, ...]:
    """Returns the absolute paths that nested plain data names, each once."""
    return tuple(dict.fromkeys(_paths(value)))


def _paths(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if re.search(r"(?:^|[:=,])[/~]", value):
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _paths(each)
