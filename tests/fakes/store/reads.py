"""What is looked at, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orchestrator.domain import machine
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import FileState, JobSheet, LogEntry
from orchestrator.domain.states import JobState
from orchestrator.domain.views import Dossier, JobDetail, JobQuery, JobSummary
from tests.fakes.store.jobs import JobRow
from tests.fakes.store.rows import RowsOfTx, revised
from tests.fakes.store.runs import MemoryRuns


class MemoryReads:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def sheet(self, job_id: str) -> JobSheet:
        self._rows.step("sheet")
        row = self._rows.get("jobs", job_id)
        if row is None:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        return row.sheet

    def dossiers(self, job_ids: Sequence[str]) -> dict[str, Dossier]:
        self._rows.step("dossiers")
        found = {}
        for job_id in job_ids:
            row = self._rows.get("jobs", job_id)
            if row is not None:
                files = [each.file for _, each in self._rows.all("files") if each.file.job_id == job_id]
                sealed = [file for file in files if file.state is FileState.SEALED]
                made = MemoryRuns(self._rows).made_of(job_id)
                found[job_id] = Dossier(row.sheet, sorted(sealed, key=lambda file: (file.created_at, file.id)), made)
        return found

    def log(self, job_id: str) -> list[LogEntry]:
        self._rows.step("log")
        return sorted(self._rows.get("log", job_id) or (), key=lambda line: (line.version, line.id))

    def detail(self, job_id: str, project_id: str | None) -> JobDetail:
        self._rows.step("detail")
        row = self._rows.get("jobs", job_id)
        if row is None or row.deleted_at is not None or project_id not in {None, row.job.project_id}:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        files = [each.file for _, each in self._rows.all("files") if each.file.job_id == job_id]
        files.sort(key=lambda file: (file.created_at, file.id))
        said = [each.comment for _, each in self._rows.all("comments") if each.comment.job_id == job_id]
        comments = [
            revised(c, attachments=[f for f in files if f.comment_id == c.id and f.state is FileState.SEALED])
            for c in sorted(said, key=lambda comment: comment.id)
        ]
        runs = [each.run for _, each in self._rows.all("runs") if each.run.job_id == job_id]
        log = sorted(self._rows.get("log", job_id) or (), key=lambda line: (line.version, line.id))
        return JobDetail(row.job, row.sheet, log, comments, files, sorted(runs, key=lambda run: run.attempt))

    def page(self, query: JobQuery) -> list[JobSummary]:
        self._rows.step("page")
        found = [row for row in self._matching(query) if _is_behind(row, query)]
        found.sort(
            key=lambda row: (row.sheet.user_updated_at, row.job.id) if query.by_update else (row.job.id,),
            reverse=not query.oldest_first,
        )
        return [JobSummary(row.job, row.sheet) for row in found[query.offset : query.offset + query.limit]]

    def count(self, query: JobQuery) -> int:
        self._rows.step("count")
        return len(self._matching(query))

    def counts(self, project_id: str | None) -> dict[JobState, int]:
        self._rows.step("counts")
        found: Counter[JobState] = Counter()
        for counts in (self._rows.data.counts, self._rows.counts):
            for (project, state), n in counts.items():
                if project_id in {None, project}:
                    found[JobState(state)] += n
        return {state: n for state, n in found.items() if n}

    def oldest_due(self) -> dict[str, datetime]:
        self._rows.step("oldest due")
        oldest: dict[str, datetime] = {}
        for _, row in self._rows.all("jobs"):
            effect, at = row.job.effect, row.job.due_at
            if effect is not None and at is not None and row.job.lease_token is None and row.deleted_at is None:
                oldest[effect] = min(at, oldest.get(effect, at))
        return oldest

    def _matching(self, query: JobQuery) -> list[JobRow]:
        if query.tag or query.attributes or query.settings or query.wide_video is not None:
            raise NotImplementedError("lists by labels and fields are the SQL's business")
        return [row for _, row in self._rows.all("jobs") if row.deleted_at is None and _matches(row, query)]


def _matches(row: JobRow, query: JobQuery) -> bool:
    since, until = query.created_since, query.created_until
    created: Any = row.sheet.created_at
    return (
        query.project_id in {None, row.job.project_id}
        and (query.phase is not None or not query.states or row.job.state in query.states)
        and (query.phase is None or machine.phase_of(row.job) is query.phase)
        and query.name_contains.casefold() in row.sheet.name.casefold()
        and (since is None or created >= since)
        and (until is None or created <= until)
        and all(getattr(row.job, name, None) == value or getattr(row.sheet, name, None) == value
                for name, value in query.exact.items())
    )  # fmt: skip


def _is_behind(row: JobRow, query: JobQuery) -> bool:
    if query.before is None:
        return True
    return row.job.id > query.before if query.oldest_first else row.job.id < query.before
