"""Pictures and videos on disk: written to a temporary name, then moved, so never half there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from leapai.extras import import_extra
from leapai.io import whole_file
from leapai.types import ImageArray

_BT709 = 1
"""ITU-R BT.709 in FFmpeg's tables of colour spaces: what players assume of large video."""


def write_png(path: Path, image: ImageArray) -> None:
    """Writes an RGB picture [H, W, 3] uint8; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with whole_file(path, durable=False) as temporary:
        temporary.write_bytes(encoded.tobytes())


class VideoWriter:
    """An mp4 as a context manager: H.264 where FFmpeg has it, else MPEG-4; yuv420p.

    The file appears when the block ends. When the block raises, or no frame was appended, nothing
    is left behind. Raises ValueError where av is not installed.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self._av = av = import_extra("av", "report", "a video needs av")
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = whole_file(path)
        self._container = av.open(str(self._file.__enter__()), "w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = Fraction(frames_per_second).limit_denominator(1000)
        self._stream = self._container.add_stream(codec, rate=rate)
        self._stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            self._stream.bit_rate = 12_000_000
        self._size_px: tuple[int, int] | None = None

    def append(self, image: ImageArray) -> None:
        """Adds a frame [H, W, 3] RGB uint8; an odd side grows by a copy of its last row or column.

        Raises ValueError for a frame of another size than the first.
        """
        size_px = image.shape[:2]
        if self._size_px is None:
            self._start(size_px)
        if size_px != self._size_px:
            raise ValueError(
                f"{self.path}: frame of {size_px} (height, width) in a video of {self._size_px}: "
                "give frames of one size"
            )
        even = np.pad(image, ((0, size_px[0] % 2), (0, size_px[1] % 2), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        self._container.mux(self._stream.encode(frame))

    def _start(self, size_px: tuple[int, int]) -> None:
        self._size_px = size_px
        self._stream.height = size_px[0] + size_px[0] % 2
        self._stream.width = size_px[1] + size_px[1] % 2
        self._stream.codec_context.colorspace = _BT709

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        complete = kind is None and self._size_px is not None
        try:
            if complete:
                self._container.mux(self._stream.encode())
            self._container.close()
        except OSError as full:  # what is still buffered did not fit on the disk either
            self._file.__exit__(type(error or full), error or full, trace)
            raise
        # A video without frames ends as one that failed: its file is removed.
        self._file.__exit__(None if complete else kind or ValueError, error, trace)
