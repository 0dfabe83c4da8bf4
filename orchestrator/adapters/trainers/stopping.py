"""Why a run has to end early, and the thread that finds out: a request in a file, a signal, the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from types import FrameType
from typing import Final

from orchestrator.adapters.trainers import processes
from orchestrator.adapters.trainers.rundir import RunDir, read_json, write_json
from orchestrator.adapters.trainers.status import StatusFile
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunState

_LOOK_EVERY_S: Final = 0.1
_MARGIN_S: Final = 3.0  # beyond the grace, before the runner gives up on itself


class Reason(StrEnum):
    CANCELLED = "cancelled"  # somebody asked for the end of this run
    INTERRUPTED = "interrupted"  # the machine or the control plane goes down; the next try resumes
    TIMEOUT = "timeout"


FAILURES: Final = {
    Reason.CANCELLED: FailureClass.CANCELLED,
    Reason.INTERRUPTED: FailureClass.INFRASTRUCTURE,
    Reason.TIMEOUT: FailureClass.TIMEOUT,
}


class Stopped(Exception):
    """Unwinds the runner; the reason is in its `Stop`."""


class Stop:
    """Whether to end early. The first reason counts, but for a cancellation, which beats the others."""

    def __init__(self, timeout_s: float, grace_s: float) -> None:
        self._event = threading.Event()
        self.timeout_s = timeout_s
        self.grace_s = grace_s
        self.reason: Reason | None = None

    def request(self, reason: Reason, grace_s: float | None = None) -> None:
        if self.reason is None or reason is Reason.CANCELLED:
            self.reason = reason
            self.grace_s = self.grace_s if grace_s is None else grace_s
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Sleep unless, and raise Stopped as soon as, the run has to end."""
        if self._event.wait(seconds):
            raise Stopped

    def check(self) -> None:
        self.wait(0)

    @property
    def message(self) -> str:
        return f"timeout: ran longer than {self.timeout_s:g} s" if self.reason is Reason.TIMEOUT else str(self.reason)

    def finish(self, status: StatusFile, exit_code: int | None = None) -> None:
        """Say the final word of a run that was ended early."""
        reason = self.reason or Reason.INTERRUPTED
        state = RunState.CANCELLED if reason is Reason.CANCELLED else RunState.FAILED
        status.finish(state, message=self.message, failure=FAILURES[reason], exit_code=exit_code)


def ask_to_stop(run: RunDir, reason: Reason, grace_s: float) -> None:
    """Leave the request where any runner of this run finds it, now or when it starts."""
    write_json(run.stop, {"reason": reason, "grace_s": grace_s}, durable=True)


class Watch(threading.Thread):
    """Keeps the heartbeat, and notices everything that ends a run, while the main thread does the work.

    A signal handler only sets a flag here: locks taken in a handler can be the ones it interrupted.
    """

    def __init__(self, run: RunDir, status: StatusFile, stop: Stop, ended: Callable[[], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._run = run
        self._status = status
        self._stop_request = stop
        self._ended = ended
        self._terminated = False
        self._begun_s: float | None = None
        self._overdue_s: float | None = None

    def install(self) -> None:
        """Take TERM, and give back INT, which a shell's background child starts out ignoring."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def begin(self) -> None:
        """The clock of `timeout_s` starts: the run has its slot."""
        self._begun_s = time.monotonic()

    def run(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_S)
            with contextlib.suppress(OSError):  # a full disk: the next look may find room
                self._look()
                self._status.tick()

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True

    def _look(self) -> None:
        now_s, stop = time.monotonic(), self._stop_request
        if self._run.stop.exists() and stop.reason is not Reason.CANCELLED:
            asked = read_json(self._run.stop) or {}
            grace_s = asked.get("grace_s")
            stop.request(
                Reason(str(asked.get("reason", Reason.CANCELLED))),
                float(grace_s) if isinstance(grace_s, int | float) else None,
            )
        elif self._terminated:
            stop.request(Reason.INTERRUPTED)
        elif self._begun_s is not None and now_s - self._begun_s > stop.timeout_s:
            stop.request(Reason.TIMEOUT)
        if stop.reason is not None:
            self._overdue_s = self._overdue_s or now_s + stop.grace_s + _MARGIN_S
            if now_s > self._overdue_s:
                self._give_up()

    def _give_up(self) -> None:
        # The main thread hangs, in a store or in a disk: end without it.
        processes.kill_members(self._run.path)
        with contextlib.suppress(OSError):  # without its word the run counts as lost
            self._stop_request.finish(self._status)
        self._ended()
        os._exit(1)
