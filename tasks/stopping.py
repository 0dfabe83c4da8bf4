"""One bit that a worker and its pool processes share: "begin nothing new"."""

from __future__ import annotations

import mmap
import os
import signal
import threading
from contextlib import suppress

import psutil

_bit = mmap.mmap(-1, 1)  # anonymous and shared: made before the fork, so parent and children see the same byte


def ask() -> None:
    """Ask every process of this worker to stop. Safe in a signal handler."""
    _bit[0] = 1


def asked() -> bool:
    return _bit[0] == 1


def kill_stragglers_after(patience_s: float) -> None:
    """Kill pool processes that are still at work after so many seconds; their leases run out, and others go on."""
    timer = threading.Timer(patience_s, _kill_children)
    timer.daemon = True
    timer.start()


def _kill_children() -> None:
    for child in psutil.Process(os.getpid()).children():
        with suppress(psutil.Error):
            child.send_signal(signal.SIGKILL)
