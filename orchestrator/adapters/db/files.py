"""Files in the database: one row per upload, moved by compare-and-set like jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among
from orchestrator.adapters.db.tables import files
from orchestrator.adapters.db.words import Words, known, readable
from orchestrator.domain.errors import NotFound, UploadNotOpen
from orchestrator.domain.model import File, FileKind, FileState, JobId

_FIELDS: Final = tuple(File.__dataclass_fields__)
_KINDS: Final = Words(FileKind)
_STATES: Final = Words(FileState)
FILE_COLUMNS: Final = tuple(files.c[name] for name in _FIELDS)


def file_from(row: Sequence[Any]) -> File:
    values = dict(zip(_FIELDS, row, strict=True))
    values["kind"], values["state"] = _KINDS[values["kind"]], _STATES[values["state"]]
    return File(**values)


class SqlFiles:
    """The files of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, file: File, due_at: datetime | None) -> None:
        values = {name: getattr(file, name) for name in _FIELDS}
        values["part_sizes"] = list(file.part_sizes)
        self._connection.execute(sa.insert(files).values(**values, due_at=due_at))

    def get(self, file_id: str, project_id: str | None = None) -> File:
        """The file. Raises NotFound for an unknown one, and for one of another project."""
        query = sa.select(*FILE_COLUMNS).where(files.c.id == file_id)
        if project_id is not None:
            query = query.where(files.c.project_id == project_id)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"there is no file {file_id}", file_id=file_id)
        return file_from(row)

    def get_many(self, file_ids: Sequence[str]) -> dict[str, File]:
        """Those of the ids that are there, by id."""
        query = sa.select(*FILE_COLUMNS).where(among(self._connection.dialect.name, files.c.id, file_ids))
        return {file.id: file for file in map(file_from, self._connection.execute(query))}

    def of_job(self, job_id: str, *states: FileState) -> list[File]:
        """Files of a job, oldest first; of all states unless some are named."""
        query = sa.select(*FILE_COLUMNS).where(files.c.job_id == job_id).order_by(files.c.created_at, files.c.id)
        if states:
            query = query.where(files.c.state.in_(states))
        return [file_from(row) for row in self._connection.execute(query)]

    def of_jobs(self, job_ids: Sequence[str], *states: FileState) -> dict[str, list[File]]:
        """The same for many jobs in one statement."""
        query = sa.select(*FILE_COLUMNS).where(
            among(self._connection.dialect.name, files.c.job_id, job_ids), files.c.state.in_(states)
        )
        found: dict[str, list[File]] = {job_id: [] for job_id in job_ids}
        for row in self._connection.execute(query.order_by(files.c.created_at, files.c.id)):
            file = file_from(row)
            found[str(file.job_id)].append(file)
        return found

    def move(self, file: File, state: FileState, *, due_at: datetime | None = None, **values: object) -> File:
        """Compare-and-set to `state`, with other columns.

        Raises:
            UploadNotOpen: somebody moved the file since it was read.
        """
        query = (
            sa.update(files)
            .where(files.c.id == file.id, files.c.version == file.version, files.c.state == file.state)
            .values(state=state, version=file.version + 1, due_at=due_at, **values)
            .returning(*FILE_COLUMNS)
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise UploadNotOpen(f"file {file.id} was moved by somebody else meanwhile", file_id=file.id)
        return file_from(row)

    def record(self, file_id: str, **values: object) -> None:
        """Add what was learned of a sealed file (facts, SHA-256); changes no state."""
        self._connection.execute(sa.update(files).where(files.c.id == file_id).values(**values))

    def record_hash(self, file_id: str, sha256: str) -> bool:
        """Pin the SHA-256 at the first full read, for every file of the same bytes.

        False: another one is pinned already.
        """
        result = self._connection.execute(
            sa.update(files)
            .where(files.c.id == file_id, sa.or_(files.c.sha256.is_(None), files.c.sha256 == sha256))
            .values(sha256=sha256)
        )
        if result.rowcount != 1:
            return False
        key = sa.select(files.c.final_key).where(files.c.id == file_id).scalar_subquery()
        self._connection.execute(
            sa.update(files).where(files.c.final_key == key, files.c.sha256.is_(None)).values(sha256=sha256)
        )
        return True

    def is_shared(self, file: File) -> bool:
        """Whether another file that stands holds the same object."""
        query = sa.select(files.c.id).where(
            files.c.final_key == file.final_key, files.c.id != file.id, files.c.state == FileState.SEALED
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def erase(self, file_id: str) -> None:
        self._connection.execute(sa.delete(files).where(files.c.id == file_id))

    def due(self, states: Sequence[FileState], now: datetime, limit: int) -> list[File]:
        """Files that a sweep should look at, oldest first."""
        query = (
            sa.select(*FILE_COLUMNS)
            .where(files.c.state.in_(states), files.c.due_at <= now, sa.text(known("files.kind", FileKind)))
            .order_by(files.c.due_at)
            .limit(limit)
        )
        return readable(file_from, self._connection.execute(query))

    def postpone(self, file: File, due_at: datetime) -> bool:
        """Look at it again later. False: somebody has moved it since it was read."""
        result = self._connection.execute(
            sa.update(files).where(files.c.id == file.id, files.c.version == file.version).values(due_at=due_at)
        )
        return result.rowcount == 1

    def known_uploads(self, upload_ids: Sequence[str]) -> set[str]:
        """Which of these upload ids belong to a row that is still at work with them."""
        query = sa.select(files.c.upload_id).where(
            files.c.upload_id.in_(upload_ids),
            files.c.state.in_([FileState.OPEN, FileState.SEALING, FileState.ABORTING]),
        )
        return set(self._connection.execute(query).scalars())

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these staging keys a row still needs: a sealed file lies elsewhere."""
        query = sa.select(files.c.staging_key).where(
            files.c.staging_key.in_(keys),
            files.c.state.in_([FileState.OPEN, FileState.SEALING, FileState.ABORTING]),
        )
        return set(self._connection.execute(query).scalars())

    def attach(self, file_ids: Sequence[str], job_id: JobId, comment_id: int) -> int:
        """Tie attachments to a comment; gives how many were free to be tied."""
        result = self._connection.execute(
            sa.update(files)
            .where(files.c.id.in_(file_ids), files.c.job_id == job_id, files.c.kind == FileKind.ATTACHMENT)
            .where(files.c.comment_id.is_(None), files.c.state == FileState.SEALED)
            .values(comment_id=comment_id)
        )
        return result.rowcount

    def erase_of_job(self, job_id: str) -> None:
        self._connection.execute(sa.delete(files).where(files.c.job_id == job_id))
