"""A command line from dataclasses: each field with an `Argument` becomes an option of a command."""

from __future__ import annotations

import argparse
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from leapai.config.options import Argument

    _Options = TypeVar("_Options", bound=DataclassInstance)

USER_ERROR = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """One command: its name, a line on its purpose, what runs it, and the dataclasses whose fields
    are its arguments."""

    name: str
    purpose: str
    run: Callable[[argparse.Namespace], None]
    options: tuple[type[DataclassInstance], ...] = ()


@dataclass(frozen=True)
class CommandGroup:
    """Commands under one name, as an entry point of the group `leapai.commands` offers them."""

    purpose: str
    commands: tuple[Command, ...]


def fail(message: str) -> int:
    """Writes a user's mistake as one line on stderr; returns its exit status."""
    from leapai.io import printable  # late: only what fails needs it

    sys.stderr.write(f"error: {printable(' '.join(message.split()))}\n")
    return USER_ERROR


@contextmanager
def keeps(what: Callable[[], str]) -> Iterator[None]:
    """Lets Ctrl-C in its block report what was kept: words that follow "stopped", unless the block
    reports it itself."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if stop.args:
            raise
        raise KeyboardInterrupt(what()) from None


def files_in(folder: Path, what: str) -> Callable[[], str]:
    """Returns the words on a command that writes `what` into a folder, file by file."""

    def kept() -> str:
        is_there = folder.is_dir() and any(folder.iterdir())
        return f"early; {folder} keeps {what}" if is_there else "before anything was written"

    return kept


def interrupted(stop: KeyboardInterrupt) -> int:
    """Writes what an interrupted command kept as one line on stderr, by the first of several
    processes; returns its exit status."""
    if os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"\nstopped {stop}\n" if stop.args else "\nstopped\n")
    return INTERRUPTED


def add_arguments(parser: argparse.ArgumentParser, options: type[DataclassInstance]) -> None:
    """Adds the arguments of a dataclass to a parser."""
    for field, kind, argument in _arguments(options):
        names, reading = _names(field.name, argument), _reading(field, kind, argument)
        if not argument.positional:
            reading["dest"] = field.name
            reading["required"] = argument.required and field.default is MISSING
        action = parser.add_argument(*names, help=argument.help or None, **reading)
        if argument.completions:
            action.completer = _completer(argument.completions)  # type: ignore[attr-defined]


def read(options: type[_Options], parsed: argparse.Namespace, **otherwise: object) -> _Options:
    """Returns the dataclass with what the command line gave; `otherwise` are values of what it left
    out."""
    values = {field.name: getattr(parsed, field.name) for field, *_ in _arguments(options)}
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    left_out = {name: value for name, value in otherwise.items() if values[name] is None}
    return options(**{**values, **left_out})


def _arguments(
    options: type[DataclassInstance],
) -> Iterator[tuple[Field[Any], Any, Argument]]:
    """Yields each field that is an argument, its type without `None`, and the argument."""
    hints = get_type_hints(options, include_extras=True)
    for field in fields(options):
        kind, *extras = get_args(hints[field.name]) or (None,)
        arguments = [extra for extra in extras if hasattr(extra, "positional")]
        if arguments:
            optional = types.NoneType in get_args(kind)
            yield field, get_args(kind)[0] if optional else kind, arguments[0]


def _names(name: str, argument: Argument) -> tuple[str, ...]:
    if argument.positional:
        return (name,)
    return argument.flags or (f"--{name.replace('_', '-')}",)


def _reading(field: Field[Any], kind: Any, argument: Argument) -> dict[str, Any]:
    """Returns how argparse reads a field of the type `kind`."""
    default = None if field.default is MISSING else field.default
    if kind is bool:
        return {"action": "store_false" if default else "store_true"}
    reading: dict[str, Any] = {"metavar": argument.metavar, "default": default}
    if get_origin(kind) is Literal:
        return {**reading, "choices": get_args(kind)}
    if get_origin(kind) is tuple and argument.parse is None:  # any number of values
        kind = get_args(kind)[0]
        reading |= {"nargs": "*"} if argument.positional else {"action": "append"}
        reading["default"] = []
    elif argument.positional and field.default is not MISSING:
        reading["nargs"] = "?"
    reading["type"] = argument.parse or (_whole_number(argument.least) if kind is int else kind)
    return reading


def _completer(completions: Callable[[], Iterable[str]]) -> Callable[..., list[str]]:
    def complete(prefix: str, **_: object) -> list[str]:
        from argcomplete.completers import FilesCompleter

        return [*completions(), *FilesCompleter()(prefix)]

    return complete


def _whole_number(least: int | None) -> Callable[[str], int]:
    def read_number(text: str) -> int:
        if not text.isdecimal() or int(text) < (least or 0):
            raise argparse.ArgumentTypeError(f"'{text}' must be a whole number, {least} or more")
        return int(text)

    return read_number
