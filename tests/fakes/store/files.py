"""Files in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from orchestrator.domain.errors import NotFound, UploadNotOpen
from orchestrator.domain.model import File, FileKind, FileState, JobId
from tests.fakes.store.rows import RowsOfTx, revised

_AT_WORK = frozenset({FileState.OPEN, FileState.SEALING, FileState.ABORTING})


class FileRow(NamedTuple):
    file: File
    due_at: datetime | None


class MemoryFiles:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def _all(self, job_ids: Collection[str] | None = None) -> list[File]:
        files = [row.file for _, row in self._rows.all("files") if job_ids is None or row.file.job_id in job_ids]
        return sorted(files, key=lambda file: (file.created_at, file.id))

    def add(self, file: File, due_at: datetime | None) -> None:
        self._rows.step("add file")
        self._rows.insert("files", file.id, FileRow(revised(file, part_sizes=list(file.part_sizes)), due_at))

    def get(self, file_id: str, project_id: str | None = None) -> File:
        self._rows.step("get file")
        row = self._rows.get("files", file_id)
        if row is None or project_id not in {None, row.file.project_id}:
            raise NotFound(f"there is no file {file_id}", file_id=file_id)
        return row.file

    def get_many(self, file_ids: Sequence[str]) -> dict[str, File]:
        self._rows.step("get files")
        rows = {file_id: self._rows.get("files", file_id) for file_id in file_ids}
        return {file_id: row.file for file_id, row in rows.items() if row is not None}

    def is_shared(self, file: File) -> bool:
        self._rows.step("shared file")
        return any(
            each.final_key == file.final_key and each.id != file.id and each.state is FileState.SEALED
            for each in self._all()
        )

    def erase(self, file_id: str) -> None:
        self._rows.step("erase file")
        self._rows.lock("files", file_id)
        self._rows.put("files", file_id, None)

    def of_job(self, job_id: str, *states: FileState) -> list[File]:
        self._rows.step("files of job")
        return [file for file in self._all({job_id}) if not states or file.state in states]

    def of_jobs(self, job_ids: Sequence[str], *states: FileState) -> dict[str, list[File]]:
        self._rows.step("files of jobs")
        found: dict[str, list[File]] = {job_id: [] for job_id in job_ids}
        for file in self._all(found):
            if file.state in states:
                found[file.job_id].append(file)
        return found

    def move(self, file: File, state: FileState, *, due_at: datetime | None = None, **values: object) -> File:
        self._rows.step("move file")

        def moved(row: FileRow) -> FileRow | None:
            if (row.file.version, row.file.state) != (file.version, file.state):
                return None
            return FileRow(revised(row.file, state=state, version=file.version + 1, **values), due_at)  # type: ignore[arg-type]  # fields by name

        if not self._rows.update("files", file.id, moved):
            raise UploadNotOpen(f"file {file.id} was moved by somebody else meanwhile", file_id=file.id)
        return self._rows.get("files", file.id).file

    def record(self, file_id: str, **values: object) -> None:
        self._rows.step("record file")
        self._rows.update("files", file_id, lambda row: row._replace(file=revised(row.file, **values)))

    def record_hash(self, file_id: str, sha256: str) -> bool:
        self._rows.step("record hash")

        def pinned(row: FileRow) -> FileRow | None:
            return row._replace(file=revised(row.file, sha256=sha256)) if row.file.sha256 in {None, sha256} else None

        return self._rows.update("files", file_id, pinned)

    def due(self, states: Sequence[FileState], now: datetime, limit: int) -> list[File]:
        self._rows.step("due files")
        rows = [row for _, row in self._rows.all("files")]
        due = [row for row in rows if row.file.state in states and row.due_at is not None and row.due_at <= now]
        return [row.file for row in sorted(due, key=lambda row: row.due_at)[:limit]]

    def postpone(self, file: File, due_at: datetime) -> bool:
        self._rows.step("postpone file")
        return self._rows.update(
            "files", file.id, lambda row: row._replace(due_at=due_at) if row.file.version == file.version else None
        )

    def known_uploads(self, upload_ids: Sequence[str]) -> set[str]:
        self._rows.step("known uploads")
        return {f.upload_id for f in self._all() if f.upload_id in upload_ids and f.state in _AT_WORK}

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        self._rows.step("known keys")
        return {f.staging_key for f in self._all() if f.staging_key in keys and f.state in _AT_WORK}

    def attach(self, file_ids: Sequence[str], job_id: JobId, comment_id: int) -> int:
        self._rows.step("attach files")

        def attached(row: FileRow) -> FileRow | None:
            file = row.file
            fits = file.job_id == job_id and file.kind is FileKind.ATTACHMENT and file.state is FileState.SEALED
            return row._replace(file=revised(file, comment_id=comment_id)) if fits and file.comment_id is None else None

        return sum(self._rows.update("files", file_id, attached) for file_id in dict.fromkeys(file_ids))

    def erase_of_job(self, job_id: str) -> None:
        self._rows.step("erase files")
        for key, row in self._rows.all("files"):
            if row.file.job_id == job_id:
                self._rows.lock("files", key)
                self._rows.put("files", key, None)
