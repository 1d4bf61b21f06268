"""Sentences on the weights of a run: which they are, what they were trained on, what that means."""

from __future__ import annotations

from collections.abc import Iterator

from leapai.checkpoints import Checkpoint
from leapai.weights import shipped_checkpoint

EMBEDDED_WORLD = "synthetic"
"""Name of the data set that is rendered: nothing of it is of a real sensor."""


def weights_note(checkpoint: Checkpoint, source: str) -> Iterator[str]:
    """Yields sentences on the weights of `checkpoint`, for a reader of what they detect in
    `source`."""
    trained_on = checkpoint.config.data.train
    shipped = checkpoint.path == shipped_checkpoint()
    which = "those that ship with leapai" if shipped else str(checkpoint.path)
    yield f"Weights: {which} ({checkpoint.config.job_name}, version {checkpoint.version})."
    if not _is_rendered(trained_on):
        yield f"Trained on: {trained_on}."
        return
    yield f"Trained on: {trained_on}, the embedded world; on nothing that a real sensor recorded."
    if not _is_rendered(source):
        yield (
            "This source is not the embedded world. Expect objects that are missed or of a wrong "
            "class and detections of nothing; without LiDAR the detections are at the level of "
            "chance. Train on data of your own rig before you rely on them."
        )


def _is_rendered(data: str) -> bool:
    return data.partition(":")[0] == EMBEDDED_WORLD
