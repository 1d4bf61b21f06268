"""Options of `leapai export --format hub`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from leapai.config.options import Argument


@dataclass(frozen=True)
class HubOptions:
    """Sources of the card of a checkpoint, in addition to the checkpoint itself."""

    run: Annotated[
        Path | None,
        Argument(
            "hub: folder of `leapai val` with these weights, whose metrics the card gives",
            metavar="FOLDER",
        ),
    ] = None
    stress: Annotated[
        Path | None,
        Argument(
            "hub: folder of `leapai stress` with these weights, whose scores the card gives",
            metavar="FOLDER",
        ),
    ] = None
    license: Annotated[
        str | None,
        Argument(
            "hub: licence of the weights, as the hub names it, such as cc-by-nc-sa-4.0; default: "
            "apache-2.0 for those that ship with leapai",
            metavar="ID",
        ),
    ] = None
    repository: Annotated[
        str | None,
        Argument("hub: name of the repository, for the card", metavar="OWNER/NAME"),
    ] = None
