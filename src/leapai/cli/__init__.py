"""The command `leapai`. Thin: a command reads its options, imports what it needs and calls it.

A user's mistake (ValueError, OSError) ends a command with one line on stderr and exit status 2;
Ctrl-C with one line on what was kept and exit status 130. Anything else is a fault of ours and
shows its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from leapai.cli.arguments import Command, CommandGroup, add_arguments, fail, interrupted, read
from leapai.version import __version__

if TYPE_CHECKING:
    _Subparsers = argparse._SubParsersAction["Parser"]

__all__ = ["Command", "CommandGroup", "Parser", "build_parser", "fail", "main", "read"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for a user's mistake, 130 when interrupted,
    141 where its output is not read to the end.

    `arguments` are those of the process by default. Raises SystemExit for `--help` and for
    arguments that cannot be read.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    try:
        options = build_parser(given).parse_args(given)
        options.given = given  # for a command that prints how to go on with it
    except ValueError as error:
        return fail(str(error))
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_SHORT
    except KeyboardInterrupt as stop:
        return interrupted(stop)
    except (ValueError, OSError) as error:
        if options.traceback:
            raise
        return fail(str(error))
    return 0


CUT_SHORT = 141
"""Exit status where the output is not read to its end, as a shell gives it: 128 and SIGPIPE."""


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
    own = _own_commands()
    parser = Parser(prog="leapai", description="Streaming 3D perception with memory.")
    parser.add_argument("-V", "--version", action="version", version=f"leapai {__version__}")
    commands = _subcommands(parser)
    for command in own:
        _add(commands, command)
    word = arguments[0] if arguments else ""
    names = {command.name for command in own}
    if word not in names:
        from leapai.cli import plugins  # takes time, as does the search

        added = plugins.installed_commands()
        for name in sorted(added.keys() - names):
            if name == word:
                _add_group(commands, name, plugins.load_group(added[name]))
            else:
                commands.add_parser(name, help=plugins.purpose_of(added[name]))
    return parser


def _own_commands() -> tuple[Command, ...]:
    from leapai.cli.bench_command import BENCH
    from leapai.cli.export_command import EXPORT
    from leapai.cli.info_commands import COMPLETION, CONFIDENCE, INFO, MERGE
    from leapai.cli.inspect_command import INSPECT
    from leapai.cli.predict_command import PREDICT
    from leapai.cli.report_commands import REPORT, RUNS, VIEW
    from leapai.cli.stress_command import STRESS
    from leapai.cli.train_commands import CACHE, CONFIG, TRAIN
    from leapai.cli.validate_commands import DEMO, VAL

    return (
        *(DEMO, PREDICT, TRAIN, CACHE, VAL, STRESS, CONFIG, MERGE, CONFIDENCE, EXPORT, REPORT),
        *(RUNS, INSPECT, BENCH, VIEW, INFO, COMPLETION),
    )


def _subcommands(parser: Parser) -> _Subparsers:
    """Returns the place for the commands of a parser, which prints its help without one."""
    parser.set_defaults(command=lambda _: parser.print_help(), traceback=False)
    return parser.add_subparsers(metavar="COMMAND")


def _add(commands: _Subparsers, command: Command) -> None:
    parser = commands.add_parser(
        command.name, help=command.purpose, description=command.purpose, allow_abbrev=False
    )
    parser.set_defaults(command=command.run)
    for options in command.options:
        add_arguments(parser, options)
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")


def _add_group(commands: _Subparsers, name: str, group: CommandGroup) -> None:
    inner = _subcommands(commands.add_parser(name, help=group.purpose, description=group.purpose))
    for command in group.commands:
        _add(inner, command)


def _complete() -> None:
    """Answers the shell, which asks for completions of a line, and ends the process."""
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()
    argcomplete.autocomplete(build_parser(words[1:]))
