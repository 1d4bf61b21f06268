"""Prints the seconds until commands answer: `python tools/measure_startup.py`.

Each command runs in a new interpreter a few times; the least time counts. The numbers are those of
the table in `docs/architecture.md`, and depend on the machine and its load.
"""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 5
LEAPAI = "import sys; from leapai.cli import main; sys.argv[0] = 'leapai'; sys.exit(main())"
COMMANDS = {
    "python -c pass": ("pass",),
    "import numpy": ("import numpy",),
    "import leapai.types": ("import leapai.types",),
    "leapai --help": (LEAPAI, "--help"),
    "leapai val --no-such-option": (LEAPAI, "val", "--no-such-option"),
}
"""Name -> what `python -c` runs, and its arguments."""


def least_seconds(arguments: tuple[str, ...], runs: int = RUNS) -> float:
    """Returns the least wall-clock time of a command in a new interpreter."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", *arguments], capture_output=True, check=False)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Prints one line for each command."""
    for name, arguments in COMMANDS.items():
        sys.stdout.write(f"{name:30s} {least_seconds(arguments):.2f} s\n")


if __name__ == "__main__":
    main()
