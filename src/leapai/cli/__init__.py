"""The command `leapai`. Thin: a command reads its options, imports what it needs and calls it.

A user's mistake (ValueError, OSError) ends a command with one line on stderr and exit status 2;
anything else is a fault of ours and shows its traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from leapai.cli.arguments import Command, CommandGroup, fail, read
from leapai.cli.parser import build_parser

__all__ = ["Command", "CommandGroup", "fail", "main", "read"]


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
