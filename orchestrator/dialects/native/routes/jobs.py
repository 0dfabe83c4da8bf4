"""Jobs: drafts, looking, commands, comments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from orchestrator.app.app import App
from orchestrator.dialects.common.wire import NoNul
from orchestrator.dialects.native import commands
from orchestrator.dialects.native import job_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.idempotency import OnceRoute, made_id_of
from orchestrator.dialects.native.schemas import Ask, CreateJob, EditJob, Say
from orchestrator.dialects.native.wire import cursor_of, id_of
from orchestrator.domain.actors import Caller
from orchestrator.domain.states import STATES, JobState, Phase
from orchestrator.domain.views import MAX_PAGE, JobQuery

router = APIRouter(tags=["jobs"], route_class=OnceRoute)

Word = Annotated[str, Field(min_length=1, max_length=256), NoNul]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


def shown(app: App, caller: Caller, job_id: str) -> views.JobDetailView:
    """The job as the caller sees it now: what every command answers with."""
    return views.JobDetailView.full(app, caller, app.jobs.show(caller, job_id))


@router.post("/jobs", status_code=201)
def create_job(app: AppDep, caller: CallerDep, asked: Request, request: CreateJob) -> views.JobDetailView:
    """A draft, that takes files next."""
    sheet = request.model_dump(exclude={"profile", "name"})
    job = app.jobs.create(caller, request.profile, request.name, sheet=sheet, job_id=made_id_of(asked))
    return shown(app, caller, job.id)


@router.get("/jobs")
def list_jobs(
    app: AppDep,
    caller: CallerDep,
    *,
    state: Annotated[list[JobState] | None, Query()] = None,
    phase: Annotated[list[Phase] | None, Query()] = None,
    profile: Word | None = None,
    name: Annotated[Word | None, Query(description="a part of the name")] = None,
    owner: Word | None = None,
    batch_name: Word | None = None,
    project_id: Annotated[Word | None, Query(description="for people; others see their own project only")] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 20,
) -> views.JobPage:
    """Jobs, the newest first."""
    states = tuple(dict.fromkeys([*(state or []), *(s for s in JobState if phase and STATES[s].phase in phase)]))
    exact = {"profile": profile, "owner": owner, "batch_name": batch_name}
    query = JobQuery(
        project_id,
        states=states,
        exact={column: value for column, value in exact.items() if value is not None},
        name_contains=name or "",
        before=id_of(cursor),
        limit=limit,
    )
    found, total = app.jobs.list(caller, query)
    following = cursor_of(found[-1].job.id) if len(found) == limit else None
    return views.JobPage(
        items=[views.JobView.of(each.job, each.sheet) for each in found], total=total, next_cursor=following
    )


@router.get("/jobs/{job_id}")
def show_job(app: AppDep, caller: CallerDep, job_id: PathId) -> views.JobDetailView:
    """A job with its log, comments, files and runs, and the commands that this caller may ask now."""
    return shown(app, caller, job_id)


@router.patch("/jobs/{job_id}")
def edit_job(app: AppDep, caller: CallerDep, job_id: PathId, request: EditJob) -> views.JobDetailView:
    """Change what is sent, and nothing else."""
    app.jobs.edit(caller, job_id, **request.model_dump(exclude_unset=True))
    return shown(app, caller, job_id)


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(app: AppDep, caller: CallerDep, job_id: PathId) -> None:
    """Take the job away with its files and its model."""
    app.jobs.delete(caller, job_id)


@router.post("/jobs/{job_id}/submit")
def submit_job(app: AppDep, caller: CallerDep, job_id: PathId) -> views.JobDetailView:
    """The material is complete: seal what is not sealed yet, then check it."""
    app.uploads.submit(caller, job_id)
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/commands/{command}")
def ask(
    app: AppDep, caller: CallerDep, job_id: PathId, command: str, request: Ask | None = None
) -> views.JobDetailView:
    """Any command by its name; `allowed_commands` of the job says which are open."""
    commands.execute(app, caller, job_id, command, request or Ask())
    return shown(app, caller, job_id)


@router.post("/jobs/{job_id}/comments", status_code=201)
def comment(app: AppDep, caller: CallerDep, job_id: PathId, request: Say) -> views.CommentId:
    """Say something to everybody who sees the job."""
    made = app.review.comment(caller, job_id, request.text, title=request.title, attachments=request.attachments)
    return views.CommentId(id=made)


@router.post("/jobs/{job_id}/model-token", status_code=201)
def issue_model_token(app: AppDep, caller: CallerDep, job_id: PathId) -> views.ModelToken:
    """A token that fetches the model file once, through the MetaStudio API's encrypted-file-download."""
    return views.ModelToken(token=app.model_files.issue(caller, job_id))


@router.get("/jobs/{job_id}/log")
def show_log(app: AppDep, caller: CallerDep, job_id: PathId) -> views.Log:
    """The operation log, oldest first."""
    return views.Log(items=[views.LogView.of(entry) for entry in app.jobs.show(caller, job_id).log])


@router.get("/jobs/{job_id}/runs")
def show_runs(app: AppDep, caller: CallerDep, job_id: PathId) -> views.Runs:
    """Every try of every stage, oldest first."""
    return views.Runs(items=[views.RunView.of(run) for run in app.jobs.show(caller, job_id).runs])


@router.get("/counts")
def count_jobs(app: AppDep, caller: CallerDep) -> views.Counts:
    """How many jobs are in each state."""
    states = app.jobs.counts(caller)
    phases = {phase: sum(n for state, n in states.items() if STATES[state].phase is phase) for phase in Phase}
    return views.Counts(states={s.value: n for s, n in states.items()}, phases={p.value: n for p, n in phases.items()})
