"""A user's mistake is reported before anything heavy is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leapai.config import CONFIG_VARIABLE

TINY = str(
    Path(__file__).resolve().parents[2] / "projects/perception/configs/tiny_step2_dynamic.py"
)
HEAVY = ["torch", "cv2", "pyarrow", "av", "scipy", "leapai_world"]
CODE = """
import json, sys
from leapai.cli import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


def run(*arguments: str, folder: Path) -> tuple[int, str, set[str]]:
    """Exit status of a command, what it wrote, and the modules that it imported."""
    environment = {k: v for k, v in os.environ.items() if k != CONFIG_VARIABLE}
    ended = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    *written, last = ended.stderr.splitlines()
    status, modules = json.loads(last)
    return status, ended.stdout + "\n".join(written), set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["val", "--help"], ["train", "--help"]])
def test_help_imports_no_schema(arguments, tmp_path):
    status, written, modules = run(*arguments, folder=tmp_path)
    assert status == 0
    assert "usage: leapai" in written
    assert not modules & {*HEAVY, "pydantic", "numpy", "rich"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["val", "--wrong", "x"], "unrecognized arguments: --wrong"),
        (["train", "--steps", "0"], "'0' must be a whole number, 1 or more"),
        (["val", "--task-config", "no.py"], "no.py: there is no such file"),
        (["train", "--task-config", "no.py"], "no.py: there is no such file"),
        (["val", "--task-config", TINY, "--ckpt", "no.ckpt"], "no.ckpt: there is no such file"),
        (["val", "--task-config", TINY, "--ckpt", "."], "is a folder"),
        (["val", "--ckpt", "no.ckpt"], "no.ckpt: there is no such file"),
        (["val", "--task-config", TINY], "--ckpt is missing"),
        (["train", "--task-config", TINY, "--ckpt", "no.ckpt"], "no.ckpt: there is no such file"),
        (["train", "--task-config", TINY, "--resume", "no.ckpt"], "no.ckpt: there is no such"),
        (["merge", "no.ckpt", "no.ckpt", "-o", "x"], "no.ckpt: there is no such file"),
    ],
)
def test_a_wrong_option_or_a_missing_file_needs_no_schema(arguments, expected, tmp_path):
    status, written, modules = run(*arguments, folder=tmp_path)
    assert status == 2
    assert expected in written
    assert not modules & {*HEAVY, "pydantic"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["val", "--set", "tracking.gate=1", "--random-weights"], "tracking.gate = 1: unknown"),
        (["val", "--set", "min_score", "--random-weights"], "--set min_score: must be SECTION."),
        (
            ["train", "--set", "training.sed=1"],
            "training.sed = 1: unknown name; did you mean seed?",
        ),
        (["train", "--output", "."], "there has been a training in this folder"),
    ],
)
def test_a_wrong_configuration_needs_no_pytorch(arguments, expected, tmp_path):
    (tmp_path / "last.ckpt").touch()
    command, *options = arguments
    status, written, modules = run(command, "--task-config", TINY, *options, folder=tmp_path)
    assert status == 2
    assert expected in written
    assert not modules & set(HEAVY)


def test_the_configuration_package_needs_no_pytorch(tmp_path):
    code = "import sys, leapai.config.load, leapai.config.settings; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ended.stdout.strip() == "False"
