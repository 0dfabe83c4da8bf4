"""Rows of one store, and one transaction's view of them."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from orchestrator.domain.model import Job, Move

Key = tuple[str, Any]  # of a row: its table and what is unique in it


Row = TypeVar("Row")


def revised(row: Row, **values: object) -> Row:
    """`dataclasses.replace` of a frozen row, in a third of the time."""
    kind = type(row)
    names, values_of = _fields_of(kind)
    new = object.__new__(kind)
    for name, value in zip(names, values_of(row), strict=True):
        _set(new, name, values.pop(name, value) if values else value)
    assert not values, f"{kind.__name__} has no {sorted(values)}"
    return new


_set = object.__setattr__


@cache
def _fields_of(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(kind.__dataclass_fields__)
    return names, attrgetter(*names)


class Turns(Protocol):
    """Who goes on when."""

    def began(self, rows: RowsOfTx) -> None:
        """A transaction begins; until `ended` it may hold rows."""

    def step(self, what: str) -> None:
        """Something is about to happen: a statement, a commit. May let others go first, or raise."""

    def wait(self, rows: RowsOfTx, holder: RowsOfTx) -> None:
        """`rows` waits for a row that `holder` has. Comes back when it may be free, or raises."""

    def ended(self, rows: RowsOfTx) -> None:
        """A transaction has let go of its rows."""


class OneAtATime:
    """As SQLite: writers queue up, so nobody ever waits for a row. For real threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def began(self, rows: RowsOfTx) -> None:
        if not rows.read_only:
            self._lock.acquire()

    def step(self, what: str) -> None:
        pass

    def wait(self, rows: RowsOfTx, holder: RowsOfTx) -> None:
        raise AssertionError(f"transaction {rows} waits for {holder}, inside of which it is")

    def ended(self, rows: RowsOfTx) -> None:
        if not rows.read_only:
            self._lock.release()


class Data:
    """What is committed, and who holds rows."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.tables: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        self.held: dict[Key, RowsOfTx] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.serial = 0
        # told of every commit just before it is done, and of every move with the job as it was, for who watches
        self.committed: Callable[[RowsOfTx], None] = lambda _rows: None
        self.moved: Callable[[Move, Job], None] = lambda _move, _before: None

    def table(self, name: str) -> dict[Any, Any]:
        return self.tables[name]


class RowsOfTx:
    """One transaction: its own writes over what is committed. A row is any immutable value; None: it is not there."""

    def __init__(self, data: Data, *, read_only: bool) -> None:
        self.data = data
        self.step = data.turns.step
        self.read_only = read_only
        self.own: dict[str, dict[Any, Any]] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self._locks: list[Key] = []

    def get(self, table: str, key: object) -> Any:
        own = self.own.get(table)
        if own is not None and key in own:
            return own[key]
        return self.data.tables[table].get(key)

    def all(self, table: str) -> Iterator[tuple[Any, Any]]:
        """(key, row) of every row there is, for one statement."""
        own = self.own.get(table)
        committed = self.data.tables[table]
        if not own:
            return iter(list(committed.items()))
        return iter([(key, row) for key, row in {**committed, **own}.items() if row is not None])

    def lock(self, table: str, key: object) -> bool:
        """Hold a row until the transaction ends; whether that took waiting for whoever had it."""
        held = self.data.held
        place = (table, key)
        waited = False
        while (holder := held.get(place)) is not None and holder is not self:
            self.data.turns.wait(self, holder)
            waited = True
        if holder is None:
            held[place] = self
            self._locks.append(place)
        return waited

    def is_free(self, table: str, key: object) -> bool:
        """Whether `lock` would not wait: what SKIP LOCKED takes."""
        return self.data.held.get((table, key), self) is self

    def put(self, table: str, key: object, row: object) -> None:
        """Write a row that is locked."""
        assert not self.read_only
        self.own.setdefault(table, {})[key] = row

    def insert(self, table: str, key: object, row: object) -> None:
        """Raises IntegrityError if it is there; waits for who is about to write the same."""
        self.lock(table, key)
        if self.get(table, key) is not None:
            raise sa.exc.IntegrityError(f"{table} {key} is there already", None, Exception())
        self.put(table, key, row)

    def update(self, table: str, key: object, change: Callable[[Any], Any]) -> bool:
        """UPDATE of one row: `change` gives the new row, or None where the condition does not hold (any more)."""
        row = self.get(table, key)
        new = None if row is None else change(row)
        if new is None:
            return False
        if self.lock(table, key):
            row = self.get(table, key)  # somebody may have written it meanwhile
            new = None if row is None else change(row)
            if new is None:
                return False
        self.put(table, key, new)
        return True

    def commit(self) -> None:
        data = self.data
        data.committed(self)
        for name, own in self.own.items():
            table = data.tables[name]
            for key, row in own.items():
                if row is None:
                    table.pop(key, None)
                else:
                    table[key] = row
        for place, n in self.counts.items():
            data.counts[place] += n

    def let_go(self) -> None:
        for place in self._locks:
            self.data.held.pop(place, None)
        self._locks.clear()
        self.data.turns.ended(self)

    def count(self, project_id: str, state: str, by: int) -> None:
        self.counts[project_id, state] = self.counts.get((project_id, state), 0) + by

    def next_serial(self) -> int:
        self.data.serial += 1
        return self.data.serial
