"""Files on their way in. The bytes go straight to the store; what passes here are names, numbers and URLs."""

from __future__ import annotations

from fastapi import APIRouter

from orchestrator.dialects.native import file_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.idempotency import OnceRoute
from orchestrator.dialects.native.schemas import OpenUpload, SignParts

router = APIRouter(tags=["files"], route_class=OnceRoute)


@router.post("/jobs/{job_id}/files", status_code=201)
def open_upload(app: AppDep, caller: CallerDep, job_id: PathId, request: OpenUpload) -> views.UploadView:
    """Addresses for the parts of a file. An earlier open upload of the same kind is given up."""
    upload = app.uploads.open(
        caller,
        job_id,
        request.kind,
        request.name,
        size_bytes=request.size_bytes,
        part_count=request.part_count,
        content_type=request.content_type,
    )
    return views.UploadView.of(upload)


@router.get("/files/{file_id}")
def show_file(app: AppDep, caller: CallerDep, file_id: PathId) -> views.FileProgressView:
    """A file and which of its parts have arrived."""
    progress = app.uploads.progress(caller, file_id)
    return views.FileProgressView.at(progress, app.uploads.download(caller, progress.file))


@router.post("/files/{file_id}/urls")
def sign_again(app: AppDep, caller: CallerDep, file_id: PathId, request: SignParts | None = None) -> views.UploadView:
    """Fresh URLs for the parts that are named, or for all that are missing."""
    numbers = request.part_numbers if request else None
    return views.UploadView.of(app.uploads.sign_again(caller, file_id, numbers))


@router.post("/files/{file_id}/complete")
def complete(app: AppDep, caller: CallerDep, file_id: PathId) -> views.FileView:
    """All parts are up: seal the file. Every URL of it is dead afterwards."""
    file = app.uploads.confirm(caller, file_id)
    return views.FileView.of(file, app.uploads.download(caller, file))


@router.delete("/files/{file_id}", status_code=204)
def give_up(app: AppDep, caller: CallerDep, file_id: PathId) -> None:
    """Abort an open upload."""
    app.uploads.give_up(caller, file_id)
