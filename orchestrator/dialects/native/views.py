"""What callers get: built from domain values, never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field

from orchestrator.app.app import App
from orchestrator.app.care import SweepReport
from orchestrator.app.keys import NewKey
from orchestrator.app.media import Shown
from orchestrator.app.sweeps import Sweep
from orchestrator.app.uploads import Upload, UploadProgress
from orchestrator.dialects.native.wire import Instant, Wire
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import Asset, AssetFile
from orchestrator.domain.audit import AuditEntry
from orchestrator.domain.model import Comment, File, Job, JobSheet, LogEntry, Run
from orchestrator.domain.states import STATES
from orchestrator.domain.views import JobDetail
from orchestrator.ports.store import KeyRow


class PartUrl(Wire):
    number: int
    url: str


class PartView(Wire):
    number: int
    etag: str
    size_bytes: int


class FileView(Wire):
    id: str
    job_id: str | None
    kind: str
    state: str
    name: str
    content_type: str
    size_bytes: int | None
    part_count: int
    part_sizes: Sequence[int]
    etag: str | None
    sha256: str | None
    facts: Mapping[str, Any] | None
    created_at: Instant
    expires_at: Instant
    sealed_at: Instant | None
    download_url: str | None = None

    @classmethod
    def of(cls, file: File, download_url: str | None = None, **more: object) -> Self:
        return cls(
            id=file.id, job_id=file.job_id, kind=file.kind, state=file.state, name=file.name,
            content_type=file.content_type, size_bytes=file.size_bytes, part_count=file.part_count,
            part_sizes=file.part_sizes, etag=file.etag, sha256=file.sha256, facts=file.facts,
            created_at=file.created_at, expires_at=file.expires_at, sealed_at=file.sealed_at,
            download_url=download_url, **more,
        )  # fmt: skip


class FileProgressView(FileView):
    """A file and how far its upload is."""

    arrived_parts: Sequence[PartView] = ()
    missing_parts: Sequence[int] = ()

    @classmethod
    def at(cls, progress: UploadProgress, download_url: str | None) -> Self:
        arrived = [PartView(number=n, etag=etag, size_bytes=size) for n, (etag, size) in progress.arrived.items()]
        return cls.of(progress.file, download_url, arrived_parts=arrived, missing_parts=progress.missing)


class UploadView(Wire):
    """A file and where its parts are put. The URLs are secrets."""

    file: FileView
    urls: Sequence[PartUrl]
    url_expires_at: Instant

    @classmethod
    def of(cls, upload: Upload) -> Self:
        urls = [PartUrl(number=number, url=url) for number, url in upload.urls.items()]
        return cls(file=FileView.of(upload.file), urls=urls, url_expires_at=upload.url_expires_at)


class MediaView(Wire):
    """An item of the media library.

    Attributes:
        url: its address, which names it and gives no right to it.
        reason: why it could not be prepared.
    """

    id: str
    project_id: str
    type: str
    status: str
    reason: str
    title: str
    url: str
    reference_id: str | None
    name: str | None
    file_id: str | None
    size_bytes: int | None
    sha256: str | None
    facts: Mapping[str, Any] | None
    created_at: Instant
    updated_at: Instant
    download_url: str | None = None

    @classmethod
    def of(cls, shown: Shown, download_url: str | None = None) -> Self:
        item, file = shown
        return cls(
            id=item.id, project_id=item.project_id, type=item.type, status=item.status, reason=item.reason,
            title=item.title, url=item.input_url, reference_id=item.reference_id,
            name=None if file is None else file.name, file_id=item.file_id,
            size_bytes=None if file is None else file.size_bytes, sha256=None if file is None else file.sha256,
            facts=item.facts, created_at=item.created_at, updated_at=item.updated_at, download_url=download_url,
        )  # fmt: skip


class MediaPage(Wire):
    items: Sequence[MediaView]
    next_cursor: str | None


class MediaUploadView(Wire):
    media: MediaView
    upload: UploadView


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


class AssetFileView(Wire):
    id: str
    category: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str | None
    download_url: str

    @classmethod
    def of(cls, app: App, file: AssetFile) -> Self:
        return cls(
            id=file.id, category=file.category, name=file.name, content_type=file.content_type,
            size_bytes=file.size_bytes, sha256=file.sha256, download_url=app.assets.download(file),
        )  # fmt: skip


class AssetView(Wire):
    id: str
    project_id: str
    job_id: str | None
    type: str
    state: str
    name: str
    description: str
    attributes: Mapping[str, Any]
    created_at: Instant
    updated_at: Instant
    files: Sequence[AssetFileView] | None = Field(default=None, description="absent in lists")

    @classmethod
    def of(cls, asset: Asset, files: Sequence[AssetFileView] | None = None) -> Self:
        return cls(
            id=asset.id, project_id=asset.project_id, job_id=asset.job_id, type=asset.type, state=asset.state,
            name=asset.name, description=asset.description, attributes=asset.attributes, created_at=asset.created_at,
            updated_at=asset.updated_at, files=files,
        )  # fmt: skip


class JobPage(Wire):
    items: Sequence[JobView]
    total: int
    next_cursor: str | None


class Jobs(Wire):
    items: Sequence[JobView]


class AssetPage(Wire):
    items: Sequence[AssetView]
    next_cursor: str | None


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


class SweepView(Wire):
    name: str
    purpose: str
    every_s: float
    last_run_at: Instant | None

    @classmethod
    def of(cls, sweep: Sweep, last_run_at: Any) -> Self:  # noqa: ANN401  an instant or None; pydantic checks it
        return cls(name=sweep.name, purpose=sweep.purpose, every_s=sweep.every.total_seconds(), last_run_at=last_run_at)


class Sweeps(Wire):
    items: Sequence[SweepView]


class SweepReportView(Wire):
    name: str
    dry_run: bool
    skipped: bool
    done: Sequence[str]
    failed: Sequence[str]

    @classmethod
    def of(cls, report: SweepReport) -> Self:
        return cls(
            name=report.name, dry_run=report.dry_run, skipped=report.skipped, done=report.done, failed=report.failed
        )


class ProjectView(Wire):
    id: str
    created: bool


class KeyView(Wire):
    """A new key: the only time that its secrets are shown."""

    id: str
    project_id: str
    role: str
    name: str
    access_key: str
    secret_key: str
    token: str

    @classmethod
    def of(cls, key: NewKey) -> Self:
        return cls(
            id=key.id, project_id=key.project_id, role=key.role, name=key.name, access_key=key.id,
            secret_key=key.secret, token=key.token,
        )  # fmt: skip


class KeyRowView(Wire):
    """A key, without its secrets. Refused from `disabled_at` on, which may lie ahead."""

    access_key: str
    project_id: str
    role: str
    name: str
    disabled_at: Instant | None

    @classmethod
    def of(cls, key: KeyRow) -> Self:
        return cls(
            access_key=key.id, project_id=key.project_id, role=key.role, name=key.name, disabled_at=key.disabled_at
        )


class Keys(Wire):
    items: list[KeyRowView]


class AuditView(Wire):
    """One act on projects, keys or secrets. `key_id` is empty for the command line."""

    id: int
    at: Instant
    key_id: str
    operator: str
    act: str
    subject: str
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            id=entry.id, at=entry.at, key_id=entry.key_id, operator=entry.operator, act=entry.act,
            subject=entry.subject, details=dict(entry.details),
        )  # fmt: skip


class Audit(Wire):
    items: list[AuditView]


class ModelToken(Wire):
    token: str
