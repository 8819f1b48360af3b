"""Finish the update in hand before an interrupt ends the process."""

import signal
import threading
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptLater:
    """Context in which SIGINT and SIGTERM are noted instead of obeyed; a second one is obeyed at once.

    Outside the main thread, where Python allows no handlers, it does nothing.
    """

    def __init__(self, enabled: bool = True):
        self.received: int | None = None
        self._enabled = enabled and threading.current_thread() is threading.main_thread()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        if self._enabled:
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def leave(self) -> None:
        """End the process the way the signal would have: KeyboardInterrupt, or exit status 128 + its number."""
        self._restore()
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + (self.received or signal.SIGTERM))  # another process of the run got it

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
