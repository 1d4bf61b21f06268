"""The worst frames of a run, with their pictures, kept while it streams.

A frame is as bad as its failures weigh together. Neighbouring frames fail alike, so of each second
of a drive only the worst frame counts. A picture is painted when its frame enters the list, so
that nothing else of the frame has to be kept; what is left at the end does not depend on how many
processes share the drives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2

from leapai.config import BevConfig
from leapai.evaluation.detection.failures import failures
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.streaming.session import StepResult
from leapai.types import ImageArray

KEPT = 8
WINDOW_US = 1_000_000
PICTURE_WIDTH_PX = 1280
WEBP_QUALITY = 72


@dataclass(frozen=True)
class WorstFrame:
    """One frame and its picture."""

    weight: float
    """Of its failures together."""
    sequence: str
    timestamp_us: int
    picture_webp: bytes = b""

    @property
    def key(self) -> tuple[str, int]:
        """What names the frame."""
        return self.sequence, self.timestamp_us

    @property
    def window(self) -> tuple[str, int]:
        """The second of the drive."""
        return self.sequence, self.timestamp_us // WINDOW_US

    @property
    def rank(self) -> tuple[float, str, int]:
        """The least comes first."""
        return -self.weight, self.sequence, self.timestamp_us


def worst_of(frames: Iterable[WorstFrame]) -> list[WorstFrame]:
    """The `KEPT` worst, worst first, of frames that are each the worst of their second."""
    return sorted(frames, key=lambda frame: frame.rank)[:KEPT]


class WorstFrames:
    """Those of the drives of one process."""

    def __init__(self, bev: BevConfig) -> None:
        self._bev = bev
        self.frames: list[WorstFrame] = []
        """Worst first."""

    def wanted(self, result: StepResult) -> WorstFrame | None:
        """The frame, still without its picture, if it is among the worst so far."""
        said, labels = result.detections, result.frame.labels
        if (
            labels is None or result.memory is None
        ):  # without the dynamic task nothing was looked for
            return None
        found = failures(LabelledFrame(said, labels), self._bev)
        frame = WorstFrame(float(found.weight.sum()), said.sequence, said.timestamp_us)
        rivals = [other for other in self.frames if other.window == frame.window]
        beaten = any(rival.rank <= frame.rank for rival in rivals)
        kept = worst_of([*self._without(rivals), frame])
        return frame if frame.weight and not beaten and frame in kept else None

    def keep(self, frame: WorstFrame, picture: ImageArray) -> None:
        """A frame that was wanted, with its picture [H, W, 3] RGB."""
        rivals = [other for other in self.frames if other.window == frame.window]
        painted = replace(frame, picture_webp=encoded(picture))
        self.frames = worst_of([*self._without(rivals), painted])

    def _without(self, rivals: list[WorstFrame]) -> list[WorstFrame]:
        return [frame for frame in self.frames if frame not in rivals]


def encoded(image: ImageArray) -> bytes:
    """A picture [H, W, 3] RGB as WebP, at most `PICTURE_WIDTH_PX` wide."""
    height, width = image.shape[:2]
    if width > PICTURE_WIDTH_PX:
        size = (PICTURE_WIDTH_PX, round(height * PICTURE_WIDTH_PX / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY]
    _, coded = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return bytes(coded.tobytes())
