"""Memory slots of one frame, outside the network."""

from __future__ import annotations

from dataclasses import dataclass

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray


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
