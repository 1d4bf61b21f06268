"""The command `leapai`. Thin: a command reads its options, imports what it needs and calls it.

A user's mistake (ValueError, OSError) ends a command with one line on stderr and exit status 2;
anything else is a fault of ours and shows its traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from leapai.cli.arguments import Command, CommandGroup, add_arguments, fail, read

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    _Subparsers = argparse._SubParsersAction["Parser"]

__all__ = ["Command", "CommandGroup", "Parser", "build_parser", "fail", "main", "read"]
PLUGINS = "leapai.commands"
"""Group of the entry points that add commands: `NAME = "PACKAGE.MODULE:GROUP"`, a
`CommandGroup`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for a user's mistake, 130 when interrupted.

    `arguments` are those of the process by default. Raises SystemExit for `--help` and for
    arguments that cannot be read.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        options = build_parser(given).parse_args(given)
    except ValueError as error:
        return fail(str(error))
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        if options.traceback:
            raise
        return fail(str(error))
    return 0


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with the message."""
        self.exit(fail(f"{message}; see {self.prog} --help"))


def build_parser(arguments: Sequence[str]) -> Parser:
    """Returns the parser for a command line, of which only the first word matters: a command of
    another package is imported only where that word names it.

    Raises ValueError where that command cannot be imported.
    """
    from leapai.cli.info_commands import INFO, MERGE
    from leapai.cli.inspect_command import INSPECT
    from leapai.cli.predict_command import PREDICT
    from leapai.cli.report_commands import REPORT, RUNS, VIEW
    from leapai.cli.train_commands import CONFIG, TRAIN
    from leapai.cli.validate_commands import DEMO, VAL

    own = (DEMO, PREDICT, TRAIN, VAL, CONFIG, MERGE, REPORT, RUNS, INSPECT, VIEW, INFO)
    parser = Parser(prog="leapai", description="Streaming 3D perception with memory.")
    commands: _Subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in own:
        _add(commands, command)
    word = arguments[0] if arguments else ""
    if word not in {command.name for command in own}:
        from importlib.metadata import entry_points  # takes time, as does the search

        added = {entry.name: entry for entry in entry_points(group=PLUGINS)}
        for name in sorted(added.keys() - {command.name for command in own}):
            _add_plugin(commands, added[name], is_used=name == word)
    return parser


def _add(commands: _Subparsers, command: Command) -> None:
    parser = commands.add_parser(
        command.name, help=command.purpose, description=command.purpose, allow_abbrev=False
    )
    parser.set_defaults(command=command.run)
    for options in command.options:
        add_arguments(parser, options)
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")


def _add_plugin(commands: _Subparsers, entry: EntryPoint, is_used: bool) -> None:
    if not is_used:
        commands.add_parser(entry.name, help=f"commands of {entry.module.partition('.')[0]}")
        return
    try:
        group = entry.load()
    except Exception as error:
        raise ValueError(
            f"leapai {entry.name}: {entry.value} cannot be imported ({error}); install its package "
            "again or remove it"
        ) from error
    if not isinstance(group, CommandGroup):
        raise ValueError(f"leapai {entry.name}: {entry.value} is no leapai.cli CommandGroup")
    parser = commands.add_parser(entry.name, help=group.purpose, description=group.purpose)
    inner: _Subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in group.commands:
        _add(inner, command)
