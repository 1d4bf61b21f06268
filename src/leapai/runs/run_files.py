"""Names of the files of runs, and whether they are there: checked before anything is imported."""

from __future__ import annotations

from pathlib import Path

from leapai.folders import inside

PREDICTION = "prediction.json"
"""The summary in the folder of a prediction."""
STRESS = "stress.json"
"""The summary in the folder of a stress run."""
CONDITIONS = "conditions"
"""Folder of the results of a stress run, one for each condition."""


def existing_file_of_run(path: Path) -> Path:
    """Returns the path of a file in a run's folder. Raises ValueError where it is missing, or a
    link that leads out of the folder."""
    if path.is_file() and inside(path.parent, path.name) is None:
        raise ValueError(f"{path}: is a link that leads out of the folder; run `leapai val` again")
    if not path.is_file():
        raise ValueError(
            f"{path.parent}: {path.name} is missing: the run has not finished, or this is no "
            "folder of `leapai val`"
        )
    return path


def existing_run(folder: Path) -> Path:
    """Returns the folder of a finished run. Raises ValueError where there is none."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder; name one that `leapai val` wrote")
    if (folder / PREDICTION).is_file() and not (folder / "run.json").is_file():
        raise ValueError(
            f"{folder}: `leapai predict` wrote this, not `leapai val`, so it has no metrics; "
            "look at its pictures and videos, or at what --viewer recorded with `rerun FILE.rrd`"
        )
    if (folder / CONDITIONS).is_dir() and not (folder / "run.json").is_file():
        raise ValueError(
            f"{folder}: `leapai stress` wrote this, not `leapai val`; `leapai report` alone takes "
            "it, by itself and once it has finished"
        )
    existing_file_of_run(folder / "run.json")
    return folder


def is_stress_run(folder: Path) -> bool:
    """Returns whether a folder holds a finished run of `leapai stress`."""
    return inside(folder, STRESS) is not None


def existing_table(table: Path) -> Path:
    """Returns the path of a table of runs. Raises ValueError where there is none."""
    if not table.is_file():
        raise ValueError(f"{table}: there is no table of runs; `leapai val` writes one")
    return table
