"""The whole database as JSON lines, and back: the same files for SQLite and PostgreSQL.

A line is one row: column -> value, in the words that JSON has (instants as ISO 8601 text). A column that is NULL is
left out, so that `null` stands for the JSON null that a JSON column may hold.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import (
    asset_files,
    assets,
    files,
    idempotency_keys,
    jobs,
    leases,
    media,
    metadata,
    runs,
    schema_floor,
)
from orchestrator.adapters.db.types import BigId, Instant, from_text, to_text
from orchestrator.domain.assets import AssetFileState
from orchestrator.domain.errors import Conflict, Refused
from orchestrator.domain.model import FileState, RunOutcome

# Parents before children. What migrations write belongs to the schema, which a backup names.
TABLES: Final = tuple(table for table in metadata.sorted_tables if table is not schema_floor)
_ROWS: Final = 1000  # read or written at a time: memory stays flat however many there are
_FREE: Final = {"lease_token": None, "lease_until": None}
_ENDED: Final = from_text("2000-01-01T00:00:00.000000Z")
_STANDS: Final = (AssetFileState.UPLOADED, AssetFileState.CREATED, AssetFileState.REVIEW, AssetFileState.BLOCK)


class BackupDamaged(Refused):
    """What is read is not what was written."""

    code = "backup_damaged"


@dataclass(frozen=True, slots=True)
class Written:
    """A file of a backup: its lines, and the SHA-256 of its compressed bytes, as hex."""

    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pointed:
    """An object of the store that rows point to. What the rows do not know is None."""

    key: str
    size_bytes: int | None
    etag: str | None
    sha256: str | None
    content_type: str


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One moment of all tables, for as long as the block lasts; nobody waits for it."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(  # noqa: PLW2901  the same one
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        else:
            connection = connection.execution_options(read_only=True)  # noqa: PLW2901  the same one
        with connection.begin():
            yield connection


def dump(connection: sa.Connection, table: sa.Table, path: Path) -> Written:
    """Write all rows of a table, in the order of their keys."""
    columns = [sa.cast(each, sa.Text).label(each.name) if _is_json(each) else each for each in table.columns]
    query = sa.select(*columns).order_by(*table.primary_key)
    found = _streamed(connection, query)
    kinds = [(each.name, _is_json(each)) for each in table.columns]
    return write_lines(
        path,
        (
            {name: _said(value, is_json=is_json) for (name, is_json), value in zip(kinds, row, strict=True)
             if value is not None}
            for row in found
        ),
    )  # fmt: skip


def _said(value: Any, *, is_json: bool) -> Any:  # noqa: ANN401  whatever the column holds
    if is_json:
        return json.loads(value)
    return to_text(value) if isinstance(value, datetime) else value


def load(connection: sa.Connection, table: sa.Table, path: Path) -> int:
    """Insert the rows of a file; gives their number. Raises BackupDamaged for what is no row of this table."""
    instants = {each.name for each in table.columns if isinstance(each.type, Instant)}
    # for a missing value of a JSON column plain None would become the JSON null
    nothing = {each.name: sa.null() if _is_json(each) else None for each in table.columns}
    count = 0
    lines = read_lines(path)
    while chunk := list(islice(lines, _ROWS)):
        try:
            rows = [
                nothing | {name: from_text(value) if name in instants else value for name, value in line.items()}
                for line in chunk
            ]
            connection.execute(sa.insert(table), rows)
        except (sa.exc.OperationalError, sa.exc.InterfaceError):
            raise
        except (TypeError, ValueError, AttributeError, sa.exc.CompileError, sa.exc.StatementError) as exc:
            raise BackupDamaged(f"{path.name}: a row does not fit its table: {type(exc).__name__}") from exc
        count += len(rows)
    return count


def claim_empty(connection: sa.Connection) -> None:
    """Let nobody else write until the transaction ends. Raises Conflict that names the tables in which something is."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(table.name for table in TABLES)} IN EXCLUSIVE MODE")
    used = [
        table.name
        for table in TABLES
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
    ]
    if used:
        raise Conflict(f"the database is not empty: there are rows in {', '.join(sorted(used))}")


