"""Wake-ups through Celery: coalesced, sent by a thread of their own, forgotten when the broker does not take them."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  has handlers of forks itself, too late to be made while one begins
import importlib
import os
import threading
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import structlog
from celery import Celery
from kombu import Connection

from orchestrator.adapters.celery_options import NO_BROKER, WAKE_EXPIRES_S, broker_options, task_name
from orchestrator.domain.commands import Effect

PAUSE_AFTER_FAILURE_S: Final = 1.0

log = structlog.get_logger()


class NullWaker:
    """Wakes nobody: workers find their work by their timers."""

    def wake(self, name: str) -> None:
        """Nothing."""


class CeleryWaker:
    """The port `Waker`. Everything about the broker happens in a thread that the first wake-up starts."""

    def __init__(self, url: str, *, prefix: str = "understudy:") -> None:
        self._options = broker_options(url, prefix)
        self._begin()
        ready, begin = weakref.WeakMethod(self._ready_to_fork), weakref.WeakMethod(self._begin)
        os.register_at_fork(before=lambda: _call(ready), after_in_child=lambda: _call(begin))

    def _ready_to_fork(self) -> None:
        """Wait for what the thread imports: a child of a fork amid it would have half a module for good."""
        if self._thread is not None:
            _import_all(str(self._options["broker_url"]))

    def _begin(self) -> None:
        """A fresh start: also in a forked child, where neither the thread nor its connection exist."""
        self._changed = threading.Condition()
        self._names: set[str] = set()
        self._sending = False
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
        sender = _Sender(self._options)
        while names := self._next():
            sent = sender.send(names)
            if not sent:
                with self._changed:
                    # a broker that is down gets one try a second, whatever is asked meanwhile
                    self._changed.wait_for(lambda: self._ended, PAUSE_AFTER_FAILURE_S)
        sender.close()

    def _next(self) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._names or self._ended)
            names, self._names = sorted(self._names), set()
            return names


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (held := method()) is not None:
        held()


@cache
def _import_all(url: str) -> None:
    """Import everything that sending to a broker imports: by sending to nowhere, and by looking up its transport."""
    nowhere = _Sender(broker_options(NO_BROKER))
    nowhere.send([Effect.VERIFY.value])
    nowhere.close()
    importlib.import_module("encodings.idna")  # by whoever looks up a host
    Connection(url).get_transport_cls()


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
