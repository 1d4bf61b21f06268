"""The perception project: the state of the launch becomes a run of the task configuration.

The task configuration is the file that LEAPAI_TASK_CONFIG names. A state is the `leapai` command of
the same name: `--state val --ckpt X` here does what `leapai val --ckpt X` does.
"""

from __future__ import annotations

from collections.abc import Sequence

from leapai import cli

STATES = ("train", "val")


def run(state: str, arguments: Sequence[str]) -> int:
    """Returns the exit status of the run; `arguments` are the options of `leapai STATE`."""
    if state not in STATES:
        return cli.fail(f"--state {state}: there is no such state; use one of: {', '.join(STATES)}")
    return cli.main([state, *arguments])