def free_leases(connection: sa.Connection) -> int:
    """End every lease: whoever held one worked on another database. Gives the number of jobs, files and media freed."""
    freed = 0
    for table, values in ((jobs, _FREE), (media, _FREE), (files, {"lease_until": None})):
        freed += connection.execute(sa.update(table).where(table.c.lease_until.is_not(None)).values(values)).rowcount
    connection.execute(sa.update(idempotency_keys).where(idempotency_keys.c.lease_until.is_not(None)).values(_FREE))
    connection.execute(sa.update(leases).values(lease_until=_ENDED))
    return freed


def advance_sequences(connection: sa.Connection) -> None:
    """Let the next row of a numbered table come behind the last one; SQLite does that by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES:
        for column in table.primary_key:
            if column.type is BigId:
                last = sa.select(sa.func.max(column)).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
                # an empty table begins with 1, as a new one does
                connection.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None))))


def pin(connection: sa.Connection, etags: Mapping[str, str]) -> None:
    """Say of sealed files which object is theirs now: a store gives new ETags to what is uploaded anew."""
    for key, etag in etags.items():
        connection.execute(sa.update(files).where(files.c.final_key == key).values(etag=etag))


def objects(connection: sa.Connection) -> Iterator[Pointed]:
    """Finished objects that rows point to, each key once.

    They are sealed files, files of assets, what runs have made, and registered objects that have not been copied yet.
    Parts of open uploads are none.
    """
    nothing = sa.null()
    sealed = sa.select(files.c.final_key, files.c.size_bytes, files.c.etag, files.c.sha256, files.c.content_type).where(
        files.c.state == FileState.SEALED, files.c.final_key.is_not(None)
    )
    kept = (
        sa.select(
            asset_files.c.key, asset_files.c.size_bytes, nothing, asset_files.c.sha256, asset_files.c.content_type
        )
        .join(assets, assets.c.id == asset_files.c.asset_id)
        .where(asset_files.c.state.in_(_STANDS), assets.c.deleted_at.is_(None))
        .where(~sa.exists().where(files.c.final_key == asset_files.c.key))
    )
    registered = sa.select(media.c.place, nothing, nothing, nothing, sa.literal("application/octet-stream")).where(
        media.c.place.is_not(None), media.c.file_id.is_(None), media.c.due_at.is_not(None), media.c.deleted_at.is_(None)
    )
    for query in (sealed, kept, registered):
        found = _streamed(connection, query.order_by(query.selected_columns[0]))
        for _, same in groupby(found, key=lambda row: row[0]):
            rows = [Pointed(*list(row)) for row in same]
            yield next((each for each in rows if each.sha256 is not None), rows[0])
    # those of other runs are swept away, and nobody reads them
    made = sa.select(runs.c.artefacts).where(runs.c.outcome == RunOutcome.SUCCEEDED).order_by(runs.c.id)
    for (artefacts,) in _streamed(connection, made):
        for each in artefacts:
            yield Pointed(each["key"], each["size_bytes"], None, each["sha256"], each["content_type"])


def write_lines(path: Path, documents: Iterable[Mapping[str, object]]) -> Written:
    """A new compressed file with one JSON document a line."""
    count = 0
    with path.open("xb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
        for document in documents:
            packed.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
        packed.close()
        raw.flush()
        os.fsync(raw.fileno())
    return Written(count, sha256_of(path))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of such a file. Raises BackupDamaged."""
    try:
        with gzip.open(path, "rb") as lines:
            yield from map(json.loads, lines)
    except (OSError, EOFError, ValueError) as exc:
        raise BackupDamaged(f"{path.name} cannot be read: {exc}") from exc


def sha256_of(path: Path) -> str:
    """Of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _streamed(connection: sa.Connection, query: sa.Select[Any]) -> sa.CursorResult[Any]:
    return connection.execute(query, execution_options={"yield_per": _ROWS})


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)
