"""What moves through the system: jobs, files, runs, log entries, comments. Plain immutable values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.log_types import LogType
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState

JobId = NewType("JobId", str)


class Job(NamedTuple):
    """The part of a job that the machine decides by. What people wrote about it is in `JobSheet`.

    A NamedTuple, not a dataclass: the worker makes thousands a second straight from rows.

    Attributes:
        version: counts moves; every move is a compare-and-set on it.
        effect: work that is due at `due_at`, or what the overdue sweep will look at then.
        lease_token: names the worker that holds the job; None: free. Random for every claim.
        takeovers: how often a lease of the present effect ran out; a worker that dies of a job is not fed it for ever.
        switches: what the profile turned on when the job was made: stage names, "review", "admin_confirm", ...
        attempt: runs begun over the whole life of the job, of all its stages; numbers the next one.
        retries: automatic retries of the present stage used, by the job's own fault.
        infra_retries: the same, by the fault of the machinery.
        retry_limit: an admin's override of the profile's limit for `retries`; None: the profile's.
        approved: passed its review (or needed none); nothing is trained before.
        pool: of trainer slots, while it waits for one.
    """

    id: JobId
    project_id: str
    profile: str
    state: JobState
    version: int
    priority: int
    effect: Effect | None
    due_at: datetime | None
    lease_token: str | None
    lease_until: datetime | None
    takeovers: int
    switches: frozenset[str]
    attempt: int
    retries: int
    infra_retries: int
    retry_limit: int | None
    failure: FailureClass | None
    approved: bool
    repairs_left: int
    suspended_from: JobState | None
    run_id: str | None
    asset_id: str | None
    pool: str | None


class Move(NamedTuple):
    """A job before and after, with what the log keeps of the way. Several moves in a row are one write.

    Attributes:
        fence: the lease token the job must still carry; None where the mover holds no lease.
        message: replaces the sheet's message; None leaves it.
        starts: the run that is in the ledger from this move on, and when somebody looks for it at the latest.
    """

    before: Job
    after: Job
    changes: tuple[Change, ...]
    fence: str | None = None
    message: str | None = None
    starts: tuple[Run, datetime] | None = None


@dataclass(frozen=True, slots=True)
class JobSheet:
    """What people say about a job, and what it came to.

    Attributes:
        attributes: fields that only a dialect knows, JSON-ready, kept as they came.
        settings: what admins set for the trainer, by name; reaches every run.
        message: why it stands where it stands, in a sentence; empty when all is well.
    """

    name: str
    description: str = ""
    owner: str = ""  # key name of the creator
    app_user_id: str | None = None
    batch_name: str | None = None
    tags: Sequence[str] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    message: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None  # the last move of anybody
    user_updated_at: datetime | None = None  # the last create or submit by the user
    state_since: datetime | None = None
    first_submitted_at: datetime | None = None
    last_submitted_at: datetime | None = None
    overdue_at: datetime | None = None  # the state's deadline passed without anybody acting


class Change(NamedTuple):
    """One decided move, ready to be written: the log lines it leaves share its version."""

    command: Command
    actor: Actor
    operator: str
    source: JobState | None
    target: JobState
    logs: tuple[LogType | None, ...]
    version: int
    at: datetime
    description: str = ""
    error_code: str | None = None
    details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the operation log. Lines of one move share `version`; `log_type` is None where no word is known."""

    id: int
    job_id: JobId
    version: int
    at: datetime
    actor: Actor
    operator: str
    command: Command
    source: JobState | None
    target: JobState
    log_type: LogType | None
    description: str = ""
    error_code: str | None = None
    details: Mapping[str, object] | None = None


class FileKind(StrEnum):
    """What a file is to a job. At most one open and one sealed file of each kind, attachments aside."""

    TRAINING_VIDEO = "training_video"
    ACTION_VIDEO = "action_video"
    COVER = "cover"
    PORTRAIT = "portrait"
    ID_CARD_FRONT = "id_card_front"
    ID_CARD_BACK = "id_card_back"
    AUTHORIZATION_LETTER = "authorization_letter"
    AUDIO = "audio"
    MASK = "mask"
    ACTION_MARK = "action_mark"
    BEAUTY_VIDEO = "beauty_video"
    ATTACHMENT = "attachment"
    ASSET = "asset"
    MEDIA = "media"


class FileState(StrEnum):
    OPEN = "open"  # URLs work
    SEALING = "sealing"  # one completer is at work
    SEALED = "sealed"  # the final object is pinned; no URL ever reached it
    ABORTING = "aborting"  # replaced, expired or given up; aborted again until the store knows nothing of it
    ABORTED = "aborted"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class File:
    """One upload and what became of it.

    Attributes:
        part_sizes: bytes of every part where the client told them; empty where it did not.
        staging_key: random; the only key URLs are ever signed for.
        final_key: where the sealed bytes are; no URL that writes was ever signed for it.
        etag: of the final object, from HEAD.
        sha256: of the sealed bytes; None until the first full read.
        facts: what the probe measured, JSON-ready.
    """

    id: str
    project_id: str
    job_id: JobId | None
    kind: FileKind
    state: FileState
    version: int
    name: str
    content_type: str
    staging_key: str
    upload_id: str
    part_count: int
    part_sizes: Sequence[int]
    size_bytes: int | None
    final_key: str | None
    etag: str | None
    sha256: str | None
    created_at: datetime
    expires_at: datetime
    sealed_at: datetime | None = None
    comment_id: int | None = None
    facts: Mapping[str, object] | None = None


class RunOutcome(StrEnum):
    """Where a try stands in our ledger. `STARTING` is committed before the backend is asked."""

    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE_OUTCOMES = (RunOutcome.STARTING, RunOutcome.RUNNING)


@dataclass(frozen=True, slots=True)
class Run:
    """One try of a stage. `(job_id, stage, attempt)` is unique; `token` fences what a late zombie might still say."""

    id: str
    job_id: JobId
    project_id: str
    stage: str
    attempt: int
    pool: str
    key: str
    handle: str | None
    token: str
    outcome: RunOutcome
    version: int
    progress: float | None
    message: str
    failure: FailureClass | None
    exit_code: int | None
    heartbeat_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_at: datetime | None
    artefacts: Sequence[Mapping[str, object]] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


class CommentType(StrEnum):
    USER_COMMENT = "user_comment"
    ADMIN_COMMENT = "admin_comment"
    USER_REJECT = "user_reject"


@dataclass(frozen=True, slots=True)
class Comment:
    id: int
    job_id: JobId
    at: datetime
    author: str
    type: CommentType
    title: str
    text: str
    attachments: Sequence[File] = ()
