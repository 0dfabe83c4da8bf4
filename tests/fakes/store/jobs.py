"""Jobs in memory: what tests/contract/test_store.py holds against the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import NotFound, StaleJob
from orchestrator.domain.model import Change, Job, JobId, JobSheet, LogEntry, Move
from orchestrator.domain.views import Queue
from tests.fakes.store.rows import RowsOfTx, revised
from tests.fakes.store.runs import MemoryRuns


class JobRow(NamedTuple):
    job: Job
    sheet: JobSheet
    deleted_at: datetime | None = None


_SCHEDULE = ("effect", "due_at", "lease_token", "lease_until", "takeovers")
_COLUMNS = frozenset(Job._fields)
# What a move writes; everything else of the job it leaves alone.
_UNMOVED = frozenset({"id", "project_id", "profile", "switches"})


class MemoryJobs:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def _alive(self) -> list[Job]:
        return [row.job for _, row in self._rows.all("jobs") if row.deleted_at is None]

    # reading

    def get(self, job_id: str, project_id: str | None = None) -> Job:
        self._rows.step("get job")
        row = self._rows.get("jobs", job_id)
        if row is None or row.deleted_at is not None or project_id not in {None, row.job.project_id}:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        return row.job

    def get_many(self, job_ids: Sequence[str]) -> dict[str, Job]:
        self._rows.step("get jobs")
        rows = {job_id: self._rows.get("jobs", job_id) for job_id in job_ids}
        return {job_id: row.job for job_id, row in rows.items() if row is not None and row.deleted_at is None}

    # writing

    def add(self, job: Job, sheet: JobSheet, change: Change) -> None:
        self._rows.step("add job")
        at = change.at
        stored = revised(
            sheet, tags=list(sheet.tags), attributes=dict(sheet.attributes), settings=dict(sheet.settings),
            created_at=at, updated_at=at, user_updated_at=at, state_since=at,
            first_submitted_at=None, last_submitted_at=None, overdue_at=None,
        )  # fmt: skip
        self._rows.insert("jobs", job.id, JobRow(job, stored))
        self._log(job.id, [change])
        self._rows.count(job.project_id, job.state, 1)

    def move(self, move: Move, **sheet: object) -> None:
        if self.move_many([move]) != {move.before.id}:
            raise StaleJob(f"job {move.before.id} was moved by somebody else meanwhile", job_id=move.before.id)
        if sheet:
            deleted_at = sheet.pop("deleted_at", None)
            job = {name: sheet.pop(name) for name in list(sheet) if name in _COLUMNS}
            self._rows.update(
                "jobs", move.before.id,
                lambda row: JobRow(row.job._replace(**job), revised(row.sheet, **sheet), deleted_at or row.deleted_at),
            )  # fmt: skip

    def move_many(self, moves: Sequence[Move]) -> set[JobId]:
        if not moves:
            return set()
        self._rows.step("move jobs")
        changed = {
            name for move in moves for name, former, new in zip(Job._fields, move.before, move.after, strict=True)
            if former is not new and former != new
        }  # fmt: skip
        written = (changed | {"state", "version", *_SCHEDULE}) - _UNMOVED
        won = {move.before.id for move in moves if self._write(move, written)}
        MemoryRuns(self._rows).add_many([m.starts for m in moves if m.starts is not None and m.before.id in won])
        for move in moves:
            if move.before.id in won:
                self._log(move.before.id, move.changes)
                if move.before.state is not move.after.state:
                    self._rows.count(move.before.project_id, move.before.state, -1)
                    self._rows.count(move.before.project_id, move.after.state, 1)
        return won

    def _write(self, move: Move, written: set[str]) -> bool:
        seen: list[Job] = []

        def change(row: JobRow) -> JobRow | None:
            seen.append(row.job)
            return moved_row(move, written, row)

        is_won = self._rows.update("jobs", move.before.id, change)
        if is_won:
            self._rows.data.moved(move, seen[-1])
        return is_won

    def _log(self, job_id: JobId, changes: Sequence[Change]) -> None:
        lines = tuple(
            LogEntry(
                self._rows.next_serial(), job_id, c.version, c.at, c.actor, c.operator, c.command, c.source, c.target,
                log_type, c.description, c.error_code, c.details,
            )
            for c in changes for log_type in c.logs
        )  # fmt: skip
        self._rows.put("log", job_id, (self._rows.get("log", job_id) or ()) + lines)

    # claiming

    def claim(self, effect: Effect, *, now: datetime, until: datetime, token: str, limit: int) -> list[Job]:
        self._rows.step("claim jobs")
        due = [job for job in self._due(effect, now) if self._rows.is_free("jobs", job.id)]
        claimed = []
        for job in due[:limit]:
            self._change(job.id, lambda held: held._replace(lease_token=token, lease_until=until))
            claimed.append(self._rows.get("jobs", job.id).job)
        return claimed

    def _due(self, effect: Effect, now: datetime) -> list[Job]:
        due = [
            job for job in self._alive()
            if job.effect is effect and job.due_at is not None and job.due_at <= now and job.lease_token is None
        ]  # fmt: skip
        return sorted(due, key=lambda job: job.due_at)  # type: ignore[arg-type, return-value]  # of due ones it is there

    def _change(self, job_id: str, change: Any) -> bool:
        def changed(row: JobRow) -> JobRow | None:
            job = change(row.job)
            return None if job is None else row._replace(job=job)

        return self._rows.update("jobs", job_id, changed)

    def renew(self, token: str, until: datetime) -> None:
        self._rows.step("renew leases")
        for job_id, _ in self._rows.all("jobs"):
            self._change(job_id, lambda job: job._replace(lease_until=until) if job.lease_token == token else None)

    def give_back(
        self, token: str, job_ids: Sequence[str], due_at: datetime | None = None, *, crashed: bool = False
    ) -> None:
        self._rows.step("give jobs back")

        def freed(job: Job) -> Job | None:
            if job.lease_token != token:
                return None
            return job._replace(
                lease_token=None, lease_until=None, takeovers=job.takeovers + crashed, due_at=due_at or job.due_at
            )

        for job_id in job_ids:
            self._change(job_id, freed)

    def lost(self, now: datetime, limit: int) -> list[Job]:
        self._rows.step("lost jobs")
        rows = [row.job for _, row in self._rows.all("jobs")]
        lost = [job for job in rows if job.lease_until is not None and job.lease_until <= now]
        return sorted(lost, key=lambda job: job.lease_until)[:limit]  # type: ignore[arg-type, return-value]  # as above

    def take_back(self, job: Job, due_at: datetime) -> bool:
        self._rows.step("take job back")

        def taken(held: Job) -> Job | None:
            if (held.lease_token, held.lease_until) != (job.lease_token, job.lease_until):
                return None
            return held._replace(lease_token=None, lease_until=None, takeovers=job.takeovers + 1, due_at=due_at)

        return self._change(job.id, taken)

    def due(self, effect: Effect, now: datetime, limit: int) -> list[Job]:
        self._rows.step("due jobs")
        return self._due(effect, now)[:limit]

    def postpone(self, job: Job, due_at: datetime) -> None:
        self._rows.step("postpone job")

        def later(held: Job) -> Job | None:
            return held._replace(due_at=due_at) if held.version == job.version and held.lease_token is None else None

        self._change(job.id, later)

    def mark_stuck(self, steps: Sequence[Effect], now: datetime, since: datetime) -> list[tuple[str, str]]:
        self._rows.step("mark stuck jobs")

        def marked(row: JobRow) -> JobRow | None:
            sheet, job = row.sheet, row.job
            is_stuck = job.effect in steps and sheet.state_since <= since and job.due_at is not None
            if not is_stuck or sheet.overdue_at is not None or row.deleted_at is not None:
                return None
            return row._replace(sheet=revised(sheet, overdue_at=now))

        found = [row.job for _, row in self._rows.all("jobs") if self._rows.update("jobs", row.job.id, marked)]
        return [(job.id, str(job.effect)) for job in found]

    def _waiting(self) -> list[Job]:
        return [job for job in self._alive() if job.effect is Effect.DISPATCH and job.lease_token is None]

    def queue(self, pool: str, now: datetime, slots: int, limit: int) -> Queue:
        held = MemoryRuns(self._rows).live(pool)
        per_project = max(0, min(slots - sum(held.values()), limit))
        busy = {row.run.job_id for _, row in self._rows.all("runs") if row.due_at is not None}
        waiting = [
            job for job in self._waiting()
            if job.pool == pool and job.due_at is not None and job.due_at <= now and job.id not in busy
        ]  # fmt: skip
        waiting.sort(key=lambda job: (-job.priority, job.due_at))
        taken: dict[str, int] = {}
        first = []
        for job in waiting:
            taken[job.project_id] = taken.get(job.project_id, 0) + 1
            if taken[job.project_id] <= per_project:
                first.append(job)
        return Queue(held, first)

    def waiting_pools(self) -> list[str]:
        self._rows.step("waiting pools")
        return sorted({job.pool for job in self._waiting() if job.pool is not None})

    def delete(self, move: Move) -> None:
        self.move(move, deleted_at=move.changes[-1].at, effect=None, due_at=None, lease_token=None, lease_until=None)
        self._rows.count(move.before.project_id, move.after.state, -1)

    def deleted_before(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        self._rows.step("deleted jobs")
        gone = [row for _, row in self._rows.all("jobs") if row.deleted_at is not None and row.deleted_at < at]
        gone.sort(key=lambda row: row.deleted_at)
        return [(row.job.id, row.job.project_id) for row in gone[:limit]]

    def erase(self, job_id: str) -> None:
        self._rows.step("erase job")
        row = self._rows.get("jobs", job_id)
        if row is not None and row.deleted_at is not None:
            self._rows.lock("jobs", job_id)
            for table, column in (("jobs", None), ("log", None), ("runs", "run"), ("comments", "comment")):
                for key, each in self._rows.all(table):
                    if (key if column is None else getattr(each, column).job_id) == job_id:
                        self._rows.put(table, key, None)


def moved_row(move: Move, written: set[str], row: JobRow) -> JobRow | None:
    """The row after `move`, of whose job the columns `written` are written; None if somebody was faster."""
    before, after, changes, fence, message, _ = move
    if row.deleted_at is not None or row.job.version != before.version:
        return None
    if fence is not None and row.job.lease_token != fence:
        return None
    at = changes[-1].at
    moves = any(c.source is not c.target for c in changes)
    flagged = any(c.command == "flag_overdue" for c in changes)
    # a claim leaves the version alone, so a move that stays must not write back the schedule that it has read
    stays = before.state is after.state and all(getattr(before, name) == getattr(after, name) for name in _SCHEDULE)
    fields = {name: getattr(after, name) for name in written if not (stays and name in _SCHEDULE)}
    sheet = revised(
        row.sheet, updated_at=at, state_since=at if moves else row.sheet.state_since,
        message=row.sheet.message if message is None else message,
        overdue_at=at if flagged else None if moves else row.sheet.overdue_at,
    )  # fmt: skip
    if any(c.command == "submit" for c in changes):
        first = row.sheet.first_submitted_at or at
        sheet = revised(sheet, user_updated_at=at, first_submitted_at=first, last_submitted_at=at)
    return row._replace(job=row.job._replace(**fields), sheet=sheet)
