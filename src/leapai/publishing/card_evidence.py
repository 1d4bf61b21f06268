"""The runs that a card is made from: one of `leapai val` and one of `leapai stress`, of the very
weights that it describes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leapai.checkpoints import Checkpoint
from leapai.runs.run_folder import RunRecord, read_record
from leapai.runs.run_summary import RunOrigin
from leapai.runs.stress_folder import read_stress
from leapai.runs.stress_results import StressRun


@dataclass(frozen=True)
class Evidence:
    """Runs of some weights; None: none was named."""

    run: RunRecord | None
    stress: StressRun | None


def read_evidence(checkpoint: Checkpoint, run: Path | None, stress: Path | None) -> Evidence:
    """Reads the runs of a checkpoint.

    Raises ValueError where a folder holds no such run, or one of other weights.
    """
    record = None if run is None else read_record(run)
    stressed = None if stress is None else read_stress(stress)
    if run is not None and record is not None:
        _check_weights(checkpoint, run, record.summary)
    if stress is not None and stressed is not None:
        _check_weights(checkpoint, stress, stressed.summary)
    return Evidence(record, stressed)


def _check_weights(checkpoint: Checkpoint, folder: Path, origin: RunOrigin) -> None:
    if origin.checkpoint_sha256 != checkpoint.sha256:
        raise ValueError(
            f"{folder}: was run with other weights ({origin.checkpoint_sha256 or 'random ones'}) "
            f"than {checkpoint} ({checkpoint.sha256}); run it again with these"
        )
    if origin.exported_sha256 is not None:
        raise ValueError(
            f"{folder}: was run with {origin.weights}, an export of {checkpoint} to "
            f"{origin.exported_weights}, and the card describes the checkpoint; run it again with "
            "the checkpoint"
        )
