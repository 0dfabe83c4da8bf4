"""Leases: keeping a claim while the work on it lasts, and the rows that are signs of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.ports.store import Tx

BEAT_LEASE: Final = "beat"
WORKER_LEASES: Final = "worker:"
_NAME_LIMIT: Final = 64

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
            try:
                for renew in claims:
                    with self._context.store.lease() as tx:
                        renew(tx, self._context.clock() + lease)
            except DatabaseUnavailable:
                continue  # a lease may run out; then another worker does the work, and this one's write loses
