"""Jobs, their runs and logs as callers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from orchestrator.app.app import App
from orchestrator.dialects.native.file_views import FileView
from orchestrator.dialects.native.wire import Instant, Wire
from orchestrator.domain.actors import Caller
from orchestrator.domain.model import Comment, Job, JobSheet, LogEntry, Run
from orchestrator.domain.states import STATES
from orchestrator.domain.views import JobDetail


class RunView(Wire):
    id: str
    job_id: str
    stage: str
    attempt: int
    pool: str
    outcome: str
    progress: float | None
    message: str
    failure: str | None
    exit_code: int | None
    metrics: Mapping[str, float]
    created_at: Instant
    started_at: Instant | None
    heartbeat_at: Instant | None
    ended_at: Instant | None

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls(
            id=run.id, job_id=run.job_id, stage=run.stage, attempt=run.attempt, pool=run.pool, outcome=run.outcome,
            progress=run.progress, message=run.message, failure=run.failure, exit_code=run.exit_code,
            metrics=run.metrics, created_at=run.created_at, started_at=run.started_at, heartbeat_at=run.heartbeat_at,
            ended_at=run.ended_at,
        )  # fmt: skip


class LogView(Wire):
    """One line of the operation log; lines of one move share `version`."""

    id: int
    version: int
    at: Instant
    actor: str
    operator: str
    command: str
    source: str | None
    target: str
    log_type: str | None
    description: str
    error_code: str | None
    details: Mapping[str, Any] | None

    @classmethod
    def of(cls, entry: LogEntry) -> Self:
        return cls(
            id=entry.id, version=entry.version, at=entry.at, actor=entry.actor, operator=entry.operator,
            command=entry.command, source=entry.source, target=entry.target, log_type=entry.log_type,
            description=entry.description, error_code=entry.error_code, details=entry.details,
        )  # fmt: skip


class CommentView(Wire):
    id: int
    at: Instant
    author: str
    type: str
    title: str
    text: str
    attachments: Sequence[FileView]

    @classmethod
    def of(cls, app: App, caller: Caller, comment: Comment) -> Self:
        attached = [FileView.of(file, app.uploads.download(caller, file)) for file in comment.attachments]
        return cls(
            id=comment.id, at=comment.at, author=comment.author, type=comment.type, title=comment.title,
            text=comment.text, attachments=attached,
        )  # fmt: skip


class JobView(Wire):
    """A job as lists show it. `message` says why it stands where it stands."""

    id: str
    project_id: str
    profile: str
    name: str
    description: str
    owner: str
    app_user_id: str | None
    batch_name: str | None
    tags: Sequence[str]
    state: str
    phase: str
    message: str
    version: int
    priority: int
    attempt: int
    retries: int
    repairs_left: int
    run_id: str | None
    asset_id: str | None
    created_at: Instant | None
    updated_at: Instant | None
    state_since: Instant | None
    first_submitted_at: Instant | None
    last_submitted_at: Instant | None
    overdue_at: Instant | None

    @classmethod
    def of(cls, job: Job, sheet: JobSheet, **more: object) -> Self:
        return cls(
            id=job.id, project_id=job.project_id, profile=job.profile, name=sheet.name, description=sheet.description,
            owner=sheet.owner, app_user_id=sheet.app_user_id, batch_name=sheet.batch_name, tags=sheet.tags,
            state=job.state, phase=STATES[job.state].phase, message=sheet.message, version=job.version,
            priority=job.priority, attempt=job.attempt, retries=job.retries, repairs_left=job.repairs_left,
            run_id=job.run_id, asset_id=job.asset_id, created_at=sheet.created_at, updated_at=sheet.updated_at,
            state_since=sheet.state_since, first_submitted_at=sheet.first_submitted_at,
            last_submitted_at=sheet.last_submitted_at, overdue_at=sheet.overdue_at, **more,
        )  # fmt: skip


class JobDetailView(JobView):
    """A job with everything about it, and what this caller may ask of it now."""

    attributes: Mapping[str, Any]
    settings: Mapping[str, Any]
    switches: Sequence[str]
    allowed_commands: Sequence[str]
    files: Sequence[FileView]
    runs: Sequence[RunView]
    comments: Sequence[CommentView]
    log: Sequence[LogView]

    @classmethod
    def full(cls, app: App, caller: Caller, detail: JobDetail) -> Self:
        return cls.of(
            detail.job, detail.sheet,
            attributes=detail.sheet.attributes,
            settings=detail.sheet.settings,
            switches=sorted(detail.job.switches),
            allowed_commands=app.jobs.open_commands(caller, detail),
            files=[FileView.of(file, app.uploads.download(caller, file)) for file in detail.files],
            runs=[RunView.of(run) for run in detail.runs],
            comments=[CommentView.of(app, caller, comment) for comment in detail.comments],
            log=[LogView.of(entry) for entry in detail.log],
        )  # fmt: skip


class JobPage(Wire):
    items: Sequence[JobView]
    total: int
    next_cursor: str | None


class Jobs(Wire):
    items: Sequence[JobView]


class Log(Wire):
    items: Sequence[LogView]


class Runs(Wire):
    items: Sequence[RunView]


class RunLog(Wire):
    """What the trainer wrote, from `offset` on; ask again with `next_offset`."""

    text: str
    next_offset: int


class CommentId(Wire):
    id: int


class Counts(Wire):
    """Jobs by state and by phase; states without jobs are left out."""

    states: Mapping[str, int]
    phases: Mapping[str, int]


class ModelToken(Wire):
    token: str
