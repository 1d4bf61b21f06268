"""Memory slots of one frame, outside the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from leapai.types.detections import Detections


@dataclass(frozen=True)
class MemorySlots:
    """The valid slots of the memory, in the current ego frame. S slots."""

    position_m: FloatArray
    """[S, 3]"""
    velocity_mps: FloatArray
    """[S, 3] over ground, in ego axes."""
    class_id: IntArray
    """[S]"""
    frames_ago: IntArray
    """[S] frames since the slot was stored: 1 is the last frame."""

    def select(self, index: IntArray | BoolArray) -> MemorySlots:
        """Returns the slots at `index` (integers [M] or mask [S])."""
        return MemorySlots(
            self.position_m[index],
            self.velocity_mps[index],
            self.class_id[index],
            self.frames_ago[index],
        )


def ids_of_slots(
    track_id: IntArray, query_index: IntArray, newest: BoolArray, detections: Detections
) -> IntArray:
    """Returns the ids [S] that slots carry after a frame: the `newest` ones those of the detections
    that their queries made, the others the ones they have, `track_id`."""
    queries = query_index.clip(min=0)
    highest = max([int(queries.max(initial=0)), *detections.query_index.tolist()])
    id_of_query = np.full(highest + 1, -1, np.int64)
    id_of_query[detections.query_index] = detections.track_id
    return np.where(newest, id_of_query[queries], track_id)
