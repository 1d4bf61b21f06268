"""`leapai.evaluate`: the metrics of a loaded network on the sequences of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from leapai.data.log import DrivingLog
from leapai.evaluation.evaluate_stream import StreamMetrics, evaluate_stream
from leapai.streaming.stream import Stream


def evaluate_logs(
    stream: Stream, logs: Sequence[DrivingLog], max_frames: int | None = None
) -> StreamMetrics:
    """Streams every sequence through the network of `stream` and returns its metrics.

    Every sequence starts with empty memory; the state of `stream` itself stays as it is. At most
    `max_frames` of each sequence are streamed. Frames without labels are streamed, too, but only
    those with labels, or with a map, are evaluated. Nothing is written.

    Examples:
        >>> import leapai
        >>> stream = leapai.load(device="cpu")
        >>> logs = leapai.open_logs("synthetic:frames=2,rate_hz=4", image_size_px=(128, 240))
        >>> metrics = leapai.evaluate(stream, logs)
        >>> metrics.detection.frames
        2
    """
    session = stream.session
    return evaluate_stream(session.model, session.config, logs, max_frames, session.device)
