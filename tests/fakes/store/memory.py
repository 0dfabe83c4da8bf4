"""The store: transactions over everything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from tests.fakes.store.files import MemoryFiles
from tests.fakes.store.jobs import MemoryJobs
from tests.fakes.store.library import MemoryDeliveries, MemoryLibrary
from tests.fakes.store.media import MemoryMedia
from tests.fakes.store.reads import MemoryReads
from tests.fakes.store.records import (
    MemoryAssets,
    MemoryComments,
    MemoryIdempotency,
    MemoryKeys,
    MemoryLeases,
    MemoryNonces,
)
from tests.fakes.store.rows import Data, OneAtATime, RowsOfTx, Turns
from tests.fakes.store.runs import MemoryRuns

_PARTS = {
    "jobs": MemoryJobs, "files": MemoryFiles, "runs": MemoryRuns, "reads": MemoryReads, "keys": MemoryKeys,
    "comments": MemoryComments, "assets": MemoryAssets, "library": MemoryLibrary, "leases": MemoryLeases,
    "media": MemoryMedia, "deliveries": MemoryDeliveries, "idempotency": MemoryIdempotency, "nonces": MemoryNonces,
}  # fmt: skip


class _Part:
    """A part of a transaction, made when it is asked for: most transactions need one or two."""

    def __init__(self, name: str, make: Callable[[RowsOfTx], object]) -> None:
        self._name = name
        self._make = make

    def __get__(self, tx: MemoryTx, _: object = None) -> Any:
        part = self._make(tx.rows)
        vars(tx)[self._name] = part  # found before this descriptor from now on
        return part


class MemoryTx:
    """One transaction's view of every table."""

    def __init__(self, rows: RowsOfTx) -> None:
        self.rows = rows
        self.callbacks: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


for _name, _make in _PARTS.items():
    setattr(MemoryTx, _name, _Part(_name, _make))


class _Writing:
    """A transaction. A class, as `_Reading` is: a simulation begins hundreds of these a second of its own time."""

    __slots__ = ("_data", "_tx")

    def __init__(self, data: Data) -> None:
        self._data = data

    def __enter__(self) -> MemoryTx:
        turns = self._data.turns
        turns.step("begin")
        rows = RowsOfTx(self._data, read_only=False)
        turns.began(rows)
        self._tx = MemoryTx(rows)
        return self._tx

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        turns, tx = self._data.turns, self._tx
        try:
            if kind is None:
                turns.step("commit")
                tx.rows.commit()
        finally:
            tx.rows.let_go()
        if kind is None:
            turns.step("committed")
            for callback in tx.callbacks:
                with suppress(Exception):  # the commit stands
                    callback()


class _Leasing:
    """For leases and nonces: a statement that stands by itself, so nothing comes between it and its commit."""

    __slots__ = ("_data", "_tx")

    def __init__(self, data: Data) -> None:
        self._data = data

    def __enter__(self) -> MemoryTx:
        rows = RowsOfTx(self._data, read_only=False)
        self._data.turns.began(rows)
        self._tx = MemoryTx(rows)
        return self._tx

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        rows = self._tx.rows
        try:
            if kind is None:
                rows.commit()
        finally:
            rows.let_go()
        if kind is None:
            self._data.turns.step("committed")


class _Reading:
    __slots__ = ("_data", "_rows")

    def __init__(self, data: Data) -> None:
        self._data = data

    def __enter__(self) -> MemoryTx:
        self._data.turns.step("read")
        self._rows = RowsOfTx(self._data, read_only=True)
        self._data.turns.began(self._rows)
        return MemoryTx(self._rows)

    def __exit__(self, *_: object) -> None:
        self._data.turns.ended(self._rows)


class MemoryStore:
    """The port `Store`."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.data = Data(turns or OneAtATime())

    def begin(self) -> AbstractContextManager[MemoryTx]:
        return _Writing(self.data)

    def lease(self) -> AbstractContextManager[MemoryTx]:
        return _Leasing(self.data)

    def read(self) -> AbstractContextManager[MemoryTx]:
        return _Reading(self.data)

    def ping(self) -> None:
        self.data.turns.step("read")
