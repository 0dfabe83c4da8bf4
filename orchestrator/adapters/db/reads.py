"""What people look at: one job with everything about it, pages of jobs, counts. Reads lock nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among
from orchestrator.adapters.db.files import file_from
from orchestrator.adapters.db.jobs import JOB_COLUMNS, job_from
from orchestrator.adapters.db.json_filters import holds, same
from orchestrator.adapters.db.runs import run_from
from orchestrator.adapters.db.tables import comments, files, job_counts, jobs, operation_log, runs
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.editions import FULL_HD_SIDE
from orchestrator.domain.errors import NotFound
from orchestrator.domain.log_types import LogType
from orchestrator.domain.model import Comment, CommentType, File, FileKind, FileState, JobId, JobSheet, LogEntry, Run
from orchestrator.domain.states import JobState
from orchestrator.domain.views import JobDetail, JobQuery, JobSummary

_LOG_FIELDS: Final = tuple(LogEntry.__dataclass_fields__)
_SHEET: Final = (  # in the order of JobSheet, which is made from such rows
    "name", "description", "owner", "app_user_id", "batch_name", "tags", "attributes", "settings", "message",
    "created_at", "updated_at", "user_updated_at", "state_since", "first_submitted_at", "last_submitted_at",
    "overdue_at",
)  # fmt: skip
_SHEET_COLUMNS: Final = tuple(jobs.c[name] for name in _SHEET)
_COMMENT_FIELDS: Final = ("id", "job_id", "at", "author", "type", "title", "text")


class SqlReads:
    """Reads of one connection; outside a transaction they cost one round trip each."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def sheet(self, job_id: str) -> JobSheet:
        row = self._connection.execute(sa.select(*_SHEET_COLUMNS).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        return _sheet(row)

    def sheets(self, job_ids: Sequence[str]) -> dict[str, JobSheet]:
        query = sa.select(jobs.c.id, *_SHEET_COLUMNS).where(among(self._dialect, jobs.c.id, job_ids))
        return {row[0]: _sheet(row[1:]) for row in self._connection.execute(query).all()}

    def log(self, job_id: str) -> list[LogEntry]:
        """The operation log, oldest first."""
        query = sa.select(*(operation_log.c[name] for name in _LOG_FIELDS)).where(operation_log.c.job_id == job_id)
        query = query.order_by(operation_log.c.version, operation_log.c.id)
        return [_log_entry(dict(zip(_LOG_FIELDS, row, strict=True))) for row in self._connection.execute(query)]

    def detail(self, job_id: str, project_id: str | None) -> JobDetail:
        """A job with its log, comments, files and runs, in one statement.

        Raises:
            NotFound: unknown, deleted, or of another project.
        """
        query = sa.select(*JOB_COLUMNS, *_SHEET_COLUMNS, *_children(self._dialect))
        query = query.where(jobs.c.id == job_id, jobs.c.deleted_at.is_(None))
        if project_id is not None:
            query = query.where(jobs.c.project_id == project_id)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        at = len(JOB_COLUMNS)
        log, said, held, tried = (_rows(text) for text in row[at + len(_SHEET) :])
        all_files = [_file(each) for each in held]
        return JobDetail(
            job_from(row[:at]), _sheet(row[at : at + len(_SHEET)]),
            [_log_entry(each) for each in log], [_comment(each, all_files) for each in said],
            all_files, [_run(each) for each in tried],
        )  # fmt: skip

    def page(self, query: JobQuery) -> list[JobSummary]:
        """A page of jobs, newest first unless the query says otherwise."""
        statement = sa.select(*JOB_COLUMNS, *_SHEET_COLUMNS)
        if query.offset:
            # walk the narrow index to the page, then read only its rows
            ids = _ordered(_filtered(sa.select(jobs.c.id), query), query).offset(query.offset).limit(query.limit)
            statement = _ordered(statement.where(jobs.c.id.in_(ids.scalar_subquery())), query)
        else:
            statement = _ordered(_filtered(statement, query), query).limit(query.limit)
        at = len(JOB_COLUMNS)
        return [JobSummary(job_from(row[:at]), _sheet(row[at:])) for row in self._connection.execute(statement)]

    def count(self, query: JobQuery) -> int:
        """All matches. Costs the same at any size when only project and states are asked for."""
        if query.only_states:
            counted = sa.select(sa.func.coalesce(sa.func.sum(job_counts.c.jobs), 0))
            if query.project_id is not None:
                counted = counted.where(job_counts.c.project_id == query.project_id)
            if query.states:
                counted = counted.where(job_counts.c.state.in_(query.states))
            return int(self._connection.execute(counted).scalar_one())
        matching = _filtered(sa.select(sa.func.count()).select_from(jobs), replace(query, before=None))
        return int(self._connection.execute(matching).scalar_one())

    def counts(self, project_id: str | None) -> dict[JobState, int]:
        """How many jobs are in each state."""
        query = sa.select(job_counts.c.state, sa.func.sum(job_counts.c.jobs)).group_by(job_counts.c.state)
        if project_id is not None:
            query = query.where(job_counts.c.project_id == project_id)
        return {JobState(state): int(n) for state, n in self._connection.execute(query) if n}

    def oldest_due(self) -> dict[str, datetime]:
        """Of every effect the oldest due instant: how far behind the workers are."""
        query = sa.select(jobs.c.effect, sa.func.min(jobs.c.due_at)).where(
            jobs.c.due_at.is_not(None), jobs.c.lease_token.is_(None), jobs.c.deleted_at.is_(None)
        )
        found = self._connection.execute(query.group_by(jobs.c.effect))
        return {effect: at for effect, at in found if effect is not None}


def _filtered(statement: sa.Select[Any], query: JobQuery) -> sa.Select[Any]:
    conditions: list[sa.ColumnElement[bool]] = [jobs.c.deleted_at.is_(None)]
    if query.project_id is not None:
        conditions.append(jobs.c.project_id == query.project_id)
    if query.states:
        conditions.append(jobs.c.state.in_([state.value for state in query.states]))
    for column, value in query.exact.items():
        conditions.append(jobs.c[column] == value)
    if query.name_contains:
        conditions.append(jobs.c.name.icontains(query.name_contains, autoescape=True))
    if query.created_since is not None:
        conditions.append(jobs.c.created_at >= query.created_since)
    if query.created_until is not None:
        conditions.append(jobs.c.created_at <= query.created_until)
    if query.before is not None:
        conditions.append(jobs.c.id > query.before if query.oldest_first else jobs.c.id < query.before)
    return statement.where(*conditions, *_by_sheet(query))


def _by_sheet(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    conditions = [same(jobs.c.attributes[name], value) for name, value in query.attributes.items()]
    conditions += [same(jobs.c.settings[name], value) for name, value in query.settings.items()]
    if query.tag:
        conditions.append(holds(jobs.c.tags, query.tag))
    if query.wide_video is not None:
        conditions.append(_WIDE_VIDEO if query.wide_video else ~_WIDE_VIDEO)
    if query.updated_since is not None:
        conditions.append(jobs.c.user_updated_at >= query.updated_since)
    if query.updated_until is not None:
        conditions.append(jobs.c.user_updated_at <= query.updated_until)
    return conditions


def _ordered(statement: sa.Select[Any], query: JobQuery) -> sa.Select[Any]:
    keys = (jobs.c.user_updated_at, jobs.c.id) if query.by_update else (jobs.c.id,)
    return statement.order_by(*(key if query.oldest_first else key.desc() for key in keys))


_WIDE_VIDEO: Final = sa.exists().where(
    files.c.job_id == jobs.c.id, files.c.kind == FileKind.TRAINING_VIDEO, files.c.state == FileState.SEALED,
    sa.or_(*(files.c.facts[("display", side)].as_integer() > FULL_HD_SIDE for side in (0, 1))),
)  # fmt: skip


@lru_cache
def _children(dialect: str) -> tuple[sa.ColumnElement[Any], ...]:
    """The lists that belong to a job, each as one JSON value of a correlated subquery."""

    def listed(table: sa.Table, names: Sequence[str], *order: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        rows = sa.select(*(table.c[name] for name in names)).where(table.c.job_id == jobs.c.id)
        part = rows.order_by(*order).correlate(jobs).subquery("part")
        gathered: sa.ColumnElement[Any]
        if dialect == "postgresql":
            gathered = sa.func.coalesce(sa.func.json_agg(sa.text("row_to_json(part)"), type_=sa.Text), sa.text("'[]'"))
        else:
            pairs = [item for name in names for item in (sa.literal(name), part.c[name])]
            gathered = sa.func.json_group_array(sa.func.json_object(*pairs, type_=sa.Text), type_=sa.Text)
        return sa.select(gathered).select_from(part).correlate(jobs).scalar_subquery()

    return (
        listed(operation_log, _LOG_FIELDS, operation_log.c.version, operation_log.c.id),
        listed(comments, _COMMENT_FIELDS, comments.c.id),
        listed(files, tuple(File.__dataclass_fields__), files.c.created_at, files.c.id),
        listed(runs, tuple(Run.__dataclass_fields__), runs.c.attempt),
    )


def _rows(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  parsed by one driver, text from the other
    loaded: list[dict[str, Any]] = json.loads(value) if isinstance(value, str) else value
    return list(loaded or [])


def _at(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _loaded(value: Any) -> Any:  # noqa: ANN401  JSON inside JSON arrives as text from SQLite
    return json.loads(value) if isinstance(value, str) else value


def _sheet(row: Sequence[Any]) -> JobSheet:
    return JobSheet(*row)


def _log_entry(values: Mapping[str, Any]) -> LogEntry:
    at = values["at"]
    return LogEntry(
        id=values["id"], job_id=JobId(values["job_id"]), version=values["version"],
        at=datetime.fromisoformat(at) if isinstance(at, str) else at,
        actor=Actor(values["actor"]), operator=values["operator"], command=Command(values["command"]),
        source=JobState(values["source"]) if values["source"] else None, target=JobState(values["target"]),
        log_type=LogType(values["log_type"]) if values["log_type"] else None,
        description=values["description"], error_code=values["error_code"], details=_loaded(values["details"]),
    )  # fmt: skip


def _comment(values: Mapping[str, Any], held: Sequence[File]) -> Comment:
    at = datetime.fromisoformat(values["at"])
    attached = [file for file in held if file.comment_id == values["id"] and file.state is FileState.SEALED]
    return Comment(
        values["id"], JobId(values["job_id"]), at, values["author"], CommentType(values["type"]), values["title"],
        values["text"], attached,
    )  # fmt: skip


def _file(values: dict[str, Any]) -> File:
    for name in ("created_at", "expires_at", "sealed_at"):
        values[name] = _at(values[name])
    values["part_sizes"], values["facts"] = _loaded(values["part_sizes"]), _loaded(values["facts"])
    return file_from([values[name] for name in File.__dataclass_fields__])


def _run(values: dict[str, Any]) -> Run:
    for name in ("heartbeat_at", "created_at", "started_at", "ended_at", "cancel_at"):
        values[name] = _at(values[name])
    values["artefacts"], values["metrics"] = _loaded(values["artefacts"]), _loaded(values["metrics"])
    return run_from([values[name] for name in Run.__dataclass_fields__])
