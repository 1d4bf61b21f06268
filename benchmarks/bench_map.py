"""Measures the cost of vectorising and evaluating a full-size map, and the bounds of its metrics.

    python benchmarks/bench_map.py

Times are of one core, over frames of four places of the embedded world. The predictions are ground
truth, ground truth blurred and with noise, or noise alone (the worst case: thousands of specks).
The metrics of ground truth as prediction are bounds: of flicker by resampling, of lines by the
method.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from leapai.config import EvaluationConfig
from leapai.data.log import DrivingLog, open_logs
from leapai.evaluation.map.line_metrics import gt_lines
from leapai.evaluation.map.map_cells import Sight
from leapai.evaluation.map.map_flicker import MapView
from leapai.evaluation.map.map_metrics import MapFrame, MapTally
from leapai.evaluation.map.visibility import SightMemory, seen_now
from leapai.streaming.map_lines import polylines
from leapai.types import BevGrid, FloatArray, Frame, StaticLabels

GRID = BevGrid((-20.8, 62.4), (-22.4, 22.4), cell_m=0.2)
PLACES = ("street", "crossing", "residential", "car_park")
FRAMES = 10


def blurred(gt: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Returns probabilities like those of a network that is right but unsure."""
    soft = [cv2.GaussianBlur(plane, (0, 0), 1.0) * 2.2 for plane in gt]
    noise = rng.normal(0, 0.12, gt.shape)
    return np.clip(np.stack(soft) + noise, 0, 1).astype(np.float32)


def noise(gt: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Returns blobs about as wide as lines, over all of the grid."""
    planes = rng.random(gt.shape).astype(np.float32)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 2.0) * 2 - 0.55 for plane in planes])


def logs() -> Iterator[DrivingLog]:
    for place in PLACES:
        data = f"synthetic:seed=24,place={place},frames={FRAMES}"
        yield open_logs(data, image_size_px=(64, 120))[0]


def map_frame(
    frame: Frame,
    log: DrivingLog,
    labels: StaticLabels,
    probability: FloatArray,
    sight: Sight | None,
) -> MapFrame:
    view = MapView(frame.sequence, frame.timestamp_us, frame.ego2global, probability)
    gt = gt_lines(log.vector_map() or (), frame.ego2global)
    return MapFrame(view, polylines(probability, GRID), labels, gt, sight)


def cpu_ms(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    rng = np.random.default_rng(0)
    kinds = {"ground truth": lambda t, _: t, "blurred": blurred, "noise": noise}
    tallies = {name: MapTally(GRID, EvaluationConfig()) for name in ("ground truth", "blurred")}
    times: dict[str, list[float]] = {}
    for log in logs():
        memory = SightMemory(GRID)
        for index in range(FRAMES):
            frame, drawn = log[index], log.static_labels(index)
            labels = StaticLabels(drawn.lane_markings, drawn.road_elements)
            sight = memory.sight(frame)
            gt = drawn.planes.astype(np.float32)
            for name, of in kinds.items():
                predicted = of(gt, rng)
                time_ms = cpu_ms(lambda p=predicted: polylines(p, GRID))
                times.setdefault(f"polylines of {name}", []).append(time_ms)
                if name in tallies:
                    evaluated = map_frame(frame, log, labels, predicted, sight)
                    time_ms = cpu_ms(lambda n=name, j=evaluated: tallies[n].add(j))
                    times.setdefault("evaluation", []).append(time_ms)
            times.setdefault("sight", []).append(cpu_ms(lambda f=frame: seen_now(f, GRID)))
    for name, values in times.items():
        print(f"{name:<28}{statistics.median(values):8.1f} ms{max(values):8.1f} ms at most")
    for name, tally in tallies.items():
        metrics = tally.metrics()
        print(f"\n{name} as prediction, {metrics.frames} frames")
        for part in ("iou", "best_iou", "hidden_iou", "change", "flip_rate"):
            means = getattr(metrics, part)
            print(f"  {part:<12}{means.lane_markings:8.4f}{means.road_elements:8.4f}")
        for distance, lines in metrics.lines.items():
            shares = (lines["all"].precision, lines["all"].recall, lines["all"].f1)
            print(f"  lines within {distance}: P, R, F1", *(f"{share:.3f}" for share in shares))


if __name__ == "__main__":
    main()
