"""The store: transactions over everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from tests.fakes.store.files import MemoryFiles
from tests.fakes.store.jobs import MemoryJobs
from tests.fakes.store.reads import MemoryReads
from tests.fakes.store.records import (
    Elsewhere,
    MemoryAssets,
    MemoryComments,
    MemoryKeys,
    MemoryLeases,
    MemoryLibrary,
)
from tests.fakes.store.rows import Data, OneAtATime, RowsOfTx, Turns
from tests.fakes.store.runs import MemoryRuns

_PARTS = {
    "jobs": MemoryJobs, "files": MemoryFiles, "runs": MemoryRuns, "reads": MemoryReads, "keys": MemoryKeys,
    "comments": MemoryComments, "assets": MemoryAssets, "library": MemoryLibrary, "leases": MemoryLeases,
    "idempotency": Elsewhere, "nonces": Elsewhere, "media": Elsewhere,
    "deliveries": Elsewhere,
}  # fmt: skip


class MemoryTx:
    """One transaction's view of every table."""

    def __init__(self, rows: RowsOfTx) -> None:
        self.rows = rows
        self.callbacks: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        """A part, made when it is asked for: most transactions need one or two."""
        if name not in _PARTS:
            raise AttributeError(name)
        part = _PARTS[name](self.rows)
        setattr(self, name, part)
        return part

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class MemoryStore:
    """The port `Store`."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.data = Data(turns or OneAtATime())

    @contextmanager
    def begin(self) -> Iterator[MemoryTx]:
        turns = self.data.turns
        turns.step("begin")
        rows = RowsOfTx(self.data, read_only=False)
        turns.began(rows)
        try:
            tx = MemoryTx(rows)
            yield tx
            turns.step("commit")
            rows.commit()
        finally:
            rows.let_go()
        turns.step("committed")
        for callback in tx.callbacks:
            with suppress(Exception):  # the commit stands
                callback()

    def lease(self) -> AbstractContextManager[MemoryTx]:
        return self.begin()

    @contextmanager
    def read(self) -> Iterator[MemoryTx]:
        turns = self.data.turns
        turns.step("read")
        rows = RowsOfTx(self.data, read_only=True)
        turns.began(rows)
        try:
            yield MemoryTx(rows)
        finally:
            turns.ended(rows)

    def ping(self) -> None:
        self.data.turns.step("read")
