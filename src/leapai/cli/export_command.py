"""The command `leapai export`: a checkpoint as a folder for others."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from leapai.cli.arguments import Command, read
from leapai.cli.hub_export import export_to_hub
from leapai.config.checkpoint_names import CHECKPOINT_WORDS, existing_checkpoint
from leapai.config.hub_options import HubOptions
from leapai.config.options import DATA_WORDS, Argument, WeightType
from leapai.data.data_names import check_data, named_source

if TYPE_CHECKING:
    from leapai.runtime.manifest import WeightFacts

GROUPS = "front_narrow, front_wide, back, side"
"""Groups of cameras, in words: their types need NumPy, and commands start without it."""
MOST_CAMERAS = 64
MOST_OF_LENGTH = 1 << 20
"""The number of `runtime.manifest`, which needs NumPy."""


def _cameras(text: str) -> tuple[int, ...]:
    """Reads how many cameras each group has: `1,1,1,4`."""
    numbers = text.split(",")
    if len(numbers) != len(GROUPS.split(",")) or not all(n.isdecimal() for n in numbers):
        raise argparse.ArgumentTypeError(
            f"'{text}' must be whole numbers such as 1,1,1,4: cameras of the groups {GROUPS}"
        )
    counts = tuple(map(int, numbers))
    if not 1 <= sum(counts) <= MOST_CAMERAS:
        raise argparse.ArgumentTypeError(f"'{text}' must add up to 1 to {MOST_CAMERAS} cameras")
    return counts


def _length(text: str) -> tuple[int, int]:
    """Reads the usual and the largest value of a length: `60000,131072`."""
    numbers = text.split(",")
    if len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        raise argparse.ArgumentTypeError(f"'{text}' must be two whole numbers: USUAL,MOST")
    usual, most = map(int, numbers)
    if not 2 <= usual <= most <= MOST_OF_LENGTH:
        raise argparse.ArgumentTypeError(
            f"'{text}' must be 2 at least, {MOST_OF_LENGTH} at most, and not fall"
        )
    return usual, most


@dataclass(frozen=True)
class ExportOptions:
    """The checkpoint to export, and what to make of it."""

    output: Annotated[Path, Argument("folder to write", flags=("-o", "--output"), metavar="DIR")]
    checkpoint: Annotated[
        Path | None,
        Argument(
            f"weights to export, {CHECKPOINT_WORDS}; default: the weights that ship with leapai",
            positional=True,
            metavar="CHECKPOINT",
        ),
    ] = None
    format: Annotated[
        Literal["onnx", "pt2", "triton", "hub"],
        Argument(
            "onnx and pt2: graphs of a step, for runtimes without PyTorch; triton: the folder of a "
            "model for Triton Inference Server; hub: that of a repository on a model hub; "
            "default: onnx",
            flags=("--format",),
        ),
    ] = "onnx"
    graphs: Annotated[
        Literal["step", "parts"],
        Argument(
            "step: one graph; parts: one for the trunk and one for each task, which may run at "
            "rates and on devices of their own; default: step"
        ),
    ] = "step"
    cameras: Annotated[
        tuple[int, ...] | None,
        Argument(
            f"how many cameras each group has: {GROUPS}; default: 1,1,1,4",
            metavar="N,N,N,N",
            parse=_cameras,
        ),
    ] = None
    weights: Annotated[
        WeightType,
        Argument(
            "type in which an ONNX graph keeps its weights: float16 halves its size; int8 also "
            "makes convolutions faster, and needs --calibration; default: float32"
        ),
    ] = "float32"
    calibration: Annotated[
        str | None,
        Argument(
            f"int8: data with the sensors that the network will see, of which up to 64 frames are "
            f"streamed to measure ranges: {DATA_WORDS}; labels are not needed",
            metavar="SOURCE",
        ),
    ] = None
    points: Annotated[
        tuple[int, int] | None,
        Argument(
            "LiDAR points of a usual frame, and the most that the graph takes, those of the "
            "nearest pillars; default: by the pillars of the configuration",
            metavar="USUAL,MOST",
            parse=_length,
        ),
    ] = None
    pairs: Annotated[
        tuple[int, int] | None,
        Argument(
            "pairs of a BEV cell and a camera that sees it: of the usual rig, and at most; "
            "default: by the cells of the configuration",
            metavar="USUAL,MOST",
            parse=_length,
        ),
    ] = None


def _export(parsed: argparse.Namespace) -> None:
    options, of_hub = read(ExportOptions, parsed), read(HubOptions, parsed)
    _check_format(options, of_hub)
    _check_weights(options)
    if options.checkpoint is not None:
        existing_checkpoint(options.checkpoint)
    calibration = _checked_source(options.calibration)
    from leapai.weights import shipped_checkpoint

    checkpoint = options.checkpoint or shipped_checkpoint()
    if options.format == "hub":
        export_to_hub(checkpoint, options.output, of_hub)
        return
    from leapai.checkpoints import read_checkpoint
    from leapai.export.exporting import export
    from leapai.export.graph_export import RIG, AskedLengths, StepForm
    from leapai.runtime.manifest import WeightFacts

    weights = WeightFacts(type=options.weights, calibration=calibration)
    form = StepForm(options.cameras or RIG, options.graphs)
    asked = AskedLengths(options.points, options.pairs)
    read_in = read_checkpoint(checkpoint)
    made = export(read_in, options.output, options.format, form, weights, asked)
    files = ", ".join(f"{graph.file} of {graph.bytes / 1e6:.1f} MB" for graph in made.graphs)
    sys.stdout.write(
        f"{made.job_name}: {options.output}, {files}, {_words(made.weights)}, "
        f"{len(made.inputs)} inputs, {len(made.outputs)} outputs\n"
    )


def _words(weights: WeightFacts) -> str:
    """Returns the type of weights, and what calibrated it, in words."""
    if weights.calibration is None:
        return weights.type
    return f"{weights.type} calibrated on {weights.frames} frames of {weights.calibration}"


def _check_format(options: ExportOptions, of_hub: HubOptions) -> None:
    """Raises ValueError for options that the format would leave unread."""
    if options.graphs == "parts" and options.format not in ("onnx", "pt2"):
        raise ValueError(
            f"--graphs parts is of the formats onnx and pt2; leave it out for {options.format}"
        )
    if options.format == "hub":
        of_graphs = [
            name for name in ("cameras", "points", "pairs") if getattr(options, name) is not None
        ]
        if of_graphs:
            raise ValueError(
                f"--{of_graphs[0]} is of the formats onnx, pt2 and triton; leave it out for the hub"
            )
        return
    given = [f"--{name}" for name, value in vars(of_hub).items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)}: of --format hub alone; add that, or leave "
            f"{'them' if len(given) > 1 else 'it'} out"
        )


def _check_weights(options: ExportOptions) -> None:
    """Raises ValueError for weights that the format does not have, and where frames that calibrate
    are missing or would be left unread."""
    if options.weights != "float32" and options.format not in ("onnx", "triton"):
        raise ValueError(
            f"--weights {options.weights} is of the formats onnx and triton; leave it out for "
            f"{options.format}"
        )
    if options.weights == "int8" and options.calibration is None:
        raise ValueError(
            "--weights int8 needs --calibration SOURCE: frames of the sensors that the network "
            "will see, such as synthetic:split=train,drives=8,frames=8,rate_hz=4"
        )
    if options.calibration is not None and options.weights != "int8":
        raise ValueError("--calibration is of --weights int8 alone; add that, or leave it out")


def _checked_source(calibration: str | None) -> str | None:
    """Returns the source with the name of its data set. Raises ValueError where it does not
    exist."""
    if calibration is None:
        return None
    source = named_source(calibration)
    check_data(source)
    from leapai.data.log import check_source

    check_source(source)  # before the trace, which takes minutes
    return source


EXPORT = Command(
    "export",
    "write a checkpoint for others: as graphs of a step, or as a folder for a model hub",
    _export,
    (ExportOptions, HubOptions),
)
