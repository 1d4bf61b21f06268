"""The command `leapai completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

from leapai.cli.arguments import Command, read
from leapai.config.options import Argument


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


def _print_script(parsed: argparse.Namespace) -> None:
    from argcomplete.shell_integration import shellcode

    shell = read(CompletionOptions, parsed).shell
    sys.stdout.write(shellcode(["leapai"], shell=shell))


COMPLETION = Command(
    "completion",
    "print the script by which a shell completes leapai",
    _print_script,
    (CompletionOptions,),
)
