"""The ledger of attempts: a run is written before a backend is asked, and looked at until it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among, giving, listed, one_of, rows_json, source
from orchestrator.adapters.db.claims_sql import others_sql
from orchestrator.adapters.db.tables import runs
from orchestrator.adapters.db.words import Words, known, readable
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import LIVE_OUTCOMES, Run, RunOutcome
from orchestrator.domain.retry import FailureClass

_FIELDS: Final = tuple(Run.__dataclass_fields__)
RUN_COLUMNS: Final = tuple(runs.c[name] for name in _FIELDS)
_OUTCOMES: Final = Words(RunOutcome)
_FAILURES: Final = Words(FailureClass)
_LIVE: Final = [outcome.value for outcome in LIVE_OUTCOMES]
# built once: it is asked for every run that starts
_SLOTS: Final = (
    sa.select(runs.c.project_id, sa.func.count())
    .where(runs.c.pool == sa.bindparam("pool"), runs.c.due_at.is_not(None))
    .group_by(runs.c.project_id)
)
_ADDED: Final = {
    "id": "text", "job_id": "text", "project_id": "text", "stage": "text", "attempt": "int", "pool": "text",
    "key": "text", "token": "text", "outcome": "text", "version": "int", "created_at": "at",
}  # fmt: skip
_UPDATED: Final = {
    "handle": "text", "outcome": "text", "progress": "float", "message": "text", "failure": "text",
    "exit_code": "int", "heartbeat_at": "at", "started_at": "at", "ended_at": "at", "artefacts": "json",
    "metrics": "json", "due_at": "at",
}  # fmt: skip


def run_from(row: Sequence[Any]) -> Run:
    values = dict(zip(_FIELDS, row, strict=True))
    values["outcome"] = _OUTCOMES[values["outcome"]]
    values["failure"] = _FAILURES[values["failure"]] if values["failure"] else None
    return Run(**values)


class SqlRuns:
    """The runs of one transaction. Args: `profiles` as of SqlJobs."""

    def __init__(self, connection: sa.Connection, profiles: Sequence[str] | None = None) -> None:
        self._connection = connection
        self._profiles = profiles
        self._dialect = connection.dialect.name

    def add_many(self, new: Sequence[tuple[Run, datetime]]) -> None:
        """New runs, in one statement; each is looked at at its instant if nobody writes it before."""
        if new:
            self._connection.execute(sa.text(add_sql(self._dialect)), {"runs": new_rows(new)})

    def get(self, run_id: str) -> Run:
        row = self._connection.execute(sa.select(*RUN_COLUMNS).where(runs.c.id == run_id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return run_from(row)

    def of_job(self, job_id: str) -> list[Run]:
        """All tries of a job, oldest first."""
        query = sa.select(*RUN_COLUMNS).where(runs.c.job_id == job_id).order_by(runs.c.attempt)
        return [run_from(row) for row in self._connection.execute(query)]

    def succeeded(self, job_ids: Sequence[str]) -> dict[str, dict[str, Run]]:
        """Of every job its newest successful run per stage, of those that worked on its present material."""
        query = sa.select(*RUN_COLUMNS).where(
            among(self._dialect, runs.c.job_id, job_ids), runs.c.outcome == RunOutcome.SUCCEEDED.value,
            runs.c.superseded.is_(sa.false()),
        )  # fmt: skip
        found: dict[str, dict[str, Run]] = {job_id: {} for job_id in job_ids}
        for row in self._connection.execute(query.order_by(runs.c.attempt)).all():
            run = run_from(row)
            found[run.job_id][run.stage] = run
        return found

    def busy(self, job_ids: Sequence[str]) -> set[str]:
        """The jobs with a run that has not ended."""
        query = sa.select(runs.c.job_id).where(among(self._dialect, runs.c.job_id, job_ids), runs.c.due_at.is_not(None))
        return set(self._connection.execute(query).scalars())

    def live(self, pool: str) -> dict[str, int]:
        """How many slots of `pool` each project holds, counted from what really runs."""
        return {project: int(count) for project, count in self._connection.execute(_SLOTS, {"pool": pool})}

    def claim(self, now: datetime, until: datetime, limit: int) -> list[Run]:
        """Runs to look at now; nobody else looks before `until`. All writes after it are compare-and-set anyway."""
        parameters: dict[str, object] = {"now": now, "until": until, "limit": limit}
        if self._profiles is not None:
            parameters["profiles"] = listed(self._dialect, self._profiles)
        statement = _claim_sql(self._dialect, of_profiles=self._profiles is not None)
        return readable(run_from, self._connection.execute(statement, parameters))

    def due(self, now: datetime, limit: int) -> list[Run]:
        """What a claim would take, without taking it: for dry runs."""
        query = sa.select(*RUN_COLUMNS).where(runs.c.due_at <= now).order_by(runs.c.due_at).limit(limit)
        return readable(run_from, self._connection.execute(query))

    def save_many(self, saved: Sequence[tuple[Run, datetime | None]]) -> set[str]:
        """Write runs as they are now and when to look again; each only if nobody wrote it since. Gives the ids won."""
        if not saved:
            return set()
        rows: list[Mapping[str, object]] = [
            {name: getattr(run, name) for name in _UPDATED if name != "due_at"}
            | {"id": run.id, "seen": run.version, "due_at": due_at}
            for run, due_at in saved
        ]
        return set(self._connection.execute(_save_sql(self._dialect), {"rows": rows_json(rows)}).scalars())

    def ask_to_stop(self, job_id: str, now: datetime) -> int:
        """Mark the live runs of a job for cancelling, and have them looked at."""
        result = self._connection.execute(
            sa.update(runs)
            .where(runs.c.job_id == job_id, runs.c.outcome.in_(_LIVE), runs.c.cancel_at.is_(None))
            .values(cancel_at=now, due_at=now, version=runs.c.version + 1)
        )
        return result.rowcount

    def supersede(self, job_id: str) -> None:
        """The job has other material now: what its runs made counts no more."""
        self._connection.execute(
            sa.update(runs).where(runs.c.job_id == job_id, runs.c.superseded.is_(sa.false())).values(superseded=True)
        )

    def ended_before(self, at: datetime, limit: int) -> list[Run]:
        """Runs that came to nothing and whose leftovers may go, the oldest first."""
        query = sa.select(*RUN_COLUMNS).where(
            runs.c.ended_at < at, runs.c.tidied.is_(sa.false()), runs.c.outcome != sa.literal_column("'succeeded'")
        )
        return readable(run_from, self._connection.execute(query.order_by(runs.c.ended_at).limit(limit)))

    def tidied(self, run_id: str) -> None:
        """Nothing of the run is left in the store."""
        self._connection.execute(sa.update(runs).where(runs.c.id == run_id).values(tidied=True))


@lru_cache
def _claim_sql(dialect: str, *, of_profiles: bool) -> sa.TextualSelect:
    lock = "FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""
    names = ", ".join(f"runs.{name}" for name in _FIELDS)
    at = runs.c.due_at.type
    due = f"""
        SELECT id FROM runs
        WHERE due_at <= :now AND {known("outcome", RunOutcome)} AND NOT {others_sql(dialect, of_profiles=of_profiles)}
        ORDER BY due_at LIMIT :limit {lock}
    """  # noqa: S608
    sql = f"UPDATE runs SET due_at = :until WHERE {one_of(dialect, 'id', due)} RETURNING {names}"  # noqa: S608
    statement = sa.text(sql).bindparams(sa.bindparam("now", type_=at), sa.bindparam("until", type_=at))
    return statement.columns(*RUN_COLUMNS)


def add_sql(dialect: str) -> str:
    """Adds what `new_rows` gives as `:runs`; a statement of its own, or the beginning of a narrower one."""
    columns = _ADDED | {"due_at": "at"}
    names = ", ".join(columns)
    values = ", ".join(f"v.{name}" for name in columns)
    return f"INSERT INTO runs ({names}) SELECT {values} FROM {source(dialect, columns, 'runs')}"  # noqa: S608


def new_rows(new: Iterable[tuple[Run, datetime]]) -> str:
    """The parameter for `add_sql`."""
    return rows_json([{name: getattr(run, name) for name in _ADDED} | {"due_at": due_at} for run, due_at in new])


@lru_cache
def _save_sql(dialect: str) -> sa.TextualSelect:
    json_text = "json(v.{0})" if dialect == "sqlite" else "v.{0}"
    sets = ", ".join(
        f"{name} = " + (json_text.format(name) if kind == "json" else f"v.{name}") for name, kind in _UPDATED.items()
    )
    statement = f"""
        UPDATE runs SET {sets}, version = runs.version + 1
        FROM {source(dialect, _UPDATED | {"id": "text", "seen": "int"})}
        WHERE runs.id = v.id AND runs.version = v.seen RETURNING runs.id
    """  # noqa: S608
    return giving(sa.text(statement), "id")
