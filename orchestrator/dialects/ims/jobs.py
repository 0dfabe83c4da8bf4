"""Handlers of training jobs: each translates, asks a use case, translates back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.app.app import App
from orchestrator.dialects.ims import views
from orchestrator.dialects.ims.job_schemas import CreateJob, JobOnly, ListJobs, UpdateJob
from orchestrator.dialects.ims.operation import wrapped
from orchestrator.dialects.ims.words import PHASES_BY_NAME
from orchestrator.domain.actors import Caller
from orchestrator.domain.media_items import NAMED_BY
from orchestrator.domain.views import JobQuery

PROFILE: Final = "ims"
_KEPT: Final = ("portrait", "video", "thumbnail", "transparent")


def create_job(app: App, caller: Caller, request: CreateJob) -> Mapping[str, object]:
    sent = request.model_dump(exclude_none=True)
    attributes = {name: sent[name] for name in (*_KEPT, "avatar_type") if sent.get(name) not in {None, ""}}
    sheet = {"description": request.avatar_description, "attributes": attributes}
    job = app.jobs.create(caller, PROFILE, request.avatar_name, sheet=sheet)
    return wrapped(JobId=job.id)


def update_job(app: App, caller: Caller, request: UpdateJob) -> Mapping[str, object]:
    sent = request.model_dump(exclude_none=True)
    app.jobs.change(
        caller, request.job_id, name=request.avatar_name, description=request.avatar_description,
        attributes={name: sent[name] for name in _KEPT if name in sent},
    )  # fmt: skip
    return wrapped(JobId=request.job_id)


def submit_job(app: App, caller: Caller, request: JobOnly) -> Mapping[str, object]:
    app.intake.submit(caller, request.job_id, confirmed_first=(), there_first=NAMED_BY)
    return wrapped(JobId=request.job_id)


def delete_job(app: App, caller: Caller, request: JobOnly) -> Mapping[str, object]:
    app.jobs.delete(caller, request.job_id)
    return wrapped(JobId=request.job_id)


def get_job(app: App, caller: Caller, request: JobOnly) -> Mapping[str, object]:
    shown = app.jobs.show(caller, request.job_id)
    return wrapped(AvatarTrainingJob=views.job(shown.job, shown.sheet))


def list_jobs(app: App, caller: Caller, request: ListJobs) -> Mapping[str, object]:
    query = JobQuery(
        caller.project_id, phase=PHASES_BY_NAME[request.status] if request.status else None,
        offset=request.offset, limit=request.page_size,
    )  # fmt: skip
    found, count = app.jobs.list(caller, query)
    return wrapped(TotalCount=count, AvatarTrainingJobList=[views.job_line(each.job, each.sheet) for each in found])
