"""The worst frames of a run, with their pictures, kept while it streams.

The weight of a frame is that of its failures together. Neighbouring frames fail alike, so of each
second of a sequence only the worst frame counts. A picture is painted when its frame enters the
list, so that nothing else of the frame has to be kept, and encoded when the list is complete. What
is left at the end does not depend on how many processes share the sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import cv2

from leapai.config.network_sections import BevConfig
from leapai.evaluation.detection.failures import failures
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.streaming.step_result import StepResult
from leapai.types import ImageArray

KEPT = 8
"""Frames that are kept where nothing else is asked for."""
WINDOW_US = 1_000_000
PICTURE_WIDTH_PX = 1280
WEBP_QUALITY = 72
FrameWeights = Mapping[tuple[str, int], float]
"""Weight of the failures of each frame, by sequence and timestamp in microseconds."""


@dataclass(frozen=True)
class WorstFrame:
    """One of the worst frames of a run, with its picture."""

    weight: float
    """Sum of the weights of its failures, less what was expected of it."""
    sequence: str
    timestamp_us: int
    picture_webp: bytes = b""

    @property
    def key(self) -> tuple[str, int]:
        """Sequence and timestamp in microseconds: what names a frame."""
        return self.sequence, self.timestamp_us

    @property
    def window(self) -> tuple[str, int]:
        """Sequence and the number of its second: of each window one frame is kept."""
        return self.sequence, self.timestamp_us // WINDOW_US

    @property
    def rank(self) -> tuple[float, str, int]:
        """Sort key: the worst frame has the least."""
        return -self.weight, self.sequence, self.timestamp_us


def worst_of(frames: Iterable[WorstFrame], kept: int = KEPT) -> list[WorstFrame]:
    """Returns the `kept` worst of frames that are each the worst of their second, worst first."""
    return sorted(frames, key=lambda frame: frame.rank)[:kept]


class WorstFrames:
    """The worst frames so far of the sequences that one process streams.

    With `expected`, a frame counts by how much more fails in it than that; a frame that it does not
    have is never kept.
    """

    def __init__(
        self, bev: BevConfig, kept: int = KEPT, expected: FrameWeights | None = None
    ) -> None:
        self._bev, self._most, self._expected = bev, kept, expected
        self._kept: list[WorstFrame] = []
        self._pictures: dict[tuple[str, int], ImageArray] = {}

    @property
    def frames(self) -> list[WorstFrame]:
        """The frames that are kept, worst first, with their pictures."""
        return [
            replace(frame, picture_webp=encoded(self._pictures[frame.key])) for frame in self._kept
        ]

    def candidate(self, result: StepResult) -> WorstFrame | None:
        """Returns the frame, still without its picture, if it is among the worst so far."""
        detections, labels = result.detections, result.frame.labels
        if labels is None or result.memory is None:  # without the dynamic task it has no detections
            return None
        found = failures(LabelledFrame(detections, labels), self._bev)
        weight = float(found.weight.sum())
        if self._expected is not None:
            key = (detections.sequence, detections.timestamp_us)
            weight = max(weight - self._expected.get(key, weight), 0.0)
        frame = WorstFrame(weight, detections.sequence, detections.timestamp_us)
        rivals = [other for other in self._kept if other.window == frame.window]
        beaten = any(rival.rank <= frame.rank for rival in rivals)
        kept = worst_of([*self._without(rivals), frame], self._most)
        return frame if frame.weight and not beaten and frame in kept else None

    def keep(self, frame: WorstFrame, picture: ImageArray) -> None:
        """Keeps a candidate with its picture [H, W, 3] RGB, in place of those it beats."""
        rivals = [other for other in self._kept if other.window == frame.window]
        self._kept = worst_of([*self._without(rivals), frame], self._most)
        self._pictures[frame.key] = _scaled(picture)
        self._pictures = {kept.key: self._pictures[kept.key] for kept in self._kept}

    def _without(self, rivals: list[WorstFrame]) -> list[WorstFrame]:
        return [frame for frame in self._kept if frame not in rivals]


def _scaled(image: ImageArray) -> ImageArray:
    """Returns a picture [H, W, 3] that is at most `PICTURE_WIDTH_PX` wide."""
    height, width = image.shape[:2]
    if width <= PICTURE_WIDTH_PX:
        return image
    size = (PICTURE_WIDTH_PX, round(height * PICTURE_WIDTH_PX / width))
    scaled: ImageArray = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return scaled


def encoded(image: ImageArray) -> bytes:
    """Encodes a picture [H, W, 3] RGB as WebP, at most `PICTURE_WIDTH_PX` wide."""
    options = [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY]
    bgr = cv2.cvtColor(_scaled(image), cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".webp", bgr, options)
    return bytes(coded.tobytes())
