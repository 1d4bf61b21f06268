"""Detected objects of a frame, as everything outside the network uses them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from leapai.types.vocabulary import (
    DESIGN,
    OCCLUSION_NAMES,
    BoolArray,
    FloatArray,
    IntArray,
    StringArray,
    Vocabulary,
)

if TYPE_CHECKING:
    from leapai.types.frames import Frame


@dataclass(frozen=True)
class Detections:
    """Detected objects of one frame, in the ego frame: the one currency outside the network."""

    sequence: str
    timestamp_us: int
    ego2global: FloatArray
    """[4, 4] float64, at `timestamp_us`; it relates the detections of one frame to those of
    another."""
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
    """[N] int64: the decoder query that predicted it, which links a detection to its memory
    slot."""
    vocabulary: Vocabulary = field(default=DESIGN, kw_only=True)
    """The classes that `class_id` counts through."""

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        best = f", best score {self.score.max():.2f}" if len(self) else ""
        tracked = int((self.track_id >= 0).sum())
        objects = f"{len(self)} objects: {self.vocabulary.counted(self.class_id)}{best}"
        return (
            f"{type(self).__name__}({self.sequence} at {self.timestamp_us} us: {objects}, "
            f"{tracked} with a track id)"
        )

    @staticmethod
    def from_labels(frame: Frame) -> Detections:
        """Returns the labels of a frame as if a perfect network had detected them, with confidence
        1. An occlusion that is not labelled is none."""
        labels = frame.labels
        assert labels is not None, "a frame without labels has no ground truth"
        return Detections(
            sequence=frame.sequence,
            timestamp_us=frame.timestamp_us,
            ego2global=frame.ego2global,
            boxes=labels.boxes,
            velocity_mps=labels.velocity_mps,
            score=np.ones(len(labels)),
            class_id=labels.class_id,
            occlusion_level=np.maximum(labels.occlusion_level, 0),
            track_id=labels.track_id,
            query_index=np.arange(len(labels)),
            vocabulary=labels.vocabulary,
        )

    @property
    def position_m(self) -> FloatArray:
        """Box centres x y z [N, 3] metres."""
        return self.boxes[:, :3]

    @property
    def size_m(self) -> FloatArray:
        """Box sizes length, width, height [N, 3] metres."""
        return self.boxes[:, 3:6]

    @property
    def yaw_rad(self) -> FloatArray:
        """Headings [N] counter-clockwise from +x."""
        return self.boxes[:, 6]

    @property
    def class_name(self) -> StringArray:
        """Class names [N] of `vocabulary`."""
        return np.array(self.vocabulary.names)[self.class_id]

    @property
    def occlusion_name(self) -> StringArray:
        """Names of occlusion levels [N] of `OCCLUSION_NAMES`."""
        return np.array(OCCLUSION_NAMES)[self.occlusion_level]

    def select(self, index: IntArray | BoolArray) -> Self:
        """Returns the detections at `index` (integers [M] or mask [N]); what belongs to the frame
        stays."""
        shared = ("sequence", "timestamp_us", "ego2global", "vocabulary")
        picked = {
            f.name: getattr(self, f.name)[index] for f in fields(Detections) if f.name not in shared
        }
        return replace(self, **picked)
