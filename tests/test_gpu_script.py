"""`benchmarks/gpu.sh`, which must work the first time that it meets a GPU: its CPU path, and what
it does when a section fails, hangs or is left out."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.scenes import joint_config, small_config

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def bench_gpu(monkeypatch) -> ModuleType:
    """The sections, with the smallest networks that there are."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("bench_gpu")
    shared = importlib.import_module("gpu_section")
    configs = {"step1": joint_config(), "step2_dynamic": small_config()}
    monkeypatch.setattr(importlib.import_module("bench_network"), "POINTS", 1_000)
    monkeypatch.setattr(shared, "config_of", lambda name, tiny: configs[name])
    return module


def rows_of(module: ModuleType, section: str, folder: Path) -> dict[str, object]:
    results = module.Results(folder, section)
    module.SECTIONS[section](module.Options(results, time.monotonic() + 60, tiny=True))
    on_disk = json.loads((folder / f"{section}.json").read_text())
    assert on_disk["rows"] == results.rows
    return {row["name"]: row["value"] for row in results.rows}


def test_every_mode_streams(bench_gpu, tmp_path):
    rows = rows_of(bench_gpu, "streaming", tmp_path)
    for mode in ("float32", "float32 with TF32", "bf16 backbones"):
        assert rows[mode] > 0, rows


def test_steps_of_every_kind_are_measured(bench_gpu, tmp_path):
    rows = rows_of(bench_gpu, "steps", tmp_path)
    for kind in ("Step 1", "Step 2 dynamic", "Step 2 dynamic, cached features"):
        assert rows[f"{kind}, 2 streams"] > 0, rows
        assert rows[f"{kind}, 2 streams: loss of the last step"] > 0


def test_a_part_that_fails_is_a_row_and_the_next_one_runs(bench_gpu, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no kernel image\nfor this GPU")

    monkeypatch.setattr(importlib.import_module("gpu_training"), "measure_steps", broken)
    rows = rows_of(bench_gpu, "steps", tmp_path)
    assert list(rows.values()) == ["failed: RuntimeError: no kernel image"] * 3


def test_the_tests_of_this_machine_are_summed_up(bench_gpu, tmp_path, monkeypatch):
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "pytest"]
        assert all(Path(name).exists() for name in command if name.startswith("tests/"))
        lines = ("...F", "FAILED tests/a.py::test_b - no", "===== 1 failed, 3 passed in 2s =====")
        return subprocess.CompletedProcess(command, 1, "\n".join(lines), "")

    monkeypatch.chdir(BENCHMARKS.parent)
    monkeypatch.setattr(bench_gpu.subprocess, "run", run)
    rows = rows_of(bench_gpu, "tests", tmp_path)
    assert list(rows.values()) == [
        "1 failed, 3 passed in 2s",
        "FAILED tests/a.py::test_b - no",
    ]


def test_missing_packages_are_named_with_what_is_lost(bench_gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_gpu, "NEEDED", ("numpy",))
    monkeypatch.setattr(bench_gpu, "OPTIONAL", {"embreex": "the training section"})
    monkeypatch.setitem(sys.modules, "embreex", None)  # as if it were not installed
    assert rows_of(bench_gpu, "machine", tmp_path)["embreex"] == (
        "missing, without it no the training section"
    )


def test_one_section_that_fails_or_hangs_stops_no_other(tmp_path):
    """The interpreter is a stand-in: it fails for one section, hangs in another."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"""#!/bin/bash
case $1 in *gpu_table.py) exec {sys.executable} "$@";; esac
row='"rows": [{{"name": "a row", "value": 1.5, "unit": "s"}}]'
echo '{{"section": "'$2'", '$row', "status": ""}}' > "$4/$2.json"
case $2 in streaming) exit 3;; steps) exec sleep 30;; esac
""")
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["bash", BENCHMARKS / "gpu.sh", "--output", tmp_path, "--limit", "4"],
        env={**os.environ, "PYTHON": str(stand_in)},
        capture_output=True,
        text=True,
        check=True,
    )
    table = (tmp_path / "gpu.md").read_text()
    assert table in done.stdout
    assert table.count("| a row | 1.5 | s |") == 4, "three that ended and one that failed"
    assert "| streaming | **ended early** | exit status 3 | |" in table
    assert "| steps | **ended early** | stopped after " in table
    assert "| training | **ended early** | not run: no time was left | |" in table
