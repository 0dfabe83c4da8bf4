"""The statements that write moves: the compare-and-set itself, with the lines of the log and the counts of lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import giving, source
from orchestrator.adapters.db.runs import add_sql
from orchestrator.adapters.db.types import to_text
from orchestrator.domain.model import Change, Job, Move

# What a move may change, with the kind each column travels as. Columns that no move of a batch changes do not travel:
# half the text to write, send and parse.
_MOVED: Final = {
    "state": "text", "version": "int", "priority": "int", "effect": "text", "due_at": "at", "lease_token": "text",
    "lease_until": "at", "takeovers": "int", "attempt": "int", "retries": "int", "infra_retries": "int",
    "retry_limit": "int", "failure": "text", "approved": "bool", "repairs_left": "int", "suspended_from": "text",
    "run_id": "text", "asset_id": "text", "pool": "text",
}  # fmt: skip
_SCHEDULED: Final = ("effect", "due_at", "lease_token", "lease_until", "takeovers")  # change without a new version
_ALWAYS: Final = frozenset({"state", "version", *_SCHEDULED})
_MARKS: Final = {
    "id": "text", "seen": "int", "was": "text", "fence": "text", "message": "text", "at": "at", "since": "at",
    "submitted": "at", "flagged": "bool", "stays": "bool",
}  # fmt: skip
_RARE: Final = ("submitted", "flagged", "stays")
_LOGGED: Final = {
    "job_id": "text", "version": "int", "at": "at", "actor": "text", "operator": "text", "command": "text",
    "source": "text", "target": "text", "log_type": "text", "description": "text", "error_code": "text",
    "details": "json",
}  # fmt: skip
_ADD_UP: Final = "ON CONFLICT (project_id, state, shard) DO UPDATE SET jobs = job_counts.jobs + excluded.jobs"


def moved(dialect: str, moves: Sequence[Move]) -> tuple[sa.TextualSelect, list[dict[str, object]]]:
    """The statement that writes `moves` and gives the ids that were won, and its rows.

    On PostgreSQL it writes log lines, counts and the runs that start as well, and takes `log`, `shard` and `runs`.
    """
    changed = [
        (name, at)
        for at, name in enumerate(Job._fields)
        if name in _ALWAYS or (name in _MOVED and any(move.before[at] != move.after[at] for move in moves))
    ]
    rows: list[dict[str, object]] = []
    for before, after, changes, fence, message, _ in moves:
        row: dict[str, object] = {name: after[at] for name, at in changed}
        at = to_text(changes[-1].at)
        # a stay leaves the clock of the state alone; a submit also moves the clocks people see
        row.update(
            id=before.id, seen=before.version, was=before.state, fence=fence, message=message, at=at,
            since=at if any(c.source is not c.target for c in changes) else None,
            submitted=at if any(c.command == "submit" for c in changes) else None,
            flagged=any(c.command == "flag_overdue" for c in changes),
            stays=before.state is after.state
            and all(getattr(before, name) == getattr(after, name) for name in _SCHEDULED),
        )  # fmt: skip
        rows.append(row)
    rare = tuple(name for name in _RARE if any(row[name] for row in rows))
    starting = any(move.starts is not None for move in moves)
    return _move_sql(dialect, tuple(name for name, _ in changed), rare, starting), rows


def log_rows(entries: Iterable[tuple[str, Change]]) -> list[dict[str, object]]:
    """The lines of changes of jobs, in their order."""
    rows: list[dict[str, object]] = []
    for job_id, c in entries:
        at = to_text(c.at)
        for log_type in c.logs:
            rows.append(
                {
                    "job_id": job_id, "version": c.version, "at": at, "actor": c.actor, "operator": c.operator,
                    "command": c.command, "source": c.source, "target": c.target, "log_type": log_type,
                    "description": c.description, "error_code": c.error_code, "details": c.details, "line": len(rows),
                }
            )  # fmt: skip
    return rows


@lru_cache(maxsize=256)
def _move_sql(dialect: str, moved: tuple[str, ...], rare: tuple[str, ...], starting: bool) -> sa.TextualSelect:  # noqa: FBT001
    """The write of a batch of moves that change `moved`; of _RARE only the marks that some move has."""
    marks = {name: kind for name, kind in _MARKS.items() if name not in _RARE or name in rare}
    sets = {name: f"v.{name}" for name in moved} | {
        "updated_at": "v.at",
        "state_since": "coalesce(v.since, jobs.state_since)",
        "message": "coalesce(v.message, jobs.message)",
        "overdue_at": "CASE WHEN v.since IS NULL THEN jobs.overdue_at END",
    }
    if "stays" in rare:
        # a claim leaves the version alone, so a move that stays must not write back the schedule that it has read
        sets |= {name: f"CASE WHEN v.stays THEN jobs.{name} ELSE v.{name} END" for name in _SCHEDULED}
    if "submitted" in rare:
        sets |= {
            "user_updated_at": "coalesce(v.submitted, jobs.user_updated_at)",
            "first_submitted_at": "coalesce(jobs.first_submitted_at, v.submitted)",
            "last_submitted_at": "coalesce(v.submitted, jobs.last_submitted_at)",
        }
    if "flagged" in rare:
        sets["overdue_at"] = "CASE WHEN v.flagged THEN v.at WHEN v.since IS NULL THEN jobs.overdue_at END"
    update = f"""
        UPDATE jobs SET {", ".join(f"{name} = {value}" for name, value in sets.items())}
        FROM {source(dialect, {name: _MOVED[name] for name in moved} | marks)}
        WHERE jobs.id = v.id AND jobs.version = v.seen AND jobs.deleted_at IS NULL
          AND (v.fence IS NULL OR jobs.lease_token = v.fence)
        RETURNING jobs.id"""  # noqa: S608  only our own column names
    if dialect == "sqlite":
        return giving(sa.text(update), "id")
    started = f", started AS ({add_sql(dialect)} JOIN moved ON moved.id = v.job_id)" if starting else ""
    # The lines of one move are numbered in their order, and counts are added to in the order of their key, so that two
    # transactions cannot deadlock.
    statement = f"""
        WITH moved AS ({update}, jobs.project_id, v.was, v.state),
        logged AS (
          INSERT INTO operation_log ({", ".join(_LOGGED)})
          SELECT {", ".join(f"v.{name}" for name in _LOGGED)}
          FROM moved JOIN {source(dialect, _LOGGED | {"line": "int"}, "log")} ON v.job_id = moved.id ORDER BY v.line
        ),
        counted AS (
          INSERT INTO job_counts (project_id, state, shard, jobs)
          SELECT project_id, state, :shard, sum(n) FROM (
            SELECT project_id, was AS state, -1 AS n FROM moved UNION ALL SELECT project_id, state, 1 FROM moved
          ) AS d GROUP BY project_id, state HAVING sum(n) <> 0 ORDER BY project_id, state
          {_ADD_UP}
        ){started}
        SELECT id FROM moved
    """  # noqa: S608  only our own column names
    return giving(sa.text(statement), "id")


@lru_cache
def log_sql(dialect: str) -> sa.TextClause:
    """Writes `log_rows`."""
    names = ", ".join(_LOGGED)
    values = ", ".join("json(v.details)" if n == "details" and dialect == "sqlite" else f"v.{n}" for n in _LOGGED)
    return sa.text(f"INSERT INTO operation_log ({names}) SELECT {values} FROM {source(dialect, _LOGGED)}")  # noqa: S608


@lru_cache
def count_sql(dialect: str) -> sa.TextClause:
    """Adds to the counts of states: rows of project_id, state, shard, jobs."""
    columns = {"project_id": "text", "state": "text", "shard": "int", "jobs": "int"}
    return sa.text(f"""
        INSERT INTO job_counts (project_id, state, shard, jobs)
        SELECT v.project_id, v.state, v.shard, v.jobs FROM {source(dialect, columns)} WHERE true
        {_ADD_UP}
    """)  # noqa: S608
