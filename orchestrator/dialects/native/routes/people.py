"""What reviewers and admins do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.dialects.native import job_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.idempotency import OnceRoute
from orchestrator.dialects.native.routes.jobs import shown
from orchestrator.dialects.native.schemas import (
    Approve,
    Because,
    Retrain,
    SetPriority,
    SetRetryCount,
    SetValue,
    Stop,
)
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Invalid
from orchestrator.domain.transitions import SETTINGS
from orchestrator.domain.views import MAX_PAGE

router = APIRouter(tags=["people"], route_class=OnceRoute)


@router.get("/reviews/next")
def next_reviews(app: AppDep, caller: CallerDep, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1) -> views.Jobs:
    """Jobs that wait for a reviewer, the oldest first."""
    return views.Jobs(items=[views.JobView.of(each.job, each.sheet) for each in app.review.next(caller, limit)])


@router.post("/jobs/{job_id}/approve")
def approve(app: AppDep, caller: CallerDep, job_id: PathId, request: Approve | None = None) -> views.JobDetailView:
    """Let the job go on to training."""
    app.review.approve(caller, job_id, request.comment if request else "")
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/reject")
def reject(app: AppDep, caller: CallerDep, job_id: PathId, request: Because) -> views.JobDetailView:
    """Give the job back to its owner, with at least one reason."""
    app.review.reject(caller, job_id, request.reasons)
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/stop")
def stop(app: AppDep, caller: CallerDep, job_id: PathId, request: Stop | None = None) -> views.JobDetailView:
    """Stop the stage at work or waited for."""
    app.jobs.stop(caller, job_id, request.reason if request else "")
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/retrain")
def retrain(app: AppDep, caller: CallerDep, job_id: PathId, request: Retrain) -> views.JobDetailView:
    """Run a stage and what follows it again."""
    app.jobs.retrain(caller, job_id, request.stage, request.reasons)
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/reset")
def reset(app: AppDep, caller: CallerDep, job_id: PathId, request: Because | None = None) -> views.JobDetailView:
    """Begin the machine work of an approved job anew."""
    app.jobs.reset(caller, job_id, request.reasons if request else ())
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/priority")
def set_priority(app: AppDep, caller: CallerDep, job_id: PathId, request: SetPriority) -> views.JobDetailView:
    """-100 to 100; a higher one is trained earlier."""
    app.jobs.set_priority(caller, job_id, request.priority)
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/retry-count")
def set_retry_count(app: AppDep, caller: CallerDep, job_id: PathId, request: SetRetryCount) -> views.JobDetailView:
    """How many retries the job has left, 0 to 10."""
    app.jobs.set_retry_count(caller, job_id, request.retry_count)
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/settings/{name}")
def configure(app: AppDep, caller: CallerDep, job_id: PathId, name: str, request: SetValue) -> views.JobDetailView:
    """Set one of the settings that reach the trainer, such as `beauty_level`."""
    found = {command.removeprefix("set_"): command for command in SETTINGS}
    command: Command | None = found.get(name.removeprefix("set_"))
    if command is None:
        raise Invalid(f"{name!r} is no setting; there are {sorted(found)}", field="name")
    app.jobs.configure(caller, job_id, command, request.value)
    return shown(app, caller, job_id)


@router.get("/runs/{run_id}")
def show_run(app: AppDep, caller: CallerDep, run_id: PathId) -> views.RunView:
    """One try of a stage."""
    return views.RunView.of(app.run_logs.show(caller, run_id))


@router.get("/runs/{run_id}/log")
def show_run_log(
    app: AppDep, caller: CallerDep, run_id: PathId, offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0
) -> views.RunLog:
    """What the trainer wrote. For admins: it may tell of the machine it runs on."""
    text, following = app.run_logs.read(caller, run_id, offset)
    return views.RunLog(text=text, next_offset=following)
