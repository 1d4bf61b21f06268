"""Parts that all sections of `gpu.sh` share: time limits, waits of the host, memory, seconds.

On a machine without a GPU everything runs on the CPU, and counts no synchronisations.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_table import Results

if TYPE_CHECKING:
    import torch

    from leapai.config import TaskConfig

GB = 1e9


@dataclass(frozen=True)
class Options:
    """How long a section may take, and whether sizes are tiny."""

    results: Results
    ends: float
    tiny: bool

    def left_s(self) -> float:
        """Returns the seconds that are left."""
        return self.ends - time.monotonic()


def config_of(name: str, tiny: bool) -> TaskConfig:
    """Returns the shipped configuration of a step (step1, step2_dynamic), full size or tiny."""
    from leapai.config import load_config

    return load_config(f"tiny_{name}" if tiny else f"lpperception_current_hpa_{name}")


def device_of() -> torch.device:
    """Returns the GPU, or the CPU where there is none."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronise() -> None:
    """Waits for the GPU, if there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """Yields a list that holds, after the block, the places in which the host waited for the
    GPU."""
    import torch

    places: list[str] = []
    if not torch.cuda.is_available():
        yield places
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places += [
        f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)
    ]


def add_waits(results: Results, name: str, places: list[str]) -> None:
    """Adds the number of waits and where most of them are."""
    import torch

    if not torch.cuda.is_available():
        return
    often = sorted(set(places), key=lambda place: -places.count(place))
    where = ", ".join(f"{place} x {places.count(place)}" for place in often[:4])
    results.add(f"{name}: host synchronisations", len(places), where)


def add_peak(results: Results, name: str) -> None:
    """Adds the most memory of the GPU that was allocated since `reset_peak`."""
    import torch

    if torch.cuda.is_available():
        peak_gb = torch.cuda.max_memory_allocated() / GB
        results.add(f"{name}: peak memory", peak_gb, "GB, weights and inputs included")


def reset_peak() -> None:
    """Frees what nobody holds, and starts the count of memory again."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def attempt(options: Options, name: str, work: Callable[[], None]) -> None:
    """Runs one part of a section; a fault becomes a row, and the next part runs."""
    if options.left_s() < 2:
        options.results.add(name, "not run: no time was left")
        return
    try:
        work()
    except Exception as error:  # whatever is wrong on that machine is a result
        lines = str(error).strip().splitlines() or [""]
        options.results.add(name, f"failed: {type(error).__name__}: {lines[0]:.200}")


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Returns the mean seconds of a call, after one that does not count."""
    work()
    synchronise()
    start = time.perf_counter()
    for _ in range(times):
        work()
    synchronise()
    return (time.perf_counter() - start) / times
