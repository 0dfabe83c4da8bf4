"""A fresh, migrated database for every test, at the price of a copy: migrations run once per session and kind."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from psycopg import sql

from orchestrator.adapters.db.tables import metadata
from tests.servers import Databases

LARGEST_BYTES: Final = 64 << 20  # of a database that is used again: deleted rows are still read past
# Every column, index and constraint of ours, and the migration that we are at.
_SCHEMA: Final = """
SELECT (SELECT version_num FROM alembic_version), md5(string_agg(t.line, chr(10) ORDER BY t.line)) FROM (
  SELECT format('%s %s %s %s', attrelid::regclass, attname, atttypid::regtype, attnotnull) AS line
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
  WHERE attnum > 0 AND relnamespace = 'public'::regnamespace
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
) AS t
"""


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
    """Databases of a shared server.

    A migrated one is emptied after its test and serves the next: to make and drop one costs thirty times as much. One
    whose schema the test changed, that it filled, or whose test broke off is dropped instead.
    """

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._template: str | None = None
        self._schema: object = None
        self._free: list[str] = []

    @contextmanager
    def empty(self) -> Iterator[str]:
        name = _new_name()
        try:
            yield self._databases.create(name)
        finally:
            self._databases.drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        name, done = self._free.pop() if self._free else self._copy(), False
        try:
            yield self._databases.url_of(name)
            done = True
        finally:
            if done:
                used, name = name, _new_name()
                self._databases.take_away(used, name)
            if done and self._cleaned(name):
                self._free.append(name)
            else:
                self._databases.drop(name)

    def close(self) -> None:
        """Drop what is left: the server may be somebody else's."""
        for name in (*self._free, *([self._template] if self._template else [])):
            self._databases.drop(name)

    def _copy(self) -> str:
        if self._template is None:
            template = _new_name()
            migrate(self._databases.create(template))
            with self._databases.connect(template) as connection:
                self._schema = connection.execute(_SCHEMA).fetchone()
            self._template = template
        name = _new_name()
        self._databases.create(name, self._template)
        return name

    def _cleaned(self, name: str) -> bool:
        """Remove every row; False if that does not make it as good as new."""
        with self._databases.connect(name) as connection:
            if connection.execute(_SCHEMA).fetchone() != self._schema:
                return False
            [(size_bytes,)] = connection.execute("SELECT pg_database_size(current_database())").fetchall()
            if size_bytes > LARGEST_BYTES:
                return False
            for table in reversed(metadata.sorted_tables):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
            connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
        return True


def _new_name() -> str:
    return f"understudy_test_{uuid.uuid4().hex[:12]}"
