"""The command `leapai world export`: the embedded world for other programs."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from leapai.cli.arguments import Command, CommandGroup, keeps, read
from leapai.config.options import Argument


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"'{text}' must be HEIGHTxWIDTH, for example 450x800")
    return int(height), int(width)


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export as a data set."""

    output: Annotated[
        Path, Argument("a folder that does not exist yet", positional=True, metavar="OUT")
    ]
    format: Annotated[
        Literal["nuscenes", "rosbag"],
        Argument("a data set as that of nuScenes, or ROS 2 bags in MCAP"),
    ]
    drives: Annotated[int, Argument("number of drives; default: 1", metavar="N", least=1)] = 1
    world: Annotated[
        str,
        Argument("options of the drives, such as seed=3,frames=40,place=street", metavar="OPTIONS"),
    ] = ""
    image_size: Annotated[
        tuple[int, int], Argument("default: 450x800", metavar="HxW", parse=_size)
    ] = (450, 800)


def _export(parsed: argparse.Namespace) -> None:
    options = read(ExportOptions, parsed)
    from leapai.data.log import open_logs

    rig = "rig=six," if options.format == "nuscenes" else ""
    given = f"{options.world}," if options.world else ""
    data = f"synthetic:{given}{rig}drives={options.drives}"
    drives: Any = open_logs(data, image_size_px=options.image_size)
    with keeps(lambda: f"early; nothing of {options.output} is left"):
        count = _written(options, drives)
    sys.stdout.write(f"{len(drives)} drives, {count} -> {options.output}\n")


def _written(options: ExportOptions, drives: Any) -> str:
    """Writes the drives; returns what was counted, in words."""
    if options.format == "rosbag":
        from leapai_world.export_rosbag import export_rosbags

        return f"{export_rosbags(drives, options.output, _report)} frames"
    from leapai_world.export_nuscenes import export_nuscenes

    return f"{export_nuscenes(drives, options.output, _report)} keyframes"


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


COMMANDS = CommandGroup(
    "the embedded world for other programs",
    (Command("export", "write drives as a data set of a known format", _export, (ExportOptions,)),),
)
