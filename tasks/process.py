"""What a worker process keeps: the app, built after the fork, and a timer that needs no broker.

The timer drains every effect and runs the due sweeps by itself. So a broker that is down, flushed or hung slows work
down by a few seconds and never stops it, and a message that got lost costs one tick.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

import structlog

from orchestrator.bootstrap import build_app
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.logs import configure_logging
from orchestrator.settings import Settings, load

if TYPE_CHECKING:
    from orchestrator.app.app import App
    from orchestrator.domain.commands import Effect

log = structlog.get_logger()
_lock = threading.Lock()
_process: Process | None = None


class Process:
    """One worker process."""

    def __init__(self, settings: Settings) -> None:
        configure_logging(settings.log.level, settings.log.format)
        self.pid = os.getpid()
        self.app: App = build_app(settings)
        self.app.engine.report = lambda event, fields: log.error(event, **fields)
        self._tick_s = settings.worker.tick.total_seconds()
        self._stopped = threading.Event()
        self._timer = threading.Thread(target=self._tick_for_ever, name="timer", daemon=True)

    def start_timer(self) -> None:
        if not self._timer.is_alive():
            self._timer.start()

    def stop(self) -> None:
        """Begin nothing new; what is under way may end."""
        self._stopped.set()

    def drain(self, effect: Effect) -> None:
        moved = self.app.engine.drain(effect)
        if moved:
            log.info("drained", effect=effect.value, moves=moved)

    def sweep(self, name: str) -> None:
        report = self.app.sweeper.run(name)
        if report.done or report.failed:
            log.info("swept", sweep=name, done=len(report.done), failed=report.failed)

    def _tick_for_ever(self) -> None:
        # spread out, or all workers of a machine would ask the database in the same instant
        while not self._stopped.wait(self._tick_s * random.uniform(0.8, 1.2)):  # noqa: S311  no secret
            self._tick()

    def _tick(self) -> None:
        try:
            for report in self.app.sweeper.run_due(on_error=_log_broken_sweep):
                if report.done or report.failed:
                    log.info("swept", sweep=report.name, done=len(report.done), failed=report.failed)
            for effect in self.app.engine.effects:
                if self._stopped.is_set():
                    return
                self.drain(effect)
        except DatabaseUnavailable as exc:
            log.warning("tick_skipped", error=exc.message)
        except Exception:  # the timer must outlive anything; the next tick tries again
            log.exception("tick_failed")


def _log_broken_sweep(name: str, error: Exception) -> None:
    log.error("sweep_failed", sweep=name, error=repr(error))


def process() -> Process:
    """The process's own, made on first use; a forked child makes its own."""
    global _process  # noqa: PLW0603  one per process is the point
    with _lock:
        if _process is None or _process.pid != os.getpid():
            _process = Process(load())
        return _process
