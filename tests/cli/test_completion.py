"""Completion of a shell, which runs the command with the line so far in its environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from leapai import cli


def completions(line: str, folder) -> set[str]:
    answer = folder / "answer"
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    code = "import sys; from leapai.cli import main; sys.argv[0] = 'leapai'; main()"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, cwd=folder
    )
    return {word.strip() for word in answer.read_text().splitlines()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("leapai con", {"config"}),
        ("leapai config tiny_step2_s", {"tiny_step2_static"}),
        ("leapai train --val", {"--val-data"}),
        ("leapai world ex", {"export"}),
        ("leapai completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_commands_options_and_names_are_completed(line, expected, tmp_path):
    assert expected <= completions(line, tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_names_the_command(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert "leapai" in capsys.readouterr().out
