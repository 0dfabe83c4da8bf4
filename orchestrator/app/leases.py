"""Leases: keeping a claim while the work on it lasts, and the rows that are signs of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.ports.store import Tx

BEAT_LEASE: Final = "beat"
WORKER_LEASES: Final = "worker:"
_NAME_LIMIT: Final = 64

_log = logging.getLogger(__name__)

Renew = Callable[[Tx, datetime], object]  # writes until when a claim holds


def worker_lease(host: str) -> str:
    """The row by which the workers of a host say that they work."""
    return f"{WORKER_LEASES}{host}"[:_NAME_LIMIT]


class Keeper:
    """Renews the leases of work that takes long. Its one thread lives while there is something to renew.

    Most work is over long before its first renewal, so that nothing may be started for it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._claims: dict[object, Renew] = {}
        self._is_running = False

    @contextmanager
    def kept(self, renew: Renew) -> Iterator[None]:
        """Renew the leases of a claim for as long as the block lasts."""
        claim = object()
        with self._lock:
            self._claims[claim] = renew
            if not self._is_running:
                threading.Thread(target=self._run, name="lease-keeper", daemon=True).start()
                self._is_running = True
        try:
            yield
        finally:
            with self._lock:
                del self._claims[claim]

    def _run(self) -> None:
        lease = self._context.timing.lease
        while True:
            time.sleep(lease.total_seconds() / 3)
            with self._lock:
                claims = list(self._claims.values())
                if not claims:
                    self._is_running = False
                    return
            for renew in claims:
                self._renew(renew, lease)

    def _renew(self, renew: Renew, lease: timedelta) -> None:
        """One claim's. Whatever happens to it, the thread goes on, and so do the others' leases.

        A lease that is not renewed may run out; then another worker does the work, and this one's write loses.
        """
        try:
            with self._context.store.lease() as tx:
                renew(tx, self._context.clock() + lease)
        except DatabaseUnavailable:
            pass  # whoever works with it says so
        except Exception:  # noqa: BLE001  a bug in one renewal must not let the leases of all others run out
            _log.exception("lease_not_renewed")
