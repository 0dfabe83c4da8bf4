"""Leases: holding on to one while something takes its time, and the rows that are signs of life."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from orchestrator.domain.errors import DatabaseUnavailable

BEAT_LEASE: Final = "beat"
WORKER_LEASES: Final = "worker:"
_NAME_LIMIT: Final = 64


def worker_lease(host: str) -> str:
    """The row by which the workers of a host say that they work."""
    return f"{WORKER_LEASES}{host}"[:_NAME_LIMIT]


@contextmanager
def kept(lease: timedelta, renew: Callable[[], object]) -> Iterator[None]:
    """Call `renew` three times a lease, from a thread of its own, for as long as the block lasts.

    While the database is away it is tried on: the lease may run out, then somebody else takes over, and the next
    compare-and-set of whoever is in the block loses.
    """
    done = threading.Event()

    def run() -> None:
        while not done.wait(lease.total_seconds() / 3):
            try:
                renew()
            except DatabaseUnavailable:
                continue

    keeper = threading.Thread(target=run, name="lease-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
