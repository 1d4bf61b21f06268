"""SIGTERM and Ctrl-C, which end a training between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from leapai.distributed import all_gather, any_rank


class StopSignal:
    """Notes SIGTERM and Ctrl-C while its block runs, so that the step under way can finish; a
    second Ctrl-C ends the run at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def on_any_rank(self) -> int:
        """Returns the signal that came to at least one rank; 0: none. All ranks must call."""
        if not any_rank(self.received is not None):
            return 0
        return max(all_gather(self.received or 0))

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
