"""Measures the gain from memory: detection metrics with it, without it, and with parts of it off.

    python benchmarks/measure_memory.py [--step1 outputs/tiny_step1/model.ckpt] \
        [--step2 outputs/tiny_step2_dynamic/model.ckpt] [--also "2 frames=FILE"]

Streams the same validation drives through Step 1, if it is given, through Step 2, and through Step
2 with a part switched off *at inference*: history of fewer frames, the motion-aware layer norm
(its scale and shift at zero, a plain layer norm), and the switches of `temporal_optimization`, of
which `random_sampling` only acts in training: `--also` adds networks trained without it. Without
`--step2` it measures the checkpoint that ships. Frames are rendered once and kept on disk. Prints
a Markdown table and writes the metrics as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from leapai.checkpoints import config_of, load_checkpoint
from leapai.config import TaskConfig
from leapai.config.checks import TRUNK_MODULES
from leapai.data.frame_cache import open_cached_logs
from leapai.data.log import DrivingLog, version_of
from leapai.evaluation.detection.detection_results import DetectionMetrics
from leapai.evaluation.evaluate_stream import StreamMetrics, evaluate_stream
from leapai.io import whole_file
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.models.tensors import FrameBatch
from leapai.types import OCCLUSION_NAMES
from leapai.weights import shipped_checkpoint

SWITCHES = ("topk_selection", "query_rearrangement", "velocity_zeroing")
"""Switches of `temporal_optimization` that act at inference."""
MOST_STORED_BYTES = 2e9
"""Bytes of stored outputs of trunks at most; others are computed again."""


@dataclass(frozen=True)
class Network:
    """Weights and the configuration they run with."""

    model: Perception
    config: TaskConfig


@dataclass(frozen=True)
class Row:
    """Name and metrics of one line of the table."""

    name: str
    metrics: DetectionMetrics

    def cells(self) -> list[str]:
        """Returns the columns of `HEADER`."""
        found = (heavily_occluded_recall(self.metrics), self.metrics.hidden.recall)
        mean_ap, velocity = self.metrics.mean_ap, self.metrics.errors.velocity_mps
        return [self.name, percent(mean_ap), metres(velocity), *map(percent, found)]


HEADER = (
    "",
    "mAP %",
    "velocity error m/s",
    "recall, heavily occluded %",
    "recall, hidden but seen <= 2 s ago %",
)


def heavily_occluded_recall(metrics: DetectionMetrics) -> float | None:
    """Returns the recall within 2 m; None where no such object is labelled."""
    return metrics.occlusion[OCCLUSION_NAMES[-1]].recall


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def metres(error: float | None) -> str:
    return "-" if error is None else f"{error:.3f}"


def load(path: Path) -> Network:
    """Returns the network of a checkpoint, built from the configuration in it."""
    config = config_of(path)
    model = build_model(config)
    load_checkpoint(path, model)
    return Network(model, config)


def changed(network: Network, **changes: object) -> Network:
    """Returns the same weights under a configuration that differs."""
    config = TaskConfig.model_validate({**network.config.model_dump(), **changes})
    model = build_model(config)
    model.load_state_dict(network.model.state_dict())
    return Network(model, config)


class TrunkMemory:
    """Stored outputs of trunks. Variants of Step 2 differ only after the trunk, so it runs once a
    frame for all of them."""

    def __init__(self) -> None:
        self._made: dict[str, dict[tuple[str, int], torch.Tensor]] = {}
        self._bytes = 0

    def attach(self, model: Perception) -> None:
        """Makes the network's trunk return stored outputs where there are any."""
        made, trunk = self._made.setdefault(trunk_hash(model), {}), model.trunk

        def stored(batch: FrameBatch) -> torch.Tensor:
            (frame,) = batch.frames
            key = (frame.sequence, frame.timestamp_us)
            if key in made:
                return made[key].to(batch.images.device)
            bev = trunk(batch)
            if self._bytes < MOST_STORED_BYTES:
                made[key] = bev.cpu()
                self._bytes += bev.nbytes
            return bev

        model.trunk = stored


def trunk_hash(model: Perception) -> str:
    """Returns a hash of everything but the frame that the trunk's output depends on."""
    digest = hashlib.sha256(repr([model.config.bev, model.config.camera]).encode())
    digest.update(repr(model.config.lidar).encode())
    for name, value in model.state_dict().items():
        if name.partition(".")[0] in TRUNK_MODULES:
            digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def with_plain_layer_norm(network: Network) -> Network:
    """Returns the same network without the motion in its memory's layer norm."""
    other = changed(network)
    condition = other.model.bev_dynamic_head.memory.condition
    with torch.no_grad():
        for layer in (condition.scale, condition.shift):
            layer.weight.zero_()
            layer.bias.zero_()
    return other


def with_history(network: Network, frames: int) -> Network:
    """Returns the same network with `frames` frames of history."""
    if frames == 0:
        return changed(network, enable_dynamic_temporal=False)
    return changed(network, queue_length=frames + 1)


def variants(step2: Network) -> Iterator[tuple[str, Callable[[], Network]]]:
    """Yields names and makers of networks: Step 2 with one part off."""
    for frames in range(step2.config.queue_length - 1):
        yield f"Step 2, {frames} frames of history", lambda n=frames: with_history(step2, n)
    yield "Step 2, motion-aware layer norm off", lambda: with_plain_layer_norm(step2)
    switches = step2.config.temporal_optimization
    for name in SWITCHES:
        off = {**switches.model_dump(), name: False}
        yield f"Step 2, {name} off", lambda off=off: changed(step2, temporal_optimization=off)


