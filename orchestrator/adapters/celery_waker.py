"""Wake-ups through Celery: coalesced, sent by a thread of their own, forgotten when the broker does not take them."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  has handlers of forks, which must not come in while a fork waits
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from celery import Celery

from orchestrator.adapters.celery_options import WAKE_EXPIRES_S, broker_options, task_name

PAUSE_AFTER_FAILURE_S: Final = 1.0
FORK_WAITS_S: Final = 2.0  # for a message under way; a broker that hangs for longer is past all that makes forks unsafe

log = structlog.get_logger()


class NullWaker:
    """Wakes nobody: workers find their work by their timers."""

    def wake(self, name: str) -> None:
        """Nothing."""


class CeleryWaker:
    """The port `Waker`. Everything about the broker happens in a thread that the first wake-up starts.

    A fork waits while that thread is at work: its child would keep, for good, half of a module that the thread imports,
    and locks that nobody releases any more.
    """

    def __init__(self, url: str, *, prefix: str = "understudy:") -> None:
        self._options = broker_options(url, prefix)
        self._begin()
        before, parent, child = map(weakref.WeakMethod, (self._before_fork, self._after_fork, self._begin))
        os.register_at_fork(
            before=lambda: _call(before), after_in_parent=lambda: _call(parent), after_in_child=lambda: _call(child)
        )

    def _before_fork(self) -> None:
        self._at_work.acquire(timeout=FORK_WAITS_S)

    def _after_fork(self) -> None:
        with suppress(RuntimeError):  # it is not ours: the wait was over first
            self._at_work.release()

    def _begin(self) -> None:
        """A fresh start: also in a forked child, where neither the thread nor its connection exist."""
        self._changed = threading.Condition()
        self._at_work = threading.RLock()
        self._names: set[str] = set()
        self._ended = False
        self._thread: threading.Thread | None = None

    def wake(self, name: str) -> None:
        with self._changed:
            if self._ended:
                return
            self._names.add(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is left and end the thread; what is not sent within the time is forgotten."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        with self._at_work:
            sender = _Sender(self._options)
        while names := self._next():
            with self._at_work:
                sent = sender.send(names)
            if not sent:
                with self._changed:
                    # a broker that is down gets one try a second, whatever is asked meanwhile
                    self._changed.wait_for(lambda: self._ended, PAUSE_AFTER_FAILURE_S)
        with self._at_work:
            sender.close()

    def _next(self) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._names or self._ended)
            names, self._names = sorted(self._names), set()
            return names


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (held := method()) is not None:
        held()


class _Sender:
    """One connection, made when it is needed and again after it broke."""

    def __init__(self, options: dict[str, object]) -> None:
        self._app = Celery("understudy", set_as_current=False)
        self._app.conf.update(options)
        self._connection: Any = None
        self._producer: Any = None

    def send(self, names: list[str]) -> bool:
        try:
            if self._connection is None:
                self._connection = self._app.connection_for_write()
                self._producer = self._app.amqp.Producer(self._connection)
            for name in names:
                self._app.send_task(
                    task_name(name), producer=self._producer, expires=WAKE_EXPIRES_S, ignore_result=True
                )
        except Exception as exc:  # noqa: BLE001  whatever the broker's client raises: the rows are the truth
            log.warning("wake-ups dropped", names=names, error=type(exc).__name__)
            self.close()
            return False
        return True

    def close(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except Exception as exc:  # noqa: BLE001  it is broken already
                log.debug("broker connection not closed", error=type(exc).__name__)
