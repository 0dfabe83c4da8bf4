"""Sleep until a child dies, a stop signal comes, somebody rings, or time is up. No polling."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from types import FrameType
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Wakeups:
    """Takes over SIGCHLD and the stop signals of this process until `release`. For the main thread only.

    The interpreter writes a byte to a socket for every signal that comes, also between our looking and our going to
    sleep, so none is missed.
    """

    def __init__(self) -> None:
        self.stop_requested = False
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.settimeout(0)
        self._old_wakeup_fd = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        self._old_handlers: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._on_signal) for number in (*STOP_SIGNALS, signal.SIGCHLD)
        }

    def ring(self) -> None:
        """Ask for a stop from the program itself. Safe in a signal handler and from any thread."""
        self.stop_requested = True
        with contextlib.suppress(OSError):
            self._bell.send(b"\0")

    def sleep(self, at_most_s: float) -> None:
        if select.select([self._alarm], [], [], at_most_s)[0]:
            with contextlib.suppress(BlockingIOError):
                self._alarm.recv(4096)

    def release(self) -> None:
        """Give the signals back to whoever had them."""
        signal.set_wakeup_fd(self._old_wakeup_fd)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._alarm.close()
        self._bell.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self.stop_requested = True
