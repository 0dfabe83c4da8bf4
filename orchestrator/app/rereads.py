"""Of several who change the same row at once one is first; the others look again and decide anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from orchestrator.domain.errors import StaleJob

MAX_REREADS: Final = 4
"""A few settle any honest race; more means that somebody moves this row in a loop."""

T = TypeVar("T")


def again(transaction: Callable[[], T]) -> T:
    """What `transaction` gives, done anew as long as somebody was faster. Raises StaleJob at last."""
    for _ in range(MAX_REREADS):
        with suppress(StaleJob):
            return transaction()
    return transaction()
