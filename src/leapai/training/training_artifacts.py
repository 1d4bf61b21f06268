"""The files that a training leaves to its loggers at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leapai.io import sha256_of, write_text
from leapai.training.kept_checkpoints import BEST
from leapai.training.loggers import Artifacts

if TYPE_CHECKING:
    from leapai.config.schema import TaskConfig

CONFIG, REPORT, PICTURES = "config.json", "report.html", "pictures"


def write_config(folder: Path, config: TaskConfig) -> None:
    """Writes the configuration in full into the folder of a training."""
    write_text(folder / CONFIG, config.model_dump_json(indent=2) + "\n")


def artifacts_in(folder: Path, final: Path) -> Artifacts:
    """Returns the files in the folder of a training that has ended, and the digests of its trained
    weights `final` and of the best ones.

    A report counts that was written after the training began: an older one is of other weights.
    """
    config, report = folder / CONFIG, folder / REPORT
    files = [config, *sorted((folder / PICTURES).glob("*.png"))]
    if report.is_file() and report.stat().st_mtime >= config.stat().st_mtime:
        files.append(report)
    weights = [final, folder / BEST]
    return Artifacts(
        files={str(path.relative_to(folder)): path for path in files if path.is_file()},
        checkpoints={path.name: sha256_of(path) for path in weights if path.is_file()},
    )
