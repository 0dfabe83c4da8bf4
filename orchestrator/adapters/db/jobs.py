"""Jobs in the database: compare-and-set moves with their log lines, claims, and the counts that lists need.

Nothing here assigns a state: every write says which version it has seen, and one that comes too late changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among, listed, rows_json
from orchestrator.adapters.db.claims_sql import WAITING_POOLS_SQL, claim_sql, queue_sql
from orchestrator.adapters.db.moves_sql import count_sql, log_rows, log_sql, moved
from orchestrator.adapters.db.runs import SqlRuns, new_rows
from orchestrator.adapters.db.tables import jobs, operation_log
from orchestrator.adapters.db.words import Words, known, readable
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import NotFound, StaleJob
from orchestrator.domain.model import Change, Job, JobId, JobSheet, Move
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from orchestrator.domain.views import Queue

JOB_COLUMNS: Final = tuple(jobs.c[name] for name in Job._fields)
COUNT_SHARDS: Final = 8
# built once: to build so wide a statement costs more than to run it
_GET: Final = sa.select(*JOB_COLUMNS).where(jobs.c.id == sa.bindparam("id"), jobs.c.deleted_at.is_(None))


@lru_cache(maxsize=4096)
def _switches(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STATES: Final = Words(JobState)
_EFFECTS: Final = Words(Effect)
_FAILURES: Final = Words(FailureClass)
_KNOWN: Final = sa.and_(sa.text(known("jobs.state", JobState)), sa.text(known("jobs.effect", Effect)))


def job_from(row: Sequence[Any]) -> Job:
    """A Job from the values of JOB_COLUMNS."""
    (
        job_id, project_id, profile, state, version, priority, effect, due_at, lease_token, lease_until, takeovers,
        switches, attempt, retries, infra_retries, retry_limit, failure, approved, repairs_left, suspended_from,
        run_id, asset_id, pool,
    ) = row  # fmt: skip
    return Job(
        job_id, project_id, profile, _STATES[state], version, priority, _EFFECTS[effect] if effect else None,
        _instant(due_at), lease_token, _instant(lease_until), takeovers, _switches(switches), attempt, retries,
        infra_retries, retry_limit, _FAILURES[failure] if failure else None, bool(approved), repairs_left,
        _STATES[suspended_from] if suspended_from else None, run_id, asset_id, pool,
    )  # fmt: skip


def _instant(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value  # type: ignore[return-value]  # datetime or None


class SqlJobs:
    """The jobs of one transaction.

    Args:
        profiles: whose jobs are worked on; None: all. Others are left to processes that have their profile.
    """

    def __init__(self, connection: sa.Connection, shard: int, profiles: Sequence[str] | None = None) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._profiles = profiles
        self._shard = shard % COUNT_SHARDS if self._dialect == "postgresql" else 0

    # reading

    def get(self, job_id: str, project_id: str | None = None) -> Job:
        """The job. Raises NotFound for an unknown or deleted one, and for one of another project."""
        row = self._connection.execute(_GET, {"id": job_id}).one_or_none()
        if row is None or project_id not in {None, row.project_id}:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        return job_from(row)

    def get_many(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that are there and not deleted, by id."""
        query = sa.select(*JOB_COLUMNS).where(among(self._dialect, jobs.c.id, job_ids), jobs.c.deleted_at.is_(None))
        return {row.id: job_from(row) for row in self._connection.execute(query).all()}

    # writing

    def add(self, job: Job, sheet: JobSheet, change: Change) -> None:
        """A new job with the first line of its log."""
        at = change.at
        row = dict(job._asdict(), switches=" ".join(sorted(job.switches)))
        self._connection.execute(
            sa.insert(jobs).values(
                **row, name=sheet.name, description=sheet.description, owner=sheet.owner,
                app_user_id=sheet.app_user_id, batch_name=sheet.batch_name, tags=list(sheet.tags),
                attributes=dict(sheet.attributes), settings=dict(sheet.settings), message=sheet.message,
                created_at=at, updated_at=at, user_updated_at=at, state_since=at,
            )
        )  # fmt: skip
        self._log([(job.id, change)])
        self._count({(job.project_id, job.state): 1})

    def move(self, move: Move, **sheet: object) -> None:
        """Write one move, and columns of the sheet with it.

        Raises:
            StaleJob: somebody moved the job since it was read, or took over its lease.
        """
        if self.move_many([move]) != {move.before.id}:
            raise StaleJob(f"job {move.before.id} was moved by somebody else meanwhile", job_id=move.before.id)
        if sheet:
            self._connection.execute(sa.update(jobs).where(jobs.c.id == move.before.id).values(**sheet))

    def move_many(self, moves: Sequence[Move]) -> set[JobId]:
        """Write many moves with their log lines, counts and the runs that they start; gives the ids that were won.

        The losers are unchanged. One statement on PostgreSQL; up to four on SQLite, which has no writes in a WITH, and
        no round trips to save.
        """
        if not moves:
            return set()
        statement, rows = moved(self._dialect, moves)
        log = ((move.before.id, change) for move in moves for change in move.changes)
        if self._dialect == "postgresql":
            parameters = {"rows": rows_json(rows), "log": rows_json(log_rows(log)), "shard": self._shard}
            starts = [move.starts for move in moves if move.starts is not None]
            if starts:
                parameters["runs"] = new_rows(starts)
            return set(self._connection.execute(statement, parameters).scalars().all())
        won: set[JobId] = set(self._connection.execute(statement, {"rows": rows_json(rows)}).scalars().all())
        self._log((job_id, change) for job_id, change in log if job_id in won)
        deltas: Counter[tuple[str, JobState]] = Counter()
        SqlRuns(self._connection).add_many([m.starts for m in moves if m.starts is not None and m.before.id in won])
        for before, after, *_ in moves:
            if before.id in won:
                deltas[before.project_id, before.state] -= 1
                deltas[before.project_id, after.state] += 1
        self._count(deltas)
        return won

    def _log(self, entries: Iterable[tuple[str, Change]]) -> None:
        rows = log_rows(entries)
        if rows:
            self._connection.execute(log_sql(self._dialect), {"rows": rows_json(rows)})

    def _count(self, deltas: Mapping[tuple[str, JobState], int]) -> None:
        # sorted, so that two transactions take the rows in one order and cannot deadlock
        rows = [
            {"project_id": project, "state": state, "shard": self._shard, "jobs": n}
            for (project, state), n in sorted(deltas.items())
            if n
        ]
        if rows:
            self._connection.execute(count_sql(self._dialect), {"rows": rows_json(rows)})

    # claiming

    def _mine(self) -> dict[str, object]:
        return {} if self._profiles is None else {"profiles": listed(self._dialect, self._profiles)}

    def claim(self, effect: Effect, *, now: datetime, until: datetime, token: str, limit: int) -> list[Job]:
        """Lease up to `limit` due jobs, oldest first. Two claimers never get one job and never wait for each other."""
        result = self._connection.execute(
            claim_sql(self._dialect, of_profiles=self._profiles is not None),
            {"effect": effect.value, "now": now, "until": until, "token": token, "limit": limit, **self._mine()},
        )
        return readable(job_from, result.all())

    def renew(self, token: str, until: datetime) -> None:
        """Keep all jobs of a claim."""
        self._connection.execute(sa.update(jobs).where(jobs.c.lease_token == token).values(lease_until=until))

    def give_back(
        self, token: str, job_ids: Sequence[str], due_at: datetime | None = None, *, crashed: bool = False
    ) -> None:
        """Free claimed jobs unmoved; with `due_at` they are claimed again no earlier. A crash counts as a takeover."""
        values: dict[str, object] = {"lease_token": None, "lease_until": None}
        if crashed:
            values["takeovers"] = jobs.c.takeovers + 1
        if due_at is not None:
            values["due_at"] = due_at
        self._connection.execute(
            sa.update(jobs)
            .where(among(self._dialect, jobs.c.id, job_ids), jobs.c.lease_token == token)
            .values(**values)
        )

    def lost(self, now: datetime, limit: int) -> list[Job]:
        """Jobs whose worker went silent: their lease ran out."""
        query = (
            sa.select(*JOB_COLUMNS)
            .where(jobs.c.lease_token.is_not(None), jobs.c.lease_until <= now, _KNOWN)
            .order_by(jobs.c.lease_until)
            .limit(limit)
        )
        return readable(job_from, self._connection.execute(query))

    def take_back(self, job: Job, due_at: datetime) -> bool:
        """Free a job of a silent worker, counting the takeover. False: the worker was there after all."""
        result = self._connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id, jobs.c.lease_token == job.lease_token, jobs.c.lease_until == job.lease_until)
            .values(lease_token=None, lease_until=None, takeovers=job.takeovers + 1, due_at=due_at)
        )
        return result.rowcount == 1

    def due(self, effect: Effect, now: datetime, limit: int) -> list[Job]:
        """What a claim would take, without taking it: for dry runs."""
        query = (
            sa.select(*JOB_COLUMNS)
            .where(jobs.c.effect == effect.value, jobs.c.due_at <= now, _KNOWN)
            .where(jobs.c.lease_token.is_(None), jobs.c.deleted_at.is_(None))
            .order_by(jobs.c.due_at)
            .limit(limit)
        )
        if self._profiles is not None:
            query = query.where(among(self._dialect, jobs.c.profile, self._profiles))
        return readable(job_from, self._connection.execute(query))

    def postpone(self, job: Job, due_at: datetime) -> None:
        """Have a job looked at later, if nobody has moved or claimed it since."""
        self._connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id, jobs.c.version == job.version, jobs.c.lease_token.is_(None))
            .values(due_at=due_at)
        )

    def mark_stuck(self, steps: Sequence[Effect], now: datetime, since: datetime) -> list[tuple[str, str]]:
        """Mark as overdue what has one of `steps` to do since before `since`; gives (id, step) of those new to it.

        No move: the state stands, and whoever holds the job goes on with it. The next move takes the mark away.
        """
        query = (
            sa.update(jobs)
            .where(jobs.c.effect.in_([step.value for step in steps]), jobs.c.state_since <= since)
            .where(jobs.c.due_at.is_not(None), jobs.c.overdue_at.is_(None), jobs.c.deleted_at.is_(None), _KNOWN)
            .values(overdue_at=now)
            .returning(jobs.c.id, jobs.c.effect)
        )
        return [(row.id, row.effect) for row in self._connection.execute(query)]

    def queue(self, pool: str, now: datetime, slots: int, limit: int) -> Queue:
        """Who holds the `slots` of `pool`, and who waits for the free ones, of which at most `limit` are given out.

        Of every project that waits its first jobs by priority, then age: as many as there are slots to give out.
        """
        parameters = {"pool": pool, "now": now, "slots": slots, "limit": limit, **self._mine()}
        held: dict[str, int] = {}
        waiting: list[Job] = []
        statement = queue_sql(self._dialect, of_profiles=self._profiles is not None)
        for told, *job in self._connection.execute(statement, parameters).all():
            if told is None:
                waiting += readable(job_from, [job])
            else:
                held = json.loads(told) if isinstance(told, str) else told
        return Queue(held, waiting)

    def waiting_pools(self) -> list[str]:
        """Pools that somebody waits for."""
        return [pool for pool in self._connection.execute(WAITING_POOLS_SQL).scalars() if pool is not None]

    def delete(self, move: Move) -> None:
        """Write the last move and hide the job from everybody."""
        self.move(move, deleted_at=move.changes[-1].at, effect=None, due_at=None, lease_token=None, lease_until=None)
        self._count({(move.before.project_id, move.after.state): -1})

    def deleted_before(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        """(id, project) of jobs deleted before `at`, oldest first."""
        query = sa.select(jobs.c.id, jobs.c.project_id).where(jobs.c.deleted_at < at).order_by(jobs.c.deleted_at)
        return [(row.id, row.project_id) for row in self._connection.execute(query.limit(limit))]

    def erase(self, job_id: str) -> None:
        """Remove a deleted job and its log for good."""
        self._connection.execute(sa.delete(operation_log).where(operation_log.c.job_id == job_id))
        self._connection.execute(sa.delete(jobs).where(jobs.c.id == job_id, jobs.c.deleted_at.is_not(None)))
