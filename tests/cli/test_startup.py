"""A user's mistake is reported before anything heavy is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leapai.config import CONFIG_VARIABLE
from leapai.runs.history import append_run
from leapai.runs.system_info import _DRIVERS
from leapai.version import __version__
from tests.runs.test_history import LINE

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
        (["bench", "--ckpt", "no.ckpt"], "no.ckpt: there is no such file"),
        (["config", "tiny_step7"], "no configuration of this name ships"),
        (["runs"], "there is no table of runs"),
        (["report", "nowhere"], "nowhere: there is no such folder"),
        (["report", "."], "run.json is missing"),
        (["view", "nowhere"], "nowhere: there is no such folder"),
        (["val", "--data", "nuscenes:nowhere"], "there is no folder 'nowhere'"),
        (["demo", "--data", "lyft:x"], "there is no data set 'lyft'"),
        (["inspect", "argoverse2:nowhere"], "there is no folder 'nowhere'"),
        (["inspect", "synthetic", "--stats", "--against", "lyft:x"], "no data set 'lyft'"),
    ],
)
def test_a_wrong_option_or_a_missing_file_needs_no_schema(arguments, expected, tmp_path):
    status, written, modules = run(*arguments, folder=tmp_path)
    assert status == 2
    assert expected in written
    assert not modules & {*HEAVY, "pydantic"}


@pytest.mark.parametrize("config", [[], ["--task-config", TINY]])
def test_tables_that_an_exported_network_cannot_give_are_refused_at_once(config, tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "manifest.json").touch()
    arguments = ["val", *config, "--ckpt", "exported", "--memory"]
    status, written, modules = run(*arguments, folder=tmp_path)
    assert status == 2
    assert "--memory: exported is an exported network, whose graph" in written
    assert "name the checkpoint that was exported" in written
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
        (["train", "--data", "nuscenes:nowhere@2"], "there is no folder 'nowhere'"),
        (["train", "--val-data", "nuscenes:nowhere"], "there is no folder 'nowhere'"),
        (["val", "--random-weights", "--set", "data.val=lyft:x"], "no data set 'lyft'"),
    ],
)
def test_a_wrong_configuration_needs_no_pytorch(arguments, expected, tmp_path):
    (tmp_path / "last.ckpt").touch()
    command, *options = arguments
    status, written, modules = run(command, "--task-config", TINY, *options, folder=tmp_path)
    assert status == 2
    assert expected in written
    assert not modules & set(HEAVY)


@pytest.mark.parametrize("arguments", [["config", "tiny_step2_static"], ["config"], ["info"]])
def test_what_only_reads_needs_no_pytorch(arguments, tmp_path):
    status, written, modules = run(*arguments, folder=tmp_path)
    assert status == 0
    assert written.strip()
    assert not modules & ({*HEAVY} - ({"torch"} if has_gpu() else set()))


def has_gpu() -> bool:
    return any(Path(device).exists() for device in _DRIVERS)


def test_the_table_of_runs_needs_neither_pytorch_nor_pandas(tmp_path):
    append_run(tmp_path / "runs.parquet", LINE)
    status, written, modules = run("runs", "--table", "runs.parquet", folder=tmp_path)
    assert status == 0
    assert "AMOTA" in written
    assert not modules & {"torch", "scipy", "cv2", "av", "pandas"}


def test_the_command_of_the_world_makes_none(tmp_path):
    status, _, modules = run("world", "export", "out", "--format", "kitti", folder=tmp_path)
    assert status == 2
    assert not modules & {*(set(HEAVY) - {"leapai_world"}), "numpy", "leapai_world.sequence"}


@pytest.mark.parametrize("arguments", [["--version"], []])
def test_the_module_is_the_command(arguments, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "leapai", *arguments],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert ended.stdout.startswith(f"leapai {__version__}" if arguments else "usage: leapai")
    assert ("completion" in ended.stdout) == (not arguments)


def test_the_configuration_package_needs_no_pytorch(tmp_path):
    code = "import sys, leapai.config.load, leapai.config.settings; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ended.stdout.strip() == "False"
