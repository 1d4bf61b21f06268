"""Optional dependencies: `pip install leapai` is what a vehicle needs, extras add the rest.

Modules import what an extra brings late, by `import_extra`, so that everything else of them works
without it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal


class MissingExtraError(ValueError, ImportError):
    """An optional dependency is not installed.

    As a ValueError it ends a command with its one line; as an ImportError it is what callers of the
    Python API expect.
    """


def missing(extra: str, what: str) -> MissingExtraError:
    """Returns the error that names the extra to install.

    `what` names what was asked for and the library it needs: "a video needs av".
    """
    return MissingExtraError(f"{what}, which is not installed: pip install 'leapai[{extra}]'")


def import_extra(module: str, extra: str, what: str) -> ModuleType:
    """Imports a module of an extra and returns it.

    Raises `missing(extra, what)` where its distribution is not installed. A module that is there
    and fails to import one of its own dependencies raises what Python raises.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        raise missing(extra, what) from None


RecordingFormat = Literal["rerun", "mcap", "rosbag"]
_RECORDERS: dict[RecordingFormat, tuple[tuple[str, ...], str, str]] = {
    "rerun": (("rerun",), "viewer", "a recording needs rerun-sdk"),
    "mcap": (
        ("mcap", "mcap_protobuf", "foxglove_schemas_protobuf"),
        "mcap",
        "a recording in MCAP needs mcap and Foxglove's schemas",
    ),
    "rosbag": (("mcap", "rosbags"), "mcap", "a bag of ROS 2 needs rosbags and mcap"),
}
"""Modules that write a format, their extra, and the words for what is missing."""


def check_recorder(format: RecordingFormat) -> None:
    """Raises MissingExtraError where what writes a format of recordings is not installed; imports
    nothing."""
    modules, extra, what = _RECORDERS[format]
    if not all(is_installed(module) for module in modules):
        raise missing(extra, what)


def is_installed(module: str) -> bool:
    """Returns whether the top-level module can be found, without importing it."""
    return find_spec(module) is not None
