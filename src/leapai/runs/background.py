"""Work that the loop over frames need not wait for: a second thread writes what is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self

P = ParamSpec("P")
_WAITING = 4
"""Calls that may wait: pictures are large, so more of them would cost memory and gain nothing."""


class Background:
    """Calls functions one after another in a second thread, as a context manager.

    An error of a call is raised by a later `call`, or where the block ends, which waits for all
    calls. What is still waiting when the block raises is dropped.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pending: deque[Future[object]] = deque()

    def call(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Calls `function` after all calls before; returns at once, or when the queue has room."""
        self._settle(_WAITING)
        self._pending.append(self._thread.submit(function, *args, **kwargs))

    def _settle(self, most: int) -> None:
        """Raises the error of a call that has ended, and waits until at most so many have not."""
        while self._pending and (len(self._pending) > most or self._pending[0].done()):
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._settle(0)
        finally:
            self._thread.shutdown(cancel_futures=True)
