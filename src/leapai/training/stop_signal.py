"""SIGTERM and Ctrl-C, which end a training between two steps, or within a validation."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from leapai.config.options import EXIT_OF_SIGNAL
from leapai.distributed import all_gather, any_rank

PATIENCE_S = 8.0
"""After SIGTERM the step under way and the checkpoint have this long; schedulers kill after 10."""


class StoppedError(BaseException):
    """A signal came while nothing had to be finished first.

    Is no `Exception`: code under way, such as a compiler, makes errors of its own of those.
    """


class StopSignal:
    """Notes SIGTERM and Ctrl-C while its block runs, so that the step under way can finish; a
    second Ctrl-C ends the run at once.

    A run that has not ended `PATIENCE_S` after SIGTERM, because a step takes longer or another rank
    does not answer, is ended as it is: with the checkpoint that was written last.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.received: int | None = None
        self._patience_s = patience_s
        self._handlers: dict[int, Any] = {}
        self._deadline: threading.Timer | None = None
        self._at_once = False

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
        if self._deadline is not None:
            self._deadline.cancel()

    def on_any_rank(self) -> int:
        """Returns the signal that came to at least one rank; 0: none. All ranks must call."""
        if not any_rank(self.received is not None):
            return 0
        return max(all_gather(self.received or 0))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Lets a signal end the block where it is: raises StoppedError there, or before the first
        line where one has come already."""
        if self.received is not None:
            raise StoppedError
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if number == signal.SIGTERM and self._deadline is None:
            self._deadline = threading.Timer(self._patience_s, self._give_up)
            self._deadline.daemon = True
            self._deadline.start()
        if self._at_once:
            self._at_once = False  # one signal raises once
            raise StoppedError

    def _give_up(self) -> None:
        """Ends the process from another thread: the main one may be waiting for a rank."""
        try:
            sys.stderr.write(
                f"stopped {self._patience_s:g} s after SIGTERM, in the middle of a step; --resume "
                "auto goes on from the checkpoint that was written last\n"
            )
            sys.stderr.flush()
        finally:  # whoever read stderr may be gone
            os._exit(EXIT_OF_SIGNAL + signal.SIGTERM)
