"""Keeping a claim while the work on it lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from orchestrator.app.context import Context
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.ports.store import Tx


@contextmanager
def kept(context: Context, renew: Callable[[Tx, datetime], None]) -> Iterator[None]:
    """Renew the leases of a claim for as long as the block lasts.

    Args:
        renew: writes until when the claim holds.
    """
    done = threading.Event()
    lease = context.timing.lease

    def keep() -> None:
        while not done.wait(lease.total_seconds() / 3):
            try:
                with context.store.begin(durable=False) as tx:
                    renew(tx, context.clock() + lease)
            except DatabaseUnavailable:
                continue  # the lease may run out; then another worker does the work, and this one's write loses

    keeper = threading.Thread(target=keep, name="lease-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
