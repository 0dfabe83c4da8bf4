"""Backups: a directory with every row, and on request every object; written whole or not at all.

manifest.json         what it is: schema, version, when, and number of lines and SHA-256 of each file
tables/NAME.jsonl.gz  the rows of a table
objects.jsonl.gz      the objects of the store that rows point to
objects/              their bytes, if asked for
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from orchestrator.adapters.db import backup, migrate
from orchestrator.adapters.db.backup import BackupDamaged, Pointed, Written
from orchestrator.adapters.db.database import translated
from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.schema import OtherSchema
from orchestrator.adapters.db.types import to_text
from orchestrator.cli.failures import CliError, Exit
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, Storage
from orchestrator.version import our_version

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
OBJECTS: Final = "objects.jsonl.gz"
_THREADS: Final = 4
_AT_ONCE: Final = 64  # objects in hand: memory stays flat however many there are
_READ: Final = 8 * 1024 * 1024
_SHOWN: Final = 1000  # troubles that are kept to be told; all are counted

Step = Callable[[], None]
"""Called after each table and each object."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        files: path below the directory -> lines and SHA-256.
        has_objects: the bytes are in it too.
    """

    schema: str
    version: str
    database: str
    taken_at: str
    has_objects: bool
    files: Mapping[str, Written]
    format: int = FORMAT

    @property
    def rows(self) -> int:
        return sum(each.count for name, each in self.files.items() if name != OBJECTS)

    @property
    def objects(self) -> int:
        return self.files[OBJECTS].count


@dataclass(slots=True)
class Outcome:
    """What was done with objects; `troubles` are sentences, at most the first thousand of `wrong`."""

    done: int = 0
    same: int = 0
    wrong: int = 0
    size_bytes: int = 0
    troubles: list[str] = field(default_factory=list)
    pins: dict[str, str] = field(default_factory=dict)

    def complain(self, trouble: str) -> None:
        self.wrong += 1
        if len(self.troubles) < _SHOWN:
            self.troubles.append(trouble)


def take(url: str, directory: Path, storage: Storage | None, step: Step = lambda: None) -> tuple[Manifest, Outcome]:
    """Write a backup of the database at `url` into `directory`, which must not exist yet.

    Args:
        storage: where the objects are, if their bytes are wanted.

    Returns:
        Its manifest, and what came of the objects: one that is missing or another is told of, and is no reason to stop.

    Raises:
        CliError: the directory exists or cannot be written.
        OtherSchema: the database is not of this version.
    """
    if directory.exists():
        raise CliError(f"{directory} exists already", Exit.REFUSED, hint="Give a directory that is not there yet")
    _check_schema(url)
    with _appearing(directory) as partial:
        (partial / "tables").mkdir()
        files: dict[str, Written] = {}
        with _engine(url) as engine, backup.snapshot(engine) as connection:
            taken_at = to_text(datetime.now(UTC))
            for table in backup.TABLES:
                name = _file_of(table)
                files[name] = backup.dump(connection, table, partial / name)
                step()
            files[OBJECTS] = backup.write_lines(partial / OBJECTS, map(asdict, backup.objects(connection)))
        outcome = Outcome()
        if storage is not None:
            files[OBJECTS] = _copied(storage, partial, outcome, step)
        manifest = Manifest(migrate.head(), our_version(), engine.dialect.name, taken_at, storage is not None, files)
        _write_durably(partial / MANIFEST, json.dumps(asdict(manifest), indent=1).encode() + b"\n")
    return manifest, outcome


def look(directory: Path, step: Step = lambda: None) -> Manifest:
    """The manifest of a backup whose files are all as they were written.

    Raises:
        CliError: there is no backup.
        BackupDamaged: something in it was changed or is missing.
    """
    try:
        told = json.loads((directory / MANIFEST).read_bytes())
        files = {str(name): Written(**each) for name, each in told.pop("files").items()}
        manifest = Manifest(**told, files=files)
    except FileNotFoundError as exc:
        raise CliError(f"there is no backup in {directory}", Exit.NOT_FOUND) from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise BackupDamaged(f"{directory / MANIFEST} is no manifest of a backup: {exc}") from exc
    if manifest.format != FORMAT:
        raise OtherSchema(f"the backup has the format {manifest.format!r}, this version reads {FORMAT}")
    if set(files) != {OBJECTS, *map(_file_of, backup.TABLES)} and manifest.schema == migrate.head():
        raise BackupDamaged(f"{directory / MANIFEST} does not name the files of a backup")
    for name, written in files.items():
        path = directory / name
        if not path.is_file():
            raise BackupDamaged(f"{path} is missing")
        if backup.sha256_of(path) != written.sha256:
            raise BackupDamaged(f"{path} is damaged: its SHA-256 is not that of the manifest")
        step()
    return manifest


def put_back(
    url: str, directory: Path, manifest: Manifest, storage: Storage | None, step: Step = lambda: None
) -> tuple[int, Outcome]:
    """Write a backup that `look` has seen into the empty database at `url`, which gets its schema if it has none.

    Args:
        storage: where objects of the backup go that are not there, or are others; needed if it has objects.

    Returns:
        How many leases were freed, and what came of the objects.

    Raises:
        OtherSchema: backup, database and this version do not fit each other.
        Conflict: the database is not empty.
        BackupDamaged: rows or objects do not fit.
    """
    if manifest.schema != migrate.head():
        raise OtherSchema(
            f"the backup has schema {manifest.schema}, this version {migrate.head()}: restore it with Understudy "
            f"{manifest.version}, which made it, and run `understudy db upgrade` of this version after that"
        )
    if _current(url) is None:
        migrate.upgrade(url)
    _check_schema(url)
    with _engine(url) as engine:
        with engine.begin() as connection:
            backup.claim_empty(connection)  # before anything is sent
        outcome = Outcome()
        if manifest.has_objects and storage is not None:
            _sent(storage, directory, outcome, step)
        with engine.begin() as connection:
            backup.claim_empty(connection)
            for table in backup.TABLES:
                name = _file_of(table)
                count = backup.load(connection, table, directory / name)
                if count != manifest.files[name].count:
                    raise BackupDamaged(f"{name} has {count} rows, its manifest says {manifest.files[name].count}")
                step()
            freed = backup.free_leases(connection)
            backup.pin(connection, outcome.pins)
            backup.advance_sequences(connection)
    return freed, outcome


def compare(directory: Path, storage: Storage, step: Step = lambda: None) -> Outcome:
    """Whether the store holds what the rows of a backup point to: by size and ETag, or SHA-256 under another ETag."""
    outcome = Outcome()

    for _, found in _each(_pointed(directory), lambda each: _held(storage, each)):
        if isinstance(found, ObjectInfo):
            outcome.same += 1
        else:
            outcome.complain(found)
        step()
    return outcome


def _copied(storage: Storage, partial: Path, outcome: Outcome, step: Step) -> Written:
    """Fetch the bytes; gives the list anew, with what has been measured."""
    before = (partial / OBJECTS).rename(partial / f".{OBJECTS}")

    def one(each: Pointed) -> Pointed | str:
        path = _place_of(partial, each.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            sha256 = storage.download(each.key, path, etag=each.etag)
        except (ObjectMissing, ObjectChanged) as exc:
            return exc.message
        size_bytes = path.stat().st_size
        if each.size_bytes not in {None, size_bytes} or each.sha256 not in {None, sha256}:
            path.unlink()
            return f"{each.key}: the store has other bytes than the database says"
        return replace(each, size_bytes=size_bytes, sha256=sha256)

    def lines() -> Iterator[dict[str, Any]]:
        for each, found in _each(map(_pointed_of, backup.read_lines(before)), one):
            if isinstance(found, str):
                outcome.complain(found)
                yield asdict(each)
            else:
                outcome.done += 1
                outcome.size_bytes += found.size_bytes or 0
                yield asdict(found)
            step()

    written = backup.write_lines(partial / OBJECTS, lines())
    before.unlink()
    return written


def _sent(storage: Storage, directory: Path, outcome: Outcome, step: Step) -> None:
    """Let the store hold every object, under whatever ETag it gives."""

    def one(each: Pointed) -> tuple[bool, ObjectInfo | str]:
        """Whether it was sent, and what the store holds now; else what is missing."""
        found = _held(storage, each)
        path = _place_of(directory, each.key)
        if isinstance(found, ObjectInfo) or not path.is_file():
            return False, found
        if backup.sha256_of(path) != each.sha256:
            raise BackupDamaged(f"{path} is damaged: its SHA-256 is not that of {each.key}")
        sent = storage.upload(path, each.key, each.content_type)
        if sent.size_bytes != each.size_bytes:
            raise BackupDamaged(f"{each.key}: the store has kept {sent.size_bytes} of {each.size_bytes} bytes")
        return True, sent

    for each, (was_sent, found) in _each(_pointed(directory), one):
        if isinstance(found, str):
            outcome.complain(f"{found}, and the backup does not have it")
        else:
            outcome.done += was_sent
            outcome.same += not was_sent
            outcome.size_bytes += found.size_bytes if was_sent else 0
            if each.etag not in {None, found.etag}:
                outcome.pins[each.key] = found.etag
        step()


def _held(storage: Storage, each: Pointed) -> ObjectInfo | str:
    """What the store has, if it is this object; else what is wrong with it."""
    found = storage.head(each.key)
    if found is None:
        return f"{each.key}: it is not in the store"
    if each.size_bytes not in {None, found.size_bytes}:
        return f"{each.key}: the store has {found.size_bytes} bytes, not {each.size_bytes}"
    if each.etag in {None, found.etag} or (each.sha256 is not None and each.sha256 == _sha256_in(storage, found)):
        return found
    return f"{each.key}: the store has another object (ETag {found.etag}, not {each.etag})"


def _sha256_in(storage: Storage, info: ObjectInfo) -> str:
    digest = hashlib.sha256()
    for start in range(0, info.size_bytes, _READ):
        digest.update(storage.read_range(info.key, start, _READ, etag=info.etag))
    return digest.hexdigest()


def _each(things: Iterator[T], do: Callable[[T], R]) -> Iterator[tuple[T, R]]:
    """Several at a time, told in order."""
    with ThreadPoolExecutor(_THREADS, "backup") as pool:
        while chunk := list(islice(things, _AT_ONCE)):
            yield from zip(chunk, pool.map(do, chunk), strict=True)


def _pointed(directory: Path) -> Iterator[Pointed]:
    return map(_pointed_of, backup.read_lines(directory / OBJECTS))


def _pointed_of(line: Mapping[str, Any]) -> Pointed:
    try:
        return Pointed(**line)
    except TypeError as exc:
        raise BackupDamaged(f"{OBJECTS}: a line is no object") from exc


def _place_of(directory: Path, key: str) -> Path:
    """Keys of registered objects may be any text, also `../x`; so the name is a hash."""
    name = hashlib.sha256(key.encode()).hexdigest()
    return directory / "objects" / name[:2] / name


def _file_of(table: sa.Table) -> str:
    return f"tables/{table.name}.jsonl.gz"


def _current(url: str) -> str | None:
    with translated():
        return migrate.current(url)


def _check_schema(url: str) -> None:
    found, wanted = _current(url), migrate.head()
    if found != wanted:
        said = f"the database has schema {found or 'none'}, this version wants {wanted}"
        raise OtherSchema(f"{said}: run `understudy db upgrade`, or use the version that fits the database")


@contextmanager
def _engine(url: str) -> Iterator[sa.Engine]:
    engine = make_engine(url)
    try:
        with translated():
            yield engine
    finally:
        engine.dispose()


@contextmanager
def _appearing(directory: Path) -> Iterator[Path]:
    """A directory that has its name only once it is whole."""
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)  # it holds what people have written, and hashes of tokens
        yield partial
        partial.rename(directory)
        parent = os.open(directory.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as exc:
        raise CliError(f"{directory} cannot be written: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
