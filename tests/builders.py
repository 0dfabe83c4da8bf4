"""Domain values for tests: every builder gives a whole value, and takes by name what the test is about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.app.context import new_id
from orchestrator.domain.actors import Actor, Caller, Role
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.log_types import LogType
from orchestrator.domain.model import (
    Change,
    Comment,
    CommentType,
    File,
    FileKind,
    FileState,
    Job,
    JobId,
    JobSheet,
    LogEntry,
    Move,
    Run,
    RunOutcome,
)
from orchestrator.domain.profile import SWITCHES
from orchestrator.domain.stages import STAGE_OF_WAITING, STAGES
from orchestrator.domain.states import STATES, JobState
from orchestrator.ports.store import Store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOB_ID = JobId("job-1")

# What profiles turn on. ALL is no profile of anybody; the others are the two lives that the README tells of.
STAGE_SWITCHES = frozenset(stage.name for stage in STAGES)
ALL = STAGE_SWITCHES | frozenset(SWITCHES)
METASTUDIO = frozenset(
    {"review", "training_preprocess", "training", "inference_preprocess", "compile", "admin_confirm"}
)
NAMED_ACCOUNT = METASTUDIO | {"named_account"}
SIMPLE = frozenset({"training", "resubmit"})


def due(state: JobState) -> tuple[Effect | None, datetime | None]:
    """What a job that has just come to `state` has due, in the common case."""
    if state in STAGE_OF_WAITING:
        return Effect.DISPATCH, NOW
    deadline = STATES[state].deadline
    return (Effect.OVERDUE, NOW + deadline) if deadline is not None else (None, None)


def a_job(state: JobState = JobState.WAIT_FILE_UPLOAD, /, **fields: Any) -> Job:
    """A job in `state`, of a profile with review and the three stages of training, with what is due there."""
    effect, due_at = due(state)
    values: dict[str, Any] = {
        "id": JOB_ID, "project_id": "project-1", "profile": "metastudio", "version": 0, "priority": 0,
        "effect": effect, "due_at": due_at, "lease_token": None, "lease_until": None, "takeovers": 0,
        "switches": METASTUDIO, "attempt": 0, "retries": 0, "infra_retries": 0, "retry_limit": None, "failure": None,
        "approved": False, "repairs_left": 0, "suspended_from": None, "run_id": None, "asset_id": None, "pool": None,
    }  # fmt: skip
    return Job(state=state, **(values | fields))


def a_sheet(**fields: Any) -> JobSheet:
    values: dict[str, Any] = {
        "name": "Ada", "owner": "key-1", "created_at": NOW, "updated_at": NOW, "user_updated_at": NOW,
        "state_since": NOW,
    }  # fmt: skip
    return JobSheet(**(values | fields))


def a_file(kind: FileKind = FileKind.TRAINING_VIDEO, /, state: FileState = FileState.OPEN, **fields: Any) -> File:
    """An upload of two parts of five and three bytes; from SEALED on it has a final object."""
    sealed = state in {FileState.SEALED, FileState.DELETING, FileState.DELETED}
    values: dict[str, Any] = {
        "id": "file-1", "project_id": "project-1", "job_id": JOB_ID, "version": 0, "name": "video.mp4",
        "content_type": "video/mp4", "staging_key": "staging/5f2c", "upload_id": "upload-1", "part_count": 2,
        "part_sizes": (5, 3), "size_bytes": 8, "final_key": "files/file-1" if sealed else None,
        "etag": '"0123456789abcdef-2"' if sealed else None, "sha256": None, "created_at": NOW,
        "expires_at": NOW + timedelta(hours=24), "sealed_at": NOW if sealed else None,
    }  # fmt: skip
    return File(kind=kind, state=state, **(values | fields))


def a_run(stage: str = "training", /, outcome: RunOutcome = RunOutcome.RUNNING, **fields: Any) -> Run:
    started = None if outcome is RunOutcome.STARTING else NOW
    ended = NOW if outcome in {RunOutcome.SUCCEEDED, RunOutcome.FAILED, RunOutcome.CANCELLED} else None
    values: dict[str, Any] = {
        "id": "run-1", "job_id": JOB_ID, "project_id": "project-1", "attempt": 1, "pool": "gpu",
        "key": "job-1/training/1", "handle": None if started is None else "handle-1", "token": "token-1",
        "version": 0, "progress": None, "message": "", "failure": None, "exit_code": None, "heartbeat_at": started,
        "created_at": NOW, "started_at": started, "ended_at": ended, "cancel_at": None,
    }  # fmt: skip
    return Run(stage=stage, outcome=outcome, **(values | fields))


def a_change(**fields: Any) -> Change:
    """The first move of a job, if nothing else is told."""
    values: dict[str, Any] = {
        "command": Command.CREATE, "actor": Actor.USER, "operator": "key-1", "source": None,
        "target": JobState.WAIT_FILE_UPLOAD, "logs": (LogType.USER_CREATE_JOB,), "version": 0, "at": NOW,
    }  # fmt: skip
    return Change(**(values | fields))


def a_move(job: Job, target: JobState, /, *, fence: str | None = None, at: datetime = NOW, **fields: Any) -> Move:
    """`job` moved to `target` by a submit; `fields` of it change as well."""
    after = job._replace(state=target, version=job.version + 1, **fields)
    change = Change(Command.SUBMIT, Actor.USER, "key-1", job.state, target, (None,), job.version + 1, at)
    return Move(job, after, (change,), fence)


def added(store: Store, state: JobState = JobState.WAIT_FILE_UPLOAD, /, **fields: Any) -> Job:
    """A new job, written."""
    job = a_job(state, **({"id": JobId(new_id(NOW))} | fields))
    with store.begin() as tx:
        tx.jobs.add(job, a_sheet(), a_change(target=state))
    return job


def log_entries(changes: Iterable[Change], job_id: JobId = JOB_ID) -> list[LogEntry]:
    """The operation log that `changes` leave: a line for each of their words."""
    lines = [(change, log_type) for change in changes for log_type in change.logs]
    return [
        LogEntry(
            id=number, job_id=job_id, version=change.version, at=change.at, actor=change.actor,
            operator=change.operator, command=change.command, source=change.source, target=change.target,
            log_type=log_type, description=change.description, error_code=change.error_code, details=change.details,
        )
        for number, (change, log_type) in enumerate(lines, start=1)
    ]  # fmt: skip


def a_comment(text: str = "The face is out of focus.", /, **fields: Any) -> Comment:
    values: dict[str, Any] = {
        "id": 1, "job_id": JOB_ID, "at": NOW, "author": "key-1", "type": CommentType.USER_COMMENT, "title": "",
    }  # fmt: skip
    return Comment(text=text, **(values | fields))


def a_caller(role: Role = Role.USER, /, **fields: Any) -> Caller:
    values: dict[str, Any] = {"project_id": "project-1", "name": f"{role}-key"}
    return Caller(role=role, **(values | fields))
