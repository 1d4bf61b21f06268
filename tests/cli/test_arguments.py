"""A dataclass becomes a command line."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from leapai.cli import Parser
from leapai.cli.arguments import add_arguments, read
from leapai.cli.train_commands import TRAIN
from leapai.cli.validate_commands import VAL
from leapai.config.options import Argument

DOCS = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


@dataclass(frozen=True)
class Options:
    source: Annotated[Path, Argument("where from", positional=True)]
    target: Annotated[Path | None, Argument("where to", positional=True)] = None
    size: Annotated[int, Argument("how large", flags=("-s", "--size"), least=2)] = 7
    kind: Annotated[Literal["a", "b"] | None, Argument("which")] = None
    words: Annotated[tuple[str, ...], Argument("any number", flags=("--word",))] = ()
    is_loud: Annotated[bool, Argument("louder")] = False
    writes: Annotated[bool, Argument("only look", flags=("--no-write",))] = True
    folder: Annotated[Path | None, Argument("the command has a default")] = None
    inner: int = 3


def parsed(*arguments: str) -> argparse.Namespace:
    parser = Parser(prog="tool", allow_abbrev=False)
    add_arguments(parser, Options)
    return parser.parse_args(arguments)


def test_what_is_not_given_has_the_default_of_the_dataclass():
    assert read(Options, parsed("here")) == Options(Path("here"))


def test_what_is_given_has_the_type_of_the_field():
    given = parsed(
        *("here", "there", "-s", "3", "--kind", "b", "--word", "x", "--word", "y", "--is-loud"),
        "--no-write",
    )
    assert read(Options, given) == Options(
        Path("here"), Path("there"), 3, "b", ("x", "y"), is_loud=True, writes=False
    )


def test_a_command_fills_in_what_was_left_out():
    assert read(Options, parsed("here"), folder=Path("made")).folder == Path("made")
    given = parsed("here", "--folder", "own")
    assert read(Options, given, folder=Path("made")).folder == Path("own")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: source; see tool --help"),
        (["here", "--size", "1"], "argument -s/--size: '1' must be a whole number, 2 or more"),
        (["here", "--size", "x"], "'x' must be a whole number, 2 or more"),
        (["here", "--kind", "c"], "argument --kind: invalid choice: 'c'"),
        (["here", "--inner", "4"], "unrecognized arguments: --inner 4"),
        (["here", "--fold", "x"], "unrecognized arguments: --fold"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(*arguments)
    written = capsys.readouterr().err
    assert end.value.code == 2
    assert written.startswith("error: ")
    assert written.count("\n") == 1
    assert message in written


@pytest.mark.parametrize("command", [TRAIN, VAL], ids=lambda command: command.name)
def test_every_option_has_a_help_text_and_is_documented(command):
    parser = Parser()
    for options in command.options:
        add_arguments(parser, options)
    documented = {*re.findall(r"--[a-z-]+", DOCS.read_text()), "--help"}
    for action in parser._actions:
        assert action.help
        assert not action.option_strings or action.option_strings[-1] in documented
