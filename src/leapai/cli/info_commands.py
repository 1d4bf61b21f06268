"""The commands `leapai info`, `leapai merge`, `leapai confidence` and `leapai completion`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from leapai.cli.arguments import Command, read
from leapai.config.checkpoint_names import existing_checkpoint
from leapai.config.confidence_options import ConfidenceOptions
from leapai.config.options import Argument
from leapai.data.data_names import check_data


@dataclass(frozen=True)
class InfoOptions:
    """Options of `leapai info`."""

    json: Annotated[bool, Argument("print the facts as JSON")] = False


@dataclass(frozen=True)
class MergeOptions:
    """Checkpoints to merge, and the one to write."""

    dynamic: Annotated[
        Path, Argument("checkpoint of Step 2 Dynamic", positional=True, metavar="STEP2_DYNAMIC")
    ]
    static: Annotated[
        Path, Argument("checkpoint of Step 2 Static", positional=True, metavar="STEP2_STATIC")
    ]
    output: Annotated[
        Path, Argument("checkpoint to write", flags=("-o", "--output"), metavar="OUT")
    ]


@dataclass(frozen=True)
class CompletionOptions:
    """The shell that completes."""

    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        Argument(
            'bash and zsh: eval "$(leapai completion SHELL)" in its start-up file; '
            "fish: leapai completion fish > ~/.config/fish/completions/leapai.fish",
            positional=True,
        ),
    ]


def _info(parsed: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from leapai.runs.system_info import render_info, system_info

    info = system_info()
    as_json = read(InfoOptions, parsed).json
    text = json.dumps(asdict(info), indent=2) if as_json else render_info(info)
    sys.stdout.write(f"{text}\n")


def _print_script(parsed: argparse.Namespace) -> None:
    from argcomplete.shell_integration import shellcode

    shell = read(CompletionOptions, parsed).shell
    sys.stdout.write(shellcode(["leapai"], shell=shell))


def _merge(parsed: argparse.Namespace) -> None:
    options = read(MergeOptions, parsed)
    for checkpoint in (options.dynamic, options.static):
        existing_checkpoint(checkpoint)
    from leapai.training.merge import merge_checkpoints

    merge_checkpoints(options.dynamic, options.static, options.output)
    sys.stdout.write(f"both tasks on one trunk -> {options.output}\n")


def _confidence(parsed: argparse.Namespace) -> None:
    options = read(ConfidenceOptions, parsed)
    options.check_files()
    check_data(options.data)
    from leapai.confidence import fit_confidence

    for fit in fit_confidence(options):
        sys.stdout.write(f"{fit}\n")
    sys.stdout.write(f"-> {options.output}\n")


INFO = Command("info", "print the facts that a bug report needs", _info, (InfoOptions,))
MERGE = Command(
    "merge",
    "make one checkpoint of Step 2 Dynamic and Step 2 Static",
    _merge,
    (MergeOptions,),
)
CONFIDENCE = Command(
    "confidence",
    "fit confidence to which sensors a frame has, after a training",
    _confidence,
    (ConfidenceOptions,),
)
COMPLETION = Command(
    "completion",
    "print the script by which a shell completes leapai",
    _print_script,
    (CompletionOptions,),
)
