"""What people look at: one job with everything about it, pages of jobs, counts. Reads lock nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among_listed, listed
from orchestrator.adapters.db.files import file_from
from orchestrator.adapters.db.jobs import JOB_COLUMNS, job_from
from orchestrator.adapters.db.json_filters import holds, same
from orchestrator.adapters.db.runs import run_from
from orchestrator.adapters.db.tables import comments, files, job_counts, jobs, operation_log, runs
from orchestrator.adapters.db.types import Instant
from orchestrator.adapters.db.words import Words, known, readable
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.editions import FULL_HD_SIDE
from orchestrator.domain.errors import NotFound
from orchestrator.domain.log_types import LogType
from orchestrator.domain.model import (
    Comment,
    CommentType,
    File,
    FileKind,
    FileState,
    Job,
    JobId,
    JobSheet,
    LogEntry,
    Run,
    RunOutcome,
)
from orchestrator.domain.states import JobState, Phase
from orchestrator.domain.views import Dossier, JobDetail, JobQuery, JobSummary

_LOG_FIELDS: Final = tuple(LogEntry.__dataclass_fields__)
_SHEET: Final = (  # in the order of JobSheet, which is made from such rows
    "name", "description", "owner", "app_user_id", "batch_name", "tags", "attributes", "settings", "message",
    "created_at", "updated_at", "user_updated_at", "state_since", "first_submitted_at", "last_submitted_at",
    "overdue_at",
)  # fmt: skip
_SHEET_COLUMNS: Final = tuple(jobs.c[name] for name in _SHEET)
# As the partial index on what is due holds it, so that finding the few does not read the many.
_RETRIED: Final = sa.and_(
    jobs.c.effect == sa.literal_column("'retry'"), jobs.c.due_at.is_not(None), jobs.c.lease_token.is_(None)
)
_ACTORS: Final = Words(Actor)
_COMMANDS: Final = Words(Command)
_STATES: Final = Words(JobState)
_LOG_TYPES: Final = Words(LogType)
_COMMENT_TYPES: Final = Words(CommentType)
_KNOWN: Final = sa.and_(sa.text(known("jobs.state", JobState)))  # of lists of all states; a single job says what it is
_FILE_FIELDS: Final = tuple(File.__dataclass_fields__)
_RUN_FIELDS: Final = tuple(Run.__dataclass_fields__)
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

    def dossiers(self, job_ids: Sequence[str]) -> dict[str, Dossier]:
        """The dossiers of the jobs that are there, by id, in one statement."""
        found = self._connection.execute(_dossiers_sql(self._dialect), {"ids": listed(self._dialect, job_ids)})
        return {row[0]: _dossier(row) for row in found.all()}

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
        row = self._connection.execute(_detail_sql(self._dialect), {"id": job_id}).one_or_none()
        if row is None or project_id not in {None, (told := _loaded(row[0]))["project_id"]}:
            raise NotFound(f"there is no job {job_id}", job_id=job_id)
        log, said, held, tried = (_rows(text) for text in row[1:])
        all_files = [_file(each) for each in held]
        return JobDetail(
            job_from([told[name] for name in Job._fields]), _sheet_from_json(told),
            [_log_entry(each) for each in log], [_comment(each, all_files) for each in said],
            all_files, [_run(each) for each in tried],
        )  # fmt: skip

    def page(self, query: JobQuery) -> list[JobSummary]:
        """A page of jobs, newest first unless the query says otherwise."""
        statement = sa.select(*JOB_COLUMNS, *_SHEET_COLUMNS)
        if len(query.every_state) > 1 and query.project_id is not None and not query.by_update:
            statement = _ordered(statement.where(jobs.c.id.in_(self._merged(query))), query)
        elif query.offset:
            # walk the narrow index to the page, then read only its rows; what is not known is left out of it
            ids = _ordered(_filtered(sa.select(jobs.c.id), query), query).offset(query.offset).limit(query.limit)
            statement = _ordered(statement.where(jobs.c.id.in_(ids.scalar_subquery())), query)
        else:
            # whoever pages from row to row takes a short page for the last one
            known_only = sa.true() if query.every_state else _KNOWN
            statement = _ordered(_filtered(statement, query).where(known_only), query).limit(query.limit)
        at = len(JOB_COLUMNS)
        found = self._connection.execute(statement)
        return readable(lambda row: JobSummary(job_from(row[:at]), _sheet(row[at:])), found)

    def _merged(self, query: JobQuery) -> sa.ScalarSelect[Any]:
        """Ids of a page of jobs in several states: one walk along the index per state that has jobs, then merged.

        A database would else read every job of the states, or every job newer than the last one of the page.
        """
        held = self.counts(query.project_id)
        parts = [replace(query, states=[state], phase=None) for state in query.every_state if held.get(state, 0)]
        walks = [_filtered(sa.select(jobs.c.id), part) for part in parts]
        if query.phase is Phase.FAILED:
            walks = [walk.where(sa.not_(_RETRIED)) for walk in walks]
        if query.phase is Phase.RUNNING:
            walks.append(_filtered(sa.select(jobs.c.id), replace(query, phase=None)).where(_RETRIED))
        each = []
        for walk in walks:
            first = _ordered(walk, query).limit(query.offset + query.limit)
            each.append(sa.select(first.subquery().c.id))
        if not each:
            return sa.select(sa.null()).where(sa.false()).scalar_subquery()
        ids = sa.union_all(*each).subquery().c.id
        page = sa.select(ids).order_by(ids if query.oldest_first else ids.desc())
        return page.offset(query.offset).limit(query.limit).scalar_subquery()

    def count(self, query: JobQuery) -> int:
        """All matches. Costs the same at any size when only project and states are asked for."""
        if query.only_states:
            counted = sa.select(sa.func.coalesce(sa.func.sum(job_counts.c.jobs), 0))
            if query.project_id is not None:
                counted = counted.where(job_counts.c.project_id == query.project_id)
            if query.every_state:
                counted = counted.where(job_counts.c.state.in_(query.every_state))
            return int(self._connection.execute(counted).scalar_one()) + self._moved_by_retries(query)
        matching = _filtered(sa.select(sa.func.count()).select_from(jobs), replace(query, before=None))
        return int(self._connection.execute(matching).scalar_one())

    def _moved_by_retries(self, query: JobQuery) -> int:
        """How many jobs the scheduled retries, of which there are few, add to the states of the phase."""
        sign = {Phase.RUNNING: 1, Phase.FAILED: -1}.get(query.phase) if query.phase is not None else None
        if sign is None:
            return 0
        retried = sa.select(sa.func.count()).select_from(jobs).where(_RETRIED, jobs.c.deleted_at.is_(None))
        if query.project_id is not None:
            retried = retried.where(jobs.c.project_id == query.project_id)
        return sign * int(self._connection.execute(retried).scalar_one())

    def counts(self, project_id: str | None) -> dict[JobState, int]:
        """How many jobs are in each state."""
        query = sa.select(job_counts.c.state, sa.func.sum(job_counts.c.jobs)).group_by(job_counts.c.state)
        if project_id is not None:
            query = query.where(job_counts.c.project_id == project_id)
        return {_STATES[state]: int(n) for state, n in self._connection.execute(query) if n and state in _STATES}

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
    if query.phase is Phase.FAILED:
        conditions.append(sa.and_(jobs.c.state.in_(query.every_state), sa.not_(_RETRIED)))
    elif query.phase is Phase.RUNNING:
        conditions.append(sa.or_(jobs.c.state.in_(query.every_state), _RETRIED))
    elif query.every_state:
        conditions.append(jobs.c.state.in_(query.every_state))
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
        conditions.append(_WIDE_VIDEO if query.wide_video else sa.not_(_WIDE_VIDEO))
    if query.updated_since is not None:
        conditions.append(jobs.c.user_updated_at >= query.updated_since)
    if query.updated_until is not None:
        conditions.append(jobs.c.user_updated_at <= query.updated_until)
    return conditions


def _ordered(statement: sa.Select[Any], query: JobQuery) -> sa.Select[Any]:
    keys = (jobs.c.user_updated_at, jobs.c.id) if query.by_update else (jobs.c.id,)
    return statement.order_by(*(key if query.oldest_first else key.desc() for key in keys))


# Of the video that editions.decisive_video names.
_IS_THERE: Final = sa.case((files.c.state == FileState.SEALED, 1), else_=0)
_WIDE_VIDEO: Final = sa.func.coalesce(
    sa.select(sa.or_(*(files.c.facts[("display", side)].as_integer() > FULL_HD_SIDE for side in (0, 1))))
    .where(
        files.c.job_id == jobs.c.id, files.c.kind == FileKind.TRAINING_VIDEO,
        sa.or_(files.c.state == FileState.SEALED, files.c.facts[("display", 0)].as_integer().is_not(None)),
    )
    .order_by(_IS_THERE.desc(), files.c.created_at.desc(), files.c.id.desc())
    .limit(1)
    .correlate(jobs)
    .scalar_subquery(),
    sa.false(),
)  # fmt: skip


@lru_cache
def _detail_sql(dialect: str) -> sa.Select[Any]:
    """Built once: to build so wide a statement costs more than to run it.

    The job itself is one JSON value too: drivers describe every column of every answer.
    """
    query = sa.select(_json_object(dialect, (*JOB_COLUMNS, *_SHEET_COLUMNS)), *_children(dialect))
    return query.where(jobs.c.id == sa.bindparam("id"), jobs.c.deleted_at.is_(None))


@lru_cache
def _children(dialect: str) -> tuple[sa.ColumnElement[Any], ...]:
    """The lists that belong to a job: its log, comments, files and runs."""
    return (
        _listed(dialect, operation_log, _LOG_FIELDS, operation_log.c.version, operation_log.c.id),
        _listed(dialect, comments, _COMMENT_FIELDS, comments.c.id),
        _listed(dialect, files, _FILE_FIELDS, files.c.created_at, files.c.id),
        _listed(dialect, runs, _RUN_FIELDS, runs.c.attempt),
    )


@lru_cache
def _dossiers_sql(dialect: str) -> sa.Select[Any]:
    """Sheet, sealed files and successful runs of jobs."""
    sealed = files.c.state == sa.literal_column(f"'{FileState.SEALED}'")
    succeeded = sa.and_(
        runs.c.outcome == sa.literal_column(f"'{RunOutcome.SUCCEEDED}'"), runs.c.superseded.is_(sa.false())
    )
    held = _listed(dialect, files, _FILE_FIELDS, files.c.created_at, files.c.id, only=sealed)
    made = _listed(dialect, runs, _RUN_FIELDS, runs.c.attempt, only=succeeded)
    query = sa.select(jobs.c.id, _json_object(dialect, _SHEET_COLUMNS), held, made)
    return query.where(among_listed(dialect, jobs.c.id, "ids"))


def _listed(
    dialect: str,
    table: sa.Table,
    names: Sequence[str],
    *order: sa.ColumnElement[Any],
    only: sa.ColumnElement[bool] | None = None,
) -> sa.ColumnElement[Any]:
    """Rows of `table` that belong to a job, as one JSON value of a correlated subquery."""
    rows = sa.select(*(table.c[name] for name in names)).where(table.c.job_id == jobs.c.id)
    if only is not None:
        rows = rows.where(only)
    part = rows.order_by(*order).correlate(jobs).subquery("part")
    gathered: sa.ColumnElement[Any]
    if dialect == "postgresql":
        gathered = sa.func.coalesce(sa.func.json_agg(sa.text("row_to_json(part)"), type_=sa.Text), sa.text("'[]'"))
    else:
        gathered = sa.func.json_group_array(_json_object(dialect, [part.c[name] for name in names]), type_=sa.Text)
    return sa.select(gathered).select_from(part).correlate(jobs).scalar_subquery()


def _json_object(dialect: str, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
    build = sa.func.json_build_object if dialect == "postgresql" else sa.func.json_object
    return build(*(item for each in columns for item in (sa.literal_column(f"'{each.key}'"), each)), type_=sa.Text)


def _rows(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  parsed by one driver, text from the other
    loaded: list[dict[str, Any]] = json.loads(value) if isinstance(value, str) else value
    return list(loaded or [])


def _at(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _loaded(value: Any) -> Any:  # noqa: ANN401  JSON inside JSON arrives as text from SQLite
    return json.loads(value) if isinstance(value, str) else value


def _sheet(row: Sequence[Any]) -> JobSheet:
    return JobSheet(*row)


def _sheet_from_json(told: Mapping[str, Any]) -> JobSheet:
    return JobSheet(*(read(told[name]) if (read := _FROM_JSON.get(name)) else told[name] for name in _SHEET))


_FROM_JSON: Final[Mapping[str, Callable[[Any], Any]]] = {
    each.name: _at if isinstance(each.type, Instant) else _loaded
    for each in _SHEET_COLUMNS
    if isinstance(each.type, Instant | sa.JSON)
}


def _dossier(row: Sequence[Any]) -> Dossier:
    _, sheet, held, made = row
    runs_made = [_run(each) for each in _rows(made)]
    return Dossier(
        _sheet_from_json(_loaded(sheet)), [_file(each) for each in _rows(held)], {run.stage: run for run in runs_made}
    )


def _log_entry(values: Mapping[str, Any]) -> LogEntry:
    at = values["at"]
    return LogEntry(
        id=values["id"], job_id=JobId(values["job_id"]), version=values["version"],
        at=datetime.fromisoformat(at) if isinstance(at, str) else at,
        actor=_ACTORS[values["actor"]], operator=values["operator"], command=_COMMANDS[values["command"]],
        source=_STATES[values["source"]] if values["source"] else None, target=_STATES[values["target"]],
        log_type=_LOG_TYPES[values["log_type"]] if values["log_type"] else None,
        description=values["description"], error_code=values["error_code"], details=_loaded(values["details"]),
    )  # fmt: skip


def _comment(values: Mapping[str, Any], held: Sequence[File]) -> Comment:
    at = datetime.fromisoformat(values["at"])
    attached = [file for file in held if file.comment_id == values["id"] and file.state is FileState.SEALED]
    return Comment(
        values["id"], JobId(values["job_id"]), at, values["author"], _COMMENT_TYPES[values["type"]], values["title"],
        values["text"], attached,
    )  # fmt: skip


def _file(values: dict[str, Any]) -> File:
    for name in ("created_at", "expires_at", "sealed_at"):
        values[name] = _at(values[name])
    values["part_sizes"], values["facts"] = _loaded(values["part_sizes"]), _loaded(values["facts"])
    return file_from([values[name] for name in _FILE_FIELDS])


def _run(values: dict[str, Any]) -> Run:
    for name in ("heartbeat_at", "created_at", "started_at", "ended_at", "cancel_at"):
        values[name] = _at(values[name])
    values["artefacts"], values["metrics"] = _loaded(values["artefacts"]), _loaded(values["metrics"])
    return run_from([values[name] for name in _RUN_FIELDS])
