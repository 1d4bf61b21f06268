"""Prints the CPU seconds until commands answer: `python tools/measure_startup.py`.

Each command runs in a new interpreter a few times; the least time counts. The numbers are those of
the table in `docs/architecture.md`, and depend on the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).resolve().parents[1] / "src"
RUNS = 5
LEAPAI = "import sys; from leapai.cli import main; sys.argv[0] = 'leapai'; sys.exit(main())"
COMMANDS = {
    "python -c pass": ("pass",),
    "import numpy": ("import numpy",),
    "import leapai.types": ("import leapai.types",),
    "leapai --help": (LEAPAI, "--help"),
    "leapai world --help": (LEAPAI, "world", "--help"),
    "leapai val --no-such-option": (LEAPAI, "val", "--no-such-option"),
    "leapai val --ckpt MISSING": (LEAPAI, "val", "--ckpt", "missing.ckpt"),
    "leapai val --data MISSING": (LEAPAI, "val", "--data", "nuscenes:missing"),
    "leapai train MISSING": (LEAPAI, "train", "missing.py"),
    "leapai train --ckpt MISSING": (LEAPAI, "train", "tiny_step1", "--ckpt", "missing.ckpt"),
    "leapai merge MISSING": (LEAPAI, "merge", "missing.ckpt", "missing.ckpt", "-o", "out.ckpt"),
    "leapai report MISSING": (LEAPAI, "report", "missing"),
    "leapai runs, no table": (LEAPAI, "runs"),
    "leapai config": (LEAPAI, "config"),
    "leapai config tiny_step1": (LEAPAI, "config", "tiny_step1"),
    "leapai info": (LEAPAI, "info"),
}
"""Name -> what `python -c` runs, and its arguments."""


def least_seconds(arguments: tuple[str, ...], runs: int = RUNS) -> float:
    """Returns the least CPU time, user and system, of a command in a new interpreter and an empty
    folder."""
    times = []
    with TemporaryDirectory() as folder:
        for _ in range(runs):
            before = _children_s()
            subprocess.run(
                [sys.executable, "-c", *arguments],
                capture_output=True,
                check=False,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )
            times.append(_children_s() - before)
    return min(times)


def _children_s() -> float:
    """Returns the CPU seconds of all child processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def main() -> None:
    """Prints one line for each command."""
    for name, arguments in COMMANDS.items():
        sys.stdout.write(f"{name:30s} {least_seconds(arguments):.2f} s\n")


if __name__ == "__main__":
    main()
