"""Tables of the detections and of the ground-truth objects of all frames; and which objects count.

An object counts when its centre lies in the BEV range and it is seen now: a LiDAR point on it, or
a visible part; where neither is labelled it counts. The other objects of the labels are *ignored*:
it is neither right nor wrong to detect one. (The nuScenes evaluation removes such objects, so that
a detection on one is wrong.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.detection_results import HIDDEN_OBJECT_S
from leapai.types import DESIGN, BoolArray, Detections, FloatArray, IntArray, Labels, Vocabulary
from leapai.types.vocabulary import listed


class LabelledFrame(NamedTuple):
    """Detections of a frame, and its labels."""

    detections: Detections
    labels: Labels


def vocabulary_of(frames: Sequence[LabelledFrame]) -> Vocabulary:
    """Returns the classes of labelled frames; the default ones where there is no frame.

    Raises ValueError where detections and labels are of different classes: numbers of classes would
    mean different things.
    """
    found = frames[0].detections.vocabulary if frames else DESIGN
    for detections, labels in frames:
        for given in (detections.vocabulary, labels.vocabulary):
            if given.names != found.names:
                raise ValueError(
                    f"{detections.sequence}: the detections are of the classes "
                    f"{listed(found.names)}, and labels of {listed(given.names)}; open the data "
                    "with the classes of the network: open_logs(..., vocabulary=...)"
                )
    return found


class _Columns:
    """Rows of a dataclass of equally long arrays."""

    def rows(self, index: IntArray | BoolArray) -> Self:
        """Returns the rows at `index` (integers [M] or mask)."""
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: getattr(self, name)[index] for name in names})


@dataclass(frozen=True)
class GtTable(_Columns):
    """T ground-truth objects of all frames."""

    frame: IntArray
    """[T] number of the frame."""
    class_id: IntArray
    boxes: FloatArray
    """[T, 7]"""
    velocity_mps: FloatArray
    """[T, 2]; NaN where it is not labelled."""
    occlusion_level: IntArray
    """[T]; -1: not labelled."""
    distance_m: FloatArray
    """[T] on the ground, from the ego's origin."""
    track_id: IntArray
    """[T]; -1: not labelled."""
    in_range: BoolArray
    """[T] whether the centre lies in the BEV range."""
    counted: BoolArray
    """[T] in range and seen now."""
    hidden: BoolArray
    """[T] in range and hidden now, but seen at most `HIDDEN_OBJECT_S` ago."""


@dataclass(frozen=True)
class DetectionTable(_Columns):
    """N detections of all frames, by falling confidence."""

    frame: IntArray
    class_id: IntArray
    boxes: FloatArray
    velocity_mps: FloatArray
    occlusion_level: IntArray
    distance_m: FloatArray
    track_id: IntArray
    """[N]; -1: no identity."""
    score: FloatArray


def in_order(frames: Sequence[LabelledFrame]) -> list[LabelledFrame]:
    """Sorts frames by sequence and time: the order in which `tabulate` numbers them."""
    return sorted(frames, key=lambda f: (f.detections.sequence, f.detections.timestamp_us))


def tabulate(frames: Sequence[LabelledFrame], bev: BevConfig) -> tuple[GtTable, DetectionTable]:
    """Returns both tables. They do not depend on the order in which frames are given."""
    ordered = in_order(frames)
    return _gt(ordered, bev), _detections(ordered)


def frame_times_us(frames: Sequence[LabelledFrame]) -> IntArray:
    """Returns the timestamp of each frame [F]."""
    return np.array([f.detections.timestamp_us for f in frames], np.int64)


def sequence_numbers(frames: Sequence[LabelledFrame]) -> IntArray:
    """Returns the number of each frame's sequence [F], by name."""
    names = sorted({f.detections.sequence for f in frames})
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[f.detections.sequence] for f in frames], np.int64)


def last_seen_us(
    sequence: IntArray, track_id: IntArray, timestamp_us: IntArray, seen: BoolArray
) -> IntArray:
    """Returns when each object was last seen [T], now or before, in its sequence; -1: never, or its
    track is not labelled."""
    order = np.lexsort((timestamp_us, track_id, sequence))
    position = np.arange(len(order))
    key = np.stack([sequence, track_id])[:, order]
    starts = np.ones(len(order), bool)
    starts[1:] = (key[:, 1:] != key[:, :-1]).any(0)
    first = np.maximum.accumulate(np.where(starts, position, 0))
    latest = np.maximum.accumulate(np.where(seen[order], position, -1))
    known = (latest >= first) & (key[1] >= 0)
    result = np.full(len(order), -1, np.int64)
    result[order] = np.where(known, timestamp_us[order][np.maximum(latest, 0)], -1)
    return result


def _gt(frames: Sequence[LabelledFrame], bev: BevConfig) -> GtTable:
    labels = [f.labels for f in frames]
    counts = [len(each) for each in labels]
    frame = np.repeat(np.arange(len(frames)), counts)
    boxes = _stack([each.boxes for each in labels], 7)
    velocity = _stack([each.velocity_mps for each in labels], 3)[:, :2].copy()
    velocity[~_concatenate([each.velocity_valid for each in labels], bool)] = np.nan
    seen = _concatenate([each.seen for each in labels], bool)
    track_id = _concatenate([each.track_id for each in labels], np.int64)
    now_us = frame_times_us(frames)[frame]
    seen_us = last_seen_us(sequence_numbers(frames)[frame], track_id, now_us, seen)
    recently = (seen_us >= 0) & (now_us - seen_us <= round(HIDDEN_OBJECT_S * 1e6))
    inside = _in_range(boxes, bev)
    return GtTable(
        frame=frame,
        class_id=_concatenate([each.class_id for each in labels], np.int64),
        boxes=boxes,
        velocity_mps=velocity,
        occlusion_level=_concatenate([each.occlusion_level for each in labels], np.int64),
        distance_m=np.hypot(boxes[:, 0], boxes[:, 1]),
        track_id=track_id,
        in_range=inside,
        counted=inside & seen,
        hidden=inside & ~seen & recently,
    )


def _detections(frames: Sequence[LabelledFrame]) -> DetectionTable:
    detections = [f.detections for f in frames]
    boxes = _stack([each.boxes for each in detections], 7)
    table = DetectionTable(
        frame=np.repeat(np.arange(len(frames)), [len(each) for each in detections]),
        class_id=_concatenate([each.class_id for each in detections], np.int64),
        boxes=boxes,
        velocity_mps=_stack([each.velocity_mps for each in detections], 3)[:, :2],
        occlusion_level=_concatenate([each.occlusion_level for each in detections], np.int64),
        distance_m=np.hypot(boxes[:, 0], boxes[:, 1]),
        track_id=_concatenate([each.track_id for each in detections], np.int64),
        score=_concatenate([each.score for each in detections], np.float64),
    )
    # Among equal confidences the last goes first, as in the nuScenes evaluation.
    return table.rows(np.argsort(table.score, kind="stable")[::-1])


def _in_range(boxes: FloatArray, bev: BevConfig) -> BoolArray:
    low, high = np.array([bev.x_range_m, bev.y_range_m]).T
    return np.asarray(((boxes[:, :2] >= low) & (boxes[:, :2] <= high)).all(1))


def _stack(arrays: Sequence[FloatArray], width: int) -> FloatArray:
    return np.concatenate([np.zeros((0, width)), *arrays])


def _concatenate(arrays: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays])
