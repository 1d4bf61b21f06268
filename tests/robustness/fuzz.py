"""Runs the properties with new random examples until the time is over: `make fuzz`.

    python -m tests.robustness.fuzz [--seconds 3600] [--property NAME ...] [--seed N]

Each round of a property runs in a process of its own, so that a crash or a hang of a decoder is a
fault like any other. What is printed: examples by outcome, and each new kind of fault once, with
what was drawn, as small as hypothesis found it. Ends with status 1 where there was a fault.
"""

from __future__ import annotations

# ruff: noqa: T201 - a command, whose result is printed
import argparse
import faulthandler
import itertools
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.robustness.promise import Property
from tests.robustness.properties import PROPERTIES

ROUND = 250
"""Examples of a process."""
HANG_S = 60
"""An example that takes this long ends its process."""
MEMORY_BYTES = 12 << 30
"""Memory of a process: a file that needs more is a fault."""


def run_round(tested: Property, number: int, examples: int) -> None:
    """Runs one round and prints its counts, and the fault that it found, as JSON."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    faulthandler.enable()
    logging.disable()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="leapai-fuzz-") as folder, own_cache():
        check = tested.begin(Path(folder))

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
        )
        @given(st.data())
        def examples_of(data: st.DataObject) -> None:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            try:
                counts[check(data.draw).value] += 1
            finally:
                faulthandler.cancel_dump_traceback_later()

        fault = None
        try:
            examples_of()
        except Exception as error:  # whatever it is, it breaks the promise
            fault = described(error)
    print(json.dumps({"counts": counts, "fault": fault}))


@contextmanager
def own_cache() -> Iterator[None]:
    """Keeps what is indexed of damaged tables out of the user's cache."""
    with tempfile.TemporaryDirectory(prefix="leapai-fuzz-cache-") as folder:
        os.environ["LEAPAI_CACHE"] = folder
        yield


def described(error: BaseException) -> dict[str, str]:
    """Returns kind and place of an error, its words, and what was drawn for it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/leapai" in frame.filename] or frames
    place = f"{Path(own[-1].filename).name}:{own[-1].name}"
    notes = "\n".join(getattr(error, "__notes__", ()))
    words = str(error).splitlines()[0] if str(error) else ""
    kind = f"{type(error).__name__} at {place}"
    if isinstance(error, AssertionError):
        kind = f"{kind}: {words[:60]}"
    lines = "".join(traceback.format_exception(error)[-6:])
    return {"kind": kind, "words": words[:500], "notes": notes[-2000:], "trace": lines[-3000:]}


def in_process(tested: Property, number: int, examples: int) -> dict[str, object]:
    """Runs a round in a process of its own; a process that dies is a fault."""
    words = ["--round", str(number), "--examples", str(examples), "--property", tested.name]
    command = [sys.executable, "-m", "tests.robustness.fuzz", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stdout.splitlines()[-1:] or [""]
    if done.returncode == 0:
        found: dict[str, object] = json.loads(last[0])
        return found
    end = done.stderr[-3000:]
    kind = f"the process ended with {done.returncode} ({tested.name})"
    fault = {"kind": kind, "words": f"round {number}", "notes": "", "trace": end}
    return {"counts": {}, "fault": fault}


def fuzz(chosen: list[Property], seconds: float, first: int, examples: int) -> bool:
    """Runs rounds in turn until the time is over, and prints what they found; returns whether there
    was a fault."""
    end = time.monotonic() + seconds
    counts: dict[str, Counter[str]] = {tested.name: Counter() for tested in chosen}
    faults: Counter[str] = Counter()
    for number in itertools.count(first):
        for tested in chosen:
            if time.monotonic() > end:
                break
            found = in_process(tested, number, examples)
            counts[tested.name].update(found["counts"])  # type: ignore[call-overload]
            fault = found["fault"]
            if isinstance(fault, dict):
                faults[fault["kind"]] += 1
                if faults[fault["kind"]] == 1:
                    print(f"\nFAULT in {tested.name}, round {number}: {fault['kind']}")
                    print(fault["words"], fault["notes"], fault["trace"], sep="\n", flush=True)
        else:
            continue
        break
    print(f"\n{'property':32}{'examples':>10}{'refused':>10}{'marked':>10}{'used':>10}")
    for name, each in counts.items():
        row = (each.total(), *(each[word] for word in ("refused", "marked", "used")))
        print(f"{name:32}" + "".join(f"{number:>10}" for number in row))
    total = sum(each.total() for each in counts.values())
    print(f"{total} examples, {len(faults)} kinds of faults", flush=True)
    return bool(faults)


def main() -> None:
    """Reads the options and runs rounds, or one round."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--property", action="append", choices=[each.name for each in PROPERTIES])
    parser.add_argument("--examples", type=int, default=ROUND)
    parser.add_argument("--round", type=int, default=None, help="run this one only")
    options = parser.parse_args()
    chosen = [p for p in PROPERTIES if options.property is None or p.name in options.property]
    if options.round is not None:
        run_round(chosen[0], options.round, options.examples)
        return
    first = int(time.time()) if options.seed is None else options.seed
    sys.exit(fuzz(chosen, options.seconds, first, options.examples))


if __name__ == "__main__":
    main()
