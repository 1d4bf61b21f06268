"""Commands of other packages, found by entry point."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from leapai import cli
from leapai.cli import plugins

PLUGIN = """
from dataclasses import dataclass
from typing import Annotated
from leapai.cli import Command, CommandGroup, read
from leapai.config.options import Argument

@dataclass(frozen=True)
class Options:
    name: Annotated[str, Argument("whom to greet", positional=True)]
    times: Annotated[int, Argument("how often", metavar="N", least=1)] = 1

def greet(parsed):
    options = read(Options, parsed)
    if options.name == "nobody":
        raise ValueError("there is nobody to greet")
    print("hello", options.name, options.times)

COMMANDS = CommandGroup("greetings", (Command("hello", "greet somebody", greet, (Options,)),))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Adds the entry point `greet` whose module has the given source."""

    def install(source: str) -> None:
        (tmp_path / "greeting_plugin.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "greeting_plugin", raising=False)
        entry = metadata.EntryPoint("greet", "greeting_plugin:COMMANDS", "leapai.commands")
        monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])

    return install


def test_a_command_of_another_package_runs_with_its_options(plugin, capsys):
    plugin(PLUGIN)
    assert cli.main(["greet", "hello", "you", "--times", "2"]) == 0
    assert capsys.readouterr().out == "hello you 2\n"
    assert cli.main(["greet", "hello", "nobody"]) == 2
    assert capsys.readouterr().err == "error: there is nobody to greet\n"
    with pytest.raises(SystemExit):
        cli.main(["greet", "hello", "you", "--times", "0"])
    assert "'0' must be a whole number, 1 or more" in capsys.readouterr().err


def test_help_lists_it_without_importing_it(plugin, capsys):
    plugin(PLUGIN)
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert " greetings\n" in capsys.readouterr().out
    assert "greeting_plugin" not in sys.modules


def test_a_plugin_whose_source_states_no_purpose_is_named_by_its_package(plugin, capsys):
    plugin("COMMANDS = made_elsewhere()")
    assert cli.main([]) == 0
    assert "commands of greeting_plugin" in capsys.readouterr().out


def test_the_embedded_world_is_described_by_its_own_words(capsys):
    assert cli.main([]) == 0
    from leapai_world.command import COMMANDS

    assert f" {COMMANDS.purpose}\n" in capsys.readouterr().out


def test_a_group_without_a_command_prints_its_help(plugin, capsys):
    plugin(PLUGIN)
    assert cli.main(["greet"]) == 0
    assert "greet somebody" in capsys.readouterr().out


def test_it_cannot_take_the_name_of_our_own(monkeypatch, capsys):
    entry = metadata.EntryPoint("val", "greeting_plugin:COMMANDS", "leapai.commands")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry, entry])
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    assert "greet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import no_such_library", "greeting_plugin:COMMANDS cannot be imported (No module named"),
        ("COMMANDS = 3", "greeting_plugin:COMMANDS is no leapai.cli CommandGroup"),
    ],
)
def test_a_broken_plugin_breaks_no_other_command(plugin, capsys, source, expected):
    plugin(source)
    assert cli.main(["greet", "hello"]) == 2
    assert expected in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    assert cli.main(["config", "--task-config", "nowhere.py"]) == 2


def test_the_embedded_world_offers_its_export(capsys):
    assert "leapai_world.command:COMMANDS" in {
        entry.value for entry in metadata.entry_points(group="leapai.commands")
    }
    with pytest.raises(SystemExit):
        cli.main(["world", "export", "out", "--format", "kitti"])
    assert "invalid choice: 'kitti'" in capsys.readouterr().err
