"""What a worker process keeps: the app, built after the fork, and timers that need no broker.

The timers drain every effect and run the due sweeps by themselves. So a broker that is down, flushed or hung slows work
down by a few seconds and never stops it, and a message that got lost costs one tick.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from orchestrator.app.context import new_token
from orchestrator.app.engine import BUDGET
from orchestrator.app.leases import BEAT_LEASE, worker_lease
from orchestrator.bootstrap import build_app
from orchestrator.domain.errors import DatabaseUnavailable, Refused
from orchestrator.logs import configure_logging
from orchestrator.settings import Settings, load
from tasks import stopping

if TYPE_CHECKING:
    from orchestrator.app.app import App
    from orchestrator.app.care import SweepReport

STOP_CHECK_S: Final = 0.2  # how soon an idle timer notices that its worker stops
SCHEMA_LOOK_S: Final = 10.0  # how soon a worker notices that the schema is none for it any more
JOIN_S: Final = 15.0  # what a timer is at may take so long at the end

log = structlog.get_logger()
_lock = threading.Lock()
_process: Process | None = None


class Process:
    """One worker process."""

    def __init__(self, settings: Settings) -> None:
        configure_logging(settings.log.level, settings.log.format)
        self.pid = os.getpid()
        self.app: App = build_app(settings)
        self.app.engine.report = self.app.runs.report = self.app.preparation.report = _report
        self.app.engine.stopping = self.app.preparation.stopping = self._is_stopping
        self._work = self.app.work
        self._drains = Drains(lambda work: self._work[work](), self.app.context.waker.wake)
        self._stopped = threading.Event()
        self._fits_until_s = 0.0
        self._alive = worker_lease(socket.gethostname())
        tick_s = settings.worker.tick.total_seconds()
        # two, so that a long drain does not keep the sweeps from looking after everything else
        self._timers = [
            threading.Thread(target=self._tick_for_ever, args=(work, tick_s), name=name, daemon=True)
            for name, work in (("effects-timer", self._drain_all), ("sweeps-timer", self._sweep_due))
        ]

    def start_timers(self) -> None:
        for timer in self._timers:
            if not timer.is_alive():
                timer.start()

    def stop(self) -> None:
        """Begin nothing new, and wait for what the timers are at."""
        self._stopped.set()
        ends_s = time.monotonic() + JOIN_S
        for timer in self._timers:
            if timer.is_alive():
                timer.join(max(0.0, ends_s - time.monotonic()))

    def drain(self, work: str) -> None:
        """Answer a wake-up for an effect, or for other work of the app.

        Never raises for a database that is away: the timers come back to it.
        """
        if self._is_stopping():
            return
        try:
            if not self._fits():
                return
            moved = self._drains.drain(work)
        except DatabaseUnavailable as exc:
            log.warning("drain_skipped", effect=str(work), error=exc.message)
        else:
            if moved:
                log.info("drained", effect=str(work), moves=moved)

    def sweep(self, name: str) -> None:
        """Run a sweep if it is due. Never raises for a database that is away."""
        if self._is_stopping():
            return
        try:
            if self._fits():
                _tell(self.app.sweeper.run(name))
        except DatabaseUnavailable as exc:
            log.warning("sweep_skipped", sweep=name, error=exc.message)

    def hear_beat(self) -> None:
        """A message of beat has come through the broker: write down when. Never raises for a database that is away."""
        try:
            self._sign_of_life(BEAT_LEASE)
        except DatabaseUnavailable as exc:
            log.warning("beat_not_noted", error=exc.message)

    def _fits(self) -> bool:
        """Whether this version may work on the database. It may cease to: a newer one takes away what we need.

        Raises DatabaseUnavailable.
        """
        if time.monotonic() < self._fits_until_s:
            return True
        try:
            self.app.context.store.ping()
        except Refused as exc:
            log.error("schema_refused", error=exc.message)  # noqa: TRY400  the message says it all
            return False
        self._fits_until_s = time.monotonic() + SCHEMA_LOOK_S
        return True

    def _is_stopping(self) -> bool:
        return stopping.asked() or self._stopped.is_set()

    def _tick_for_ever(self, work: Callable[[], None], tick_s: float) -> None:
        while not self._is_stopping():
            # spread out, or all workers of a machine would ask the database in the same instant
            next_s = time.monotonic() + tick_s * random.uniform(0.8, 1.2)  # noqa: S311  no secret
            while not self._is_stopping() and (left_s := next_s - time.monotonic()) > 0:
                self._stopped.wait(min(STOP_CHECK_S, left_s))
            if self._is_stopping():
                return
            try:
                work()
            except DatabaseUnavailable as exc:
                log.warning("tick_skipped", error=exc.message)
            except Exception:  # a timer must outlive anything; the next tick tries again
                log.exception("tick_failed")

    def _drain_all(self) -> None:
        for work in self._work:
            self.drain(work)

    def _sweep_due(self) -> None:
        if not self._fits():
            return
        for report in self.app.sweeper.run_due(on_error=_log_broken_sweep):
            _tell(report)
        self._sign_of_life(self._alive)  # work done, not a process that is there

    def _sign_of_life(self, name: str) -> None:
        now, token = self.app.context.clock(), new_token()
        with self.app.context.store.lease() as tx:
            if tx.leases.take(name, token, now, now):
                tx.leases.end(name, token, now)


class Drains:
    """Coalesces wake-ups: one drain of one kind at a time; what is asked meanwhile is one more round of it."""

    def __init__(self, drain: Callable[[str], int], wake: Callable[[str], None]) -> None:
        self._drain = drain
        self._wake = wake
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._again: set[str] = set()

    def drain(self, work: str) -> int:
        """Drain `work`; 0 at once if another thread is at it, which then looks once more."""
        with self._lock:
            if work in self._running:
                self._again.add(work)
                return 0
            self._running.add(work)
        began_s, moved = time.monotonic(), 0
        try:
            while True:
                moved += self._drain(work)
                with self._lock:
                    if work not in self._again:
                        self._running.discard(work)
                        return moved
                    self._again.discard(work)
                    if time.monotonic() - began_s < BUDGET.total_seconds():
                        continue
                    self._running.discard(work)
                # this task has worked long enough; the next one goes on
                self._wake(work)
                return moved
        except BaseException:
            with self._lock:
                self._running.discard(work)
                self._again.discard(work)
            raise


def _report(event: str, fields: dict[str, object]) -> None:
    log.error(event, **fields)


def _tell(report: SweepReport) -> None:
    for text in report.alarms:
        log.warning("overdue", sweep=report.name, found=text)
    if report.done or report.failed:
        log.info("swept", sweep=report.name, done=len(report.done), failed=report.failed)


def _log_broken_sweep(name: str, error: Exception) -> None:
    if isinstance(error, DatabaseUnavailable):
        log.warning("sweep_skipped", sweep=name, error=error.message)
    else:
        log.error("sweep_failed", sweep=name, error=repr(error))


def process() -> Process:
    """The process's own, made on first use; a forked child makes its own."""
    global _process  # noqa: PLW0603  one per process is the point
    with _lock:
        if _process is None or _process.pid != os.getpid():
            _process = Process(load())
        return _process


def stop_process() -> None:
    """Stop what this process made, if it made anything."""
    if _process is not None and _process.pid == os.getpid():
        _process.stop()
