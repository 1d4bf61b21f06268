"""The stages of a benchmark in a terminal."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.table import Table

from leapai.report.metric_cells import NOTHING
from leapai.runs.profiler import StageCost
from leapai.runs.stage_benchmark import READING, StageBenchmark


def benchmark_table(benchmark: StageBenchmark) -> Table:
    """Returns milliseconds a frame, share of the time after reading, and memory of each stage."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage")
    for title in ("ms / frame", "share", "peak MB", "added MB"):
        table.add_column(title, justify="right")
    streamed = sum(cost.seconds for name, cost in benchmark.costs.items() if name != READING)
    for name, cost in benchmark.costs.items():
        share = NOTHING if name == READING else f"{cost.seconds / streamed:.1%}"
        table.add_row(name, *_cells(cost, benchmark.frames, share))
    table.add_section()
    peak = max(cost.peak_bytes for cost in benchmark.costs.values())
    whole = StageCost(benchmark.frames, sum(benchmark.frame_seconds), peak)
    table.add_row("whole frame, read", *_cells(whole, benchmark.frames, "100.0%"), style="bold")
    return table


def benchmark_summary(benchmark: StageBenchmark) -> str:
    """Returns the spread of the time a frame, and the rate that it allows."""
    low, middle, high = np.quantile(benchmark.frame_seconds, (0.1, 0.5, 0.9)) * 1e3
    return (
        f"a frame, once read: median {middle:.1f} ms, 10 % to 90 %: {low:.1f} to {high:.1f} ms, "
        f"so {1e3 / middle:.1f} frames a second; the data has {benchmark.rate_hz:.3g}"
    )


def _cells(cost: StageCost, frames: int, share: str) -> tuple[str, str, str, str]:
    added = NOTHING if cost.added_bytes == 0 else f"{cost.added_bytes / 1e6:.0f}"
    peak = NOTHING if cost.peak_bytes == 0 else f"{cost.peak_bytes / 1e6:.0f}"
    return f"{cost.seconds / frames * 1e3:.2f}", share, peak, added
