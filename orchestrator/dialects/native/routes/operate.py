"""What operators do: projects, keys, sweeps."""

from __future__ import annotations

from fastapi import APIRouter

from orchestrator.app.sweeps import SWEEPS
from orchestrator.dialects.native import views
from orchestrator.dialects.native.context import AppDep, OperatorDep, PathId
from orchestrator.dialects.native.idempotency import OnceRoute
from orchestrator.dialects.native.schemas import CreateKey, CreateProject

router = APIRouter(tags=["operators"], route_class=OnceRoute)


@router.get("/sweeps")
def list_sweeps(app: AppDep, _caller: OperatorDep) -> views.Sweeps:
    """Every sweep and when it was last done by anybody."""
    last = app.sweeper.last_runs()
    return views.Sweeps(items=[views.SweepView.of(sweep, last.get(sweep.name)) for sweep in SWEEPS])


@router.post("/sweeps/{name}")
def run_sweep(app: AppDep, _caller: OperatorDep, name: PathId, *, dry_run: bool = False) -> views.SweepReportView:
    """Run a sweep now, or say what it would do."""
    return views.SweepReportView.of(app.sweeper.run(name, dry_run=dry_run, force=True))


@router.post("/projects", status_code=201)
def create_project(app: AppDep, _caller: OperatorDep, request: CreateProject) -> views.ProjectView:
    """A project (a tenant). Asked for one that is there, it changes nothing."""
    created = app.keys.add_project(request.id, request.name, request.attributes)
    return views.ProjectView(id=request.id, created=created)


@router.post("/keys", status_code=201)
def create_key(app: AppDep, _caller: OperatorDep, request: CreateKey) -> views.KeyView:
    """A key of a project; its secrets are shown this once."""
    return views.KeyView.of(app.keys.create(request.project_id, request.role, request.name))


@router.delete("/keys/{key_id}", status_code=204)
def disable_key(app: AppDep, _caller: OperatorDep, key_id: PathId) -> None:
    """Refuse a key from now on."""
    app.keys.disable(key_id)
