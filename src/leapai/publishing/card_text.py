"""Texts of a card that come out of files: without Markdown of theirs, and without paths of the
machine that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from leapai.io import printable

_LONGEST = 200


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
    name, colon, location = data.rpartition(":")
    parts = (part.rpartition("=") for part in location.split(","))
    return f"{name}{colon}" + ",".join(f"{key}{equals}{_last(path)}" for key, equals, path in parts)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


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
