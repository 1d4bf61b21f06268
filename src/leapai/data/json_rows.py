"""Rows of a large JSON list, one after another: a table of gigabytes is never in memory whole."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leapai.data import reading

_CHUNK_BYTES = 1 << 22
_MAX_ROW = 1 << 24
"""Longest row in characters; what is longer is no row of a table."""
_SPACE = re.compile(r"[ \t\r\n]*")
_VALUE = json.JSONDecoder().raw_decode


def json_rows(path: Path, remedy: str) -> Iterator[Any]:
    """Yields the elements of the list that a JSON file holds, in order.

    Raises ValueError with the file and the `remedy` where it is missing, is no list, or is not
    valid: in the latter case after the elements before the fault.
    """
    try:
        with reading.json_errors(path, remedy), reading.opened_regular(path) as file:
            yield from _Rows(iter(lambda: file.read(_CHUNK_BYTES), b""))
    except _NoListError:
        kind = type(reading.read_json(path, remedy)).__name__
        raise ValueError(f"{path} must be a list of rows, not {kind}; {remedy}") from None


class _NoListError(Exception):
    """The content does not begin as a list does."""


class _Rows:
    """Iterates over the elements of a list whose text comes in chunks of bytes.

    `_text` is the window of the text that is in memory, `_at` the place in it. An element counts
    once the comma or bracket behind it is there, because a number may go on in the next chunk.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at = "", 0

    def __iter__(self) -> Iterator[Any]:
        if self._next_sign() != "[":
            raise _NoListError
        self._at += 1
        if self._next_sign() == "]":
            self._at += 1
            self._end()
            return
        while True:
            value, self._at = self._value()
            yield value
            self._at += 1
            if self._text[self._at - 1] == "]":
                self._end()
                return

    def _value(self) -> tuple[Any, int]:
        """Returns the next element, and the place of the comma or bracket behind it."""
        while True:
            problem: ValueError
            try:
                value, end = _VALUE(self._text, _after_space(self._text, self._at))
            except json.JSONDecodeError as error:
                problem = error
            else:
                end = _after_space(self._text, end)
                if self._text[end : end + 1] in (",", "]"):
                    return value, end
                problem = ValueError(f"a comma is missing behind {ascii(value)[:60]}")
            if len(self._text) - self._at > _MAX_ROW or not self._more():
                raise problem

    def _next_sign(self) -> str:
        """Moves to the next character that is no space, and returns it; "" at the end."""
        while True:
            self._at = _after_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _end(self) -> None:
        if self._next_sign():
            raise ValueError("there is more behind the list")

    def _more(self) -> bool:
        """Adds a chunk to the window, without what lies behind; False: there is none."""
        chunk = next(self._chunks, b"")
        self._text = self._text[self._at :] + self._decoder.decode(chunk, final=not chunk)
        self._at = 0
        return bool(chunk)


def _after_space(text: str, at: int) -> int:
    if text[at : at + 1] > " ":
        return at  # what is most frequent, in a third of the time
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
