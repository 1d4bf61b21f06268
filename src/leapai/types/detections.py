"""What the system says of a frame."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Detections:
    """What the system says of one frame, in the ego frame: the one currency outside the network."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64, at `timestamp_us`: what relates one frame's detections to another's."""
    boxes: FloatArray
    """[N, 7] float64: centre x y z, length width height, yaw."""
    velocity_mps: FloatArray
    """[N, 3] float64, over ground in ego axes."""
    score: FloatArray
    """[N] float64 in [0, 1]."""
    class_id: IntArray
    """[N] int64."""
    occlusion_level: IntArray
    """[N] int64 in 0..3."""
    track_id: IntArray
    """[N] int64; -1: no identity yet."""
    query_index: IntArray
    """[N] int64: the decoder query that said it, which links a detection to its memory slot."""

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: IntArray | BoolArray) -> Detections:
        """The detections at `index` (integers [M] or mask [N])."""
        shared = ("sequence", "timestamp_us", "ego2global")
        picked = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in shared
        }
        return replace(self, **picked)


@dataclass(frozen=True)
class MapPolyline:
    """One line of the road in the ego frame."""

    kind: str
    """One of `LANE_MARKINGS` or `ROAD_ELEMENTS`."""
    confidence: float
    """In [0, 1]: the mean probability of `kind` along the line; 1 of a true line."""
    points_m: FloatArray
    """[K, 2] float64 x y on the ground, K >= 2; a closed line ends where it starts."""
