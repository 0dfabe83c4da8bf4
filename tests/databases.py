"""A fresh, migrated database for every test, at the price of a copy: migrations run once per session and kind."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.servers import Databases


class Factory(Protocol):
    """Gives URLs of databases of one kind, each for one test and gone after it."""

    def empty(self) -> AbstractContextManager[str]: ...
    def migrated(self) -> AbstractContextManager[str]: ...


def migrate(url: str) -> None:
    """Bring an empty database to the current schema, as `understudy db upgrade` does."""
    from orchestrator.adapters.db.migrate import upgrade

    upgrade(url)


class SQLiteFiles:
    """Each database is a file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template: Path | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        yield self._url(self._new_path())

    @contextmanager
    def migrated(self) -> Iterator[str]:
        if self._template is None:
            template = self._new_path()
            migrate(self._url(template))
            self._template = template
        path = self._new_path()
        # A write-ahead log is part of the database until the last connection has closed and folded it in.
        for suffix in ("", "-wal"):
            source = Path(f"{self._template}{suffix}")
            if source.exists():
                shutil.copyfile(source, f"{path}{suffix}")
        yield self._url(path)

    def _new_path(self) -> Path:
        return self._directory / f"{uuid.uuid4().hex[:12]}.db"

    @staticmethod
    def _url(path: Path) -> str:
        return f"sqlite:///{path}"


class PostgresDatabases:
    """Each database is one of a shared server, dropped after its test."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._template: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        yield from self._one("template1")

    @contextmanager
    def migrated(self) -> Iterator[str]:
        if self._template is None:
            template = _new_name()
            migrate(self._databases.create(template))
            self._template = template
        yield from self._one(self._template)

    def close(self) -> None:
        """Drop the template: the server may be somebody else's."""
        if self._template is not None:
            self._databases.drop(self._template)

    def _one(self, template: str) -> Iterator[str]:
        name = _new_name()
        url = self._databases.create(name, template)
        try:
            yield url
        finally:
            self._databases.drop(name)


def _new_name() -> str:
    return f"understudy_test_{uuid.uuid4().hex[:12]}"
