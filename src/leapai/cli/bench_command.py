"""The command `leapai bench`: time and memory of each stage on this machine."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from leapai.cli.arguments import Command, read
from leapai.cli.configuration import DEMO_DATA, NamedConfigurationOptions
from leapai.config.checkpoint_names import existing_network
from leapai.config.options import Argument
from leapai.data.data_names import check_data

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.config.schema import TaskConfig
    from leapai.runtime.exported_network import ExportedNetwork


@dataclass(frozen=True)
class BenchOptions:
    """Options of the benchmark in addition to its configuration."""

    checkpoint: Annotated[
        Path | None,
        Argument(
            "weights to run, or the folder of an exported network; without a configuration, its "
            "own is used; without both, the network that ships; a configuration without weights "
            "runs random ones",
            flags=("--ckpt",),
            metavar="FILE",
        ),
    ] = None
    data: Annotated[str, Argument(f"frames to run; default: {DEMO_DATA}")] = DEMO_DATA
    frames: Annotated[int, Argument("frames to measure; default: 20", metavar="N", least=1)] = 20
    warm_up: Annotated[
        int, Argument("frames before those, not measured; default: 4", metavar="N", least=0)
    ] = 4
    threads: Annotated[
        int | None,
        Argument(
            "threads of PyTorch, or of ONNX Runtime; default: its own choice", metavar="N", least=1
        ),
    ] = None


def _bench(parsed: argparse.Namespace) -> None:
    options = read(BenchOptions, parsed)
    configuration = read(NamedConfigurationOptions, parsed)
    path = options.checkpoint
    if path is None and configuration.file() is None:
        from leapai.weights import shipped_checkpoint

        path = shipped_checkpoint()
    if path is not None:
        existing_network(path)
    check_data(options.data)
    if options.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # which ONNX Runtime reads
    config, checkpoint = configuration.load_or_that_of(path)
    _measure(config, checkpoint or path, options)


def _measure(
    config: TaskConfig, source: Checkpoint | ExportedNetwork | Path | None, options: BenchOptions
) -> None:
    from rich.console import Console

    from leapai.report.terminal_benchmark import benchmark_summary, benchmark_table
    from leapai.runs.run_inputs import open_inputs
    from leapai.runs.stage_benchmark import measure_stages, threads_of
    from leapai.runs.system_info import machine_info

    console = Console(highlight=False, soft_wrap=True)
    inputs = open_inputs(config, source, options.data, None, labelled=False)
    threads = threads_of(inputs.model, options.threads)
    origin, machine = inputs.origin, machine_info()
    console.print(f"[bold]{origin.job_name}[/] on {origin.data}, weights {origin.weights}")
    console.print(
        f"{origin.device}, {threads} threads on {machine.cpu}, {machine.usable_cpus} of "
        f"{machine.cpus} cores usable"
    )
    benchmark = measure_stages(inputs, options.frames, options.warm_up)
    console.print(f"{benchmark.frames} frames after {benchmark.warm_up} of warm-up")
    console.print(benchmark_table(benchmark))
    console.print(benchmark_summary(benchmark))


BENCH = Command(
    "bench",
    "measure time and memory of each stage of the network on this machine",
    _bench,
    (NamedConfigurationOptions, BenchOptions),
)
