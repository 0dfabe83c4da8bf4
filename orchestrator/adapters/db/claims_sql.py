"""The statements that find work: due jobs to claim, and jobs that wait for a slot of a pool."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import giving, one_of
from orchestrator.adapters.db.tables import jobs
from orchestrator.adapters.db.words import known
from orchestrator.domain.model import Job
from orchestrator.domain.states import JobState

_FIELDS: Final = ", ".join(f"jobs.{name}" for name in Job._fields)
_AT: Final = jobs.c.due_at.type


@lru_cache
def claim_sql(dialect: str, *, of_profiles: bool) -> sa.TextualSelect:
    """Leases due jobs in states that this version knows; `of_profiles`: and of `:profiles` only."""
    lock = "FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""
    due = f"""
        SELECT id FROM jobs
        WHERE effect = :effect AND due_at <= :now AND due_at IS NOT NULL AND lease_token IS NULL AND deleted_at IS NULL
          AND {_mine(dialect, "jobs", of_profiles=of_profiles)}
        ORDER BY due_at LIMIT :limit {lock}
    """  # noqa: S608
    statement = f"""
        UPDATE jobs SET lease_token = :token, lease_until = :until WHERE {one_of(dialect, "id", due)}
        RETURNING {_FIELDS}
    """  # noqa: S608
    at = (sa.bindparam("now", type_=_AT), sa.bindparam("until", type_=_AT))
    return giving(sa.text(statement).bindparams(*at), *Job._fields)


def _mine(dialect: str, table: str, *, of_profiles: bool) -> str:
    """Nobody works on a job whose state or profile it does not know: another version may, or other settings."""
    state = known(f"{table}.state", JobState)
    if not of_profiles:
        return state
    if dialect == "postgresql":
        return f"{state} AND {table}.profile = ANY(CAST(:profiles AS text[]))"
    return f"{state} AND {table}.profile IN (SELECT value FROM json_each(:profiles))"  # noqa: S608


def others_sql(dialect: str, *, of_profiles: bool) -> str:
    """The condition that a row of `runs` belongs to a job that this version leaves alone."""
    mine = _mine(dialect, "j", of_profiles=of_profiles)
    return f"EXISTS (SELECT 1 FROM jobs j WHERE j.id = runs.job_id AND NOT ({mine}))"  # noqa: S608


_FOR_ANY_POOL: Final = "effect = 'dispatch' AND lease_token IS NULL AND deleted_at IS NULL"
_IS_WAITING: Final = f"{_FOR_ANY_POOL} AND pool = :pool"
# one run at a time: the former one may still be on its way out, with its hands on the same checkpoint
_IS_IDLE: Final = "NOT EXISTS (SELECT 1 FROM runs r WHERE r.job_id = j.id AND r.due_at IS NOT NULL)"
WAITING_POOLS_SQL: Final = sa.text(f"""
    WITH RECURSIVE p(pool) AS (
      SELECT min(pool) FROM jobs WHERE {_FOR_ANY_POOL}
      UNION ALL
      SELECT (SELECT min(j.pool) FROM jobs j WHERE {_FOR_ANY_POOL} AND j.pool > p.pool) FROM p WHERE p.pool IS NOT NULL
    )
    SELECT pool FROM p
""")  # noqa: S608  one index look per pool, however many wait
_HELD: Final = (
    "SELECT project_id, count(*) AS n FROM runs WHERE pool = :pool AND due_at IS NOT NULL GROUP BY project_id"
)
_NO_JOB: Final = ", ".join("NULL" for _ in Job._fields)


@lru_cache
def queue_sql(dialect: str, *, of_profiles: bool) -> sa.TextualSelect:
    """Who holds slots of `:pool`, and who waits for the free ones, with the bounds of `claim_sql`.

    The first column of one row tells who holds slots; every other row is a job that waits.
    """
    ready = f"{_IS_WAITING} AND due_at <= :now AND {_IS_IDLE} AND {_mine(dialect, 'j', of_profiles=of_profiles)}"
    if dialect == "postgresql":
        # one index walk to the next project, then its first few: never reads the whole queue
        query = f"""
        WITH RECURSIVE held AS ({_HELD}),
        free(n) AS (SELECT CAST(greatest(0, least(:slots - coalesce(sum(n), 0), :limit)) AS bigint) FROM held),
        p(project_id) AS (
          (SELECT project_id FROM jobs WHERE {_IS_WAITING} ORDER BY project_id LIMIT 1)
          UNION ALL
          SELECT (SELECT j.project_id FROM jobs j WHERE {_IS_WAITING} AND j.project_id > p.project_id
                  ORDER BY j.project_id LIMIT 1)
          FROM p WHERE p.project_id IS NOT NULL
        )
        SELECT CAST(NULL AS json), {_FIELDS} FROM p CROSS JOIN LATERAL (
          SELECT * FROM jobs j WHERE j.project_id = p.project_id AND {ready}
          ORDER BY j.priority DESC, j.due_at LIMIT (SELECT n FROM free)
        ) AS jobs WHERE p.project_id IS NOT NULL
        UNION ALL
        SELECT coalesce(json_object_agg(project_id, n), '{{}}'), {_NO_JOB} FROM held
        """  # noqa: S608
    else:
        query = f"""
        WITH held AS ({_HELD}),
        free(n) AS (SELECT max(0, min(:slots - coalesce(sum(n), 0), :limit)) FROM held)
        SELECT NULL, {_FIELDS} FROM (
          SELECT *, row_number() OVER (PARTITION BY project_id ORDER BY priority DESC, due_at) AS place
          FROM jobs j WHERE {ready}
        ) AS jobs WHERE place <= (SELECT n FROM free)
        UNION ALL
        SELECT json_group_object(project_id, n), {_NO_JOB} FROM held
        """  # noqa: S608
    return giving(sa.text(query).bindparams(sa.bindparam("now", type_=_AT)), "held", *Job._fields)