def streamed(
    network: Network,
    logs: Sequence[DrivingLog],
    options: Options,
    memory: TrunkMemory | None = None,
) -> StreamMetrics:
    """Returns all metrics of the drives."""
    if memory:
        memory.attach(network.model)
    return evaluate_stream(
        network.model, network.config, logs, max_frames=options.max_frames, device=options.device
    )


def measure(
    name: str,
    network: Network,
    logs: Sequence[DrivingLog],
    options: Options,
    memory: TrunkMemory | None = None,
) -> Row:
    """Returns the row of a network; prints it on stderr with the time it took."""
    start = time.perf_counter()
    row = Row(name, streamed(network, logs, options, memory).detection)
    print(f"{time.perf_counter() - start:6.0f} s  {' | '.join(row.cells())}", file=sys.stderr)
    return row


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table in Markdown."""
    for line in (header, ["---"] + ["--:"] * (len(header) - 1), *rows):
        print(f"| {' | '.join(line)} |")


def metrics_of(rows: Sequence[Row]) -> dict[str, object]:
    """Returns the metrics by the name of their row."""
    return {row.name: row.metrics.model_dump(mode="json") for row in rows}


def write_json(rows: Mapping[str, object], logs: Sequence[DrivingLog], options: Options) -> None:
    """Writes the metrics of all rows, with the command that made them."""
    content = {
        "command": shlex.join(["python", *sys.argv]),
        "data": options.data,
        "data_version": version_of(logs),
        "rows": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(options.output) as path:
        path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\n{options.output}")


@dataclass(frozen=True)
class Options:
    """Options that all measurements of a checkpoint share."""

    data: str
    output: Path
    max_frames: int | None
    device: str
    cache_gb: float

    def open(self, config: TaskConfig) -> list[DrivingLog]:
        """Opens the drives, with their frames cached on disk."""
        cache = config.cache.model_copy(update={"frames_gb": self.cache_gb})
        size = config.camera.image_size_px
        return open_cached_logs(
            self.data, image_size_px=size, cache=cache, label_range_m=config.bev.label_range_m
        )


def parser(description: str, output: str) -> argparse.ArgumentParser:
    """Returns a parser of the options that all measurements share."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--step2", type=Path, metavar="FILE", help="default: the one that ships")
    made.add_argument("--data", help="default: data.val of the Step 2 checkpoint")
    made.add_argument("--output", type=Path, default=Path("outputs") / output)
    made.add_argument("--max-frames", type=int, metavar="N", help="of each drive")
    made.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    made.add_argument("--cache-gb", type=float, default=4.0, help="for frames on disk; 0: none")
    return made


def options_of(given: argparse.Namespace, config: TaskConfig) -> Options:
    """Returns the options that all measurements share."""
    data = given.data or config.data.val
    return Options(data, given.output, given.max_frames, given.device, given.cache_gb)


def comparison(description: str, output: str) -> tuple[argparse.Namespace, Network, Options]:
    """Returns the arguments, Step 2 and the shared options of a comparison of networks."""
    options = parser(description, output)
    options.add_argument("--step1", type=Path, metavar="FILE")
    options.add_argument(
        "--also", action="append", default=[], metavar="NAME=FILE", help="another checkpoint"
    )
    given = options.parse_args()
    step2 = load(given.step2 or shipped_checkpoint())
    return given, step2, options_of(given, step2.config)


def also(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Network]]]:
    """Yields the names and makers of the other checkpoints."""
    for name, _, file in (text.partition("=") for text in given.also):
        yield name, lambda file=file: load(Path(file))


def main() -> None:
    """Measures and prints."""
    given, step2, shared = comparison(__doc__, "measure_memory.json")
    logs = shared.open(step2.config)
    history = step2.config.queue_length - 1
    memory = TrunkMemory()
    before = measure("Step 1", load(given.step1), logs, shared, memory) if given.step1 else None
    after = measure(f"Step 2 ({history} frames of history)", step2, logs, shared, memory)
    rows = [after] if before is None else [before, after]
    for name, make in (*variants(step2), *also(given)):
        rows.append(measure(name, make(), logs, shared, memory))
    print_table(HEADER, [row.cells() for row in rows])
    if before is not None:
        print_gain(before.metrics, after.metrics)
    write_json(metrics_of(rows), logs, shared)


def print_gain(step1: DetectionMetrics, step2: DetectionMetrics) -> None:
    """Prints the gain of Step 2 over Step 1, with the goals."""
    pairs = (
        (step1.mean_ap, step2.mean_ap),
        (step1.errors.velocity_mps, step2.errors.velocity_mps),
        (heavily_occluded_recall(step1), heavily_occluded_recall(step2)),
    )
    gains = [
        None if before is None or after is None else 100 * (after - before)
        for before, after in pairs
    ]
    if gains[1] is not None and pairs[1][0]:
        gains[1] /= pairs[1][0]
    shown = ["-" if gain is None else f"{gain:+.1f}" for gain in gains]
    print(
        f"\nStep 2 over Step 1: mAP {shown[0]} points (goal +5), velocity error {shown[1]} % (goal "
        f"-60), recall of heavily occluded objects {shown[2]} points (goal +10)"
    )


if __name__ == "__main__":
    main()
