"""Measures the gain of map segmentation from memory, and the cost of joint training in Step 1.

    python benchmarks/measure_road.py [--step1 outputs/tiny_step1/model.ckpt] \
        [--step2 outputs/tiny_step2_static/model.ckpt] [--also "objects alone=FILE"]

Streams the same validation drives through Step 1, if it is given, through Step 2 Static, through
Step 2 without its past (every frame counts as the first of a drive), and through the checkpoints of
`--also`. Without `--step2` it measures the checkpoint that ships. Frames are rendered once and kept
on disk. Prints a Markdown table and writes the metrics as JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from leapai.evaluation.evaluate_stream import StreamMetrics
from leapai.evaluation.map.map_results import MapMeans, MapMetrics
from measure_memory import (
    Network,
    TrunkMemory,
    also,
    changed,
    comparison,
    load,
    percent,
    print_table,
    streamed,
    write_json,
)

HEADER = (
    "lane markings / road elements, %",
    "mAP of objects",
    "IoU",
    "IoU, hidden now but seen before",
    "flip rate",
    "F1 of lines, 0.25 m / 0.5 m",
)
NO_TIME_S = 1e-6
"""Longest gap that memory bridges, so short that it bridges none."""


def cells(name: str, metrics: StreamMetrics) -> list[str]:
    """Returns the columns of `HEADER`."""
    mean_ap = percent(metrics.detection.mean_ap)
    if metrics.road is None:
        return [name, mean_ap, *["-"] * (len(HEADER) - 2)]
    road = metrics.road
    f1 = " / ".join(percent(lines["all"].f1) for lines in road.lines.values())
    return [name, mean_ap, *map(both, (road.iou, road.hidden_iou, road.flip_rate)), f1]


def both(means: MapMeans) -> str:
    """Returns the percentages of both rasters."""
    return f"{percent(means.lane_markings)} / {percent(means.road_elements)}"


def print_gain(step1: MapMetrics, step2: MapMetrics) -> None:
    """Prints the gain of Step 2 over Step 1, with the goals."""
    hidden = gain(step1.hidden_iou, step2.hidden_iou, lambda a, b: 100 * (b - a))
    flicker = gain(step1.flip_rate, step2.flip_rate, lambda a, b: 100 * (b / a - 1))
    print(
        "\nStep 2 over Step 1, lane markings / road elements: IoU where hidden now but seen before "
        f"{hidden} points (goal +10), flip rate {flicker} % (goal -50)"
    )


def gain(before: MapMeans, after: MapMeans, of: Callable[[float, float], float]) -> str:
    """Returns the gains of both rasters."""
    pairs = (
        (before.lane_markings, after.lane_markings),
        (before.road_elements, after.road_elements),
    )
    return " / ".join("-" if a is None or b is None else f"{of(a, b):+.1f}" for a, b in pairs)


def main() -> None:
    """Measures and prints."""
    given, step2, shared = comparison(__doc__, "measure_road.json")
    logs, memory = shared.open(step2.config), TrunkMemory()
    networks: dict[str, Callable[[], Network]] = {}
    if given.step1:
        networks["Step 1"] = lambda: load(given.step1)
    networks["Step 2"] = lambda: step2
    networks["Step 2, without its past"] = lambda: changed(step2, max_gap_s=NO_TIME_S)
    networks |= also(given)
    metrics: dict[str, StreamMetrics] = {}
    for name, made in networks.items():
        start = time.perf_counter()
        metrics[name] = streamed(made(), logs, shared, memory)
        seconds = time.perf_counter() - start
        print(f"{seconds:6.0f} s  {' | '.join(cells(name, metrics[name]))}", file=sys.stderr)
    print_table(HEADER, [cells(name, measured) for name, measured in metrics.items()])
    before = metrics["Step 1"].road if given.step1 else None
    after = metrics["Step 2"].road
    if before is not None and after is not None:
        print_gain(before, after)
    write_json({name: of_network(measured) for name, measured in metrics.items()}, logs, shared)


def of_network(metrics: StreamMetrics) -> dict[str, object]:
    """Returns all metrics as plain data."""
    road = None if metrics.road is None else metrics.road.model_dump(mode="json")
    return {"detection": metrics.detection.model_dump(mode="json"), "road": road}


if __name__ == "__main__":
    main()
