"""What operators do: projects, keys, sweeps; and who did it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.app.audit import MAX_PAGE
from orchestrator.app.sweeps import SWEEPS
from orchestrator.dialects.native import operate_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.idempotency import OnceRoute
from orchestrator.dialects.native.schemas import CreateKey, CreateProject, ReplaceKey

router = APIRouter(tags=["operators"], route_class=OnceRoute)


@router.get("/sweeps")
def list_sweeps(app: AppDep, caller: CallerDep) -> views.Sweeps:
    """Every sweep and when it was last done by anybody."""
    last = app.sweeper.last_runs(by=caller)
    return views.Sweeps(items=[views.SweepView.of(sweep, last.get(sweep.name)) for sweep in SWEEPS])


@router.post("/sweeps/{name}")
def run_sweep(app: AppDep, caller: CallerDep, name: PathId, *, dry_run: bool = False) -> views.SweepReportView:
    """Run a sweep now, or say what it would do."""
    return views.SweepReportView.of(app.sweeper.run(name, dry_run=dry_run, force=True, by=caller))


@router.post("/projects", status_code=201)
def create_project(app: AppDep, caller: CallerDep, request: CreateProject) -> views.ProjectView:
    """A project (a tenant). Asked for one that is there, it changes nothing."""
    created = app.keys.add_project(request.id, request.name, request.attributes, by=caller)
    return views.ProjectView(id=request.id, created=created)


@router.post("/keys", status_code=201)
def create_key(app: AppDep, caller: CallerDep, request: CreateKey) -> views.KeyView:
    """A key of a project; its secrets are shown this once."""
    lifetime = None if request.lifetime_s is None else timedelta(seconds=request.lifetime_s)
    made = app.keys.create(request.project_id, request.role, request.name, lifetime=lifetime, by=caller)
    return views.KeyView.of(made)


@router.get("/keys")
def list_keys(app: AppDep, caller: CallerDep) -> views.Keys:
    """Every key without its secrets, disabled ones too."""
    return views.Keys(items=[views.KeyRowView.of(key) for key in app.keys.all(by=caller)])


@router.post("/keys/{key_id}/replace", status_code=201)
def replace_key(app: AppDep, caller: CallerDep, key_id: PathId, request: ReplaceKey | None = None) -> views.KeyView:
    """A key with fresh secrets in the place of this one, which is let in for as long as the overlap says."""
    overlap = timedelta(seconds=request.overlap_s if request else 0)
    return views.KeyView.of(app.keys.replace(key_id, overlap, by=caller))


@router.delete("/keys/{key_id}", status_code=204)
def disable_key(app: AppDep, caller: CallerDep, key_id: PathId) -> None:
    """Refuse a key from now on."""
    app.keys.disable(key_id, by=caller)


@router.get("/audit")
def show_audit(
    app: AppDep,
    caller: CallerDep,
    before: Annotated[int | None, Query(ge=1, le=(1 << 63) - 1, description="the id of the last line seen")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> views.Audit:
    """Who did what to projects, keys and secrets, the newest first."""
    return views.Audit(items=[views.AuditView.of(entry) for entry in app.audit.list(before, limit, by=caller)])
