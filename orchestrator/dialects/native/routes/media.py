"""The media library: registered where they lie in the store, or uploaded; used by jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from orchestrator.dialects.native import media_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.file_views import UploadView
from orchestrator.dialects.native.idempotency import OnceRoute, made_id_of
from orchestrator.dialects.native.schemas import RegisterMedia, UploadMedia
from orchestrator.dialects.native.wire import cursor_of, id_of
from orchestrator.domain.media_items import MediaQuery, MediaStatus, MediaType, type_of
from orchestrator.domain.views import MAX_PAGE

router = APIRouter(tags=["media"], route_class=OnceRoute)


@router.get("/media")
def list_media(
    app: AppDep,
    caller: CallerDep,
    *,
    type: Annotated[list[MediaType] | None, Query()] = None,  # noqa: A002  its name on the wire
    status: Annotated[list[MediaStatus] | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
) -> views.MediaPage:
    """Media, the newest first."""
    query = MediaQuery(None, types=type or (), statuses=status or (), after=id_of(cursor), limit=limit)
    page = app.media.page(caller, query)
    following = cursor_of(page.items[-1].media.id) if page.has_more else None
    return views.MediaPage(items=[views.MediaView.of(shown) for shown in page.items], next_cursor=following)


@router.post("/media", status_code=201)
def register_media(app: AppDep, caller: CallerDep, asked: Request, request: RegisterMedia) -> views.MediaView:
    """Register an object below the project's inbox in the store. A worker copies it and looks at it."""
    item = app.media.register(
        caller, request.url, kind=request.type, title=request.title, reference_id=request.reference_id,
        overwrite=request.overwrite, media_id=made_id_of(asked),
    )  # fmt: skip
    return views.MediaView.of(app.media.show(caller, item.id))


@router.post("/media/uploads", status_code=201)
def upload_media(app: AppDep, caller: CallerDep, asked: Request, request: UploadMedia) -> views.MediaUploadView:
    """Addresses for a file that becomes media. Say that it is up with `POST /files/{file_id}/complete`."""
    item, upload = app.media.upload(
        caller, request.name, request.type or type_of(request.name) or MediaType.OTHER, size_bytes=request.size_bytes,
        part_count=request.part_count, title=request.title, reference_id=request.reference_id,
        media_id=made_id_of(asked),
    )  # fmt: skip
    return views.MediaUploadView(
        media=views.MediaView.of(app.media.show(caller, item.id)), upload=UploadView.of(upload)
    )


@router.get("/media/{media_id}")
def show_media(app: AppDep, caller: CallerDep, media_id: PathId) -> views.MediaView:
    """An item, what was measured of it, and a URL that downloads it."""
    shown = app.media.show(caller, media_id)
    return views.MediaView.of(shown, app.media.download(shown))


@router.delete("/media/{media_id}", status_code=204)
def delete_media(
    app: AppDep, caller: CallerDep, media_id: PathId, *, with_source: Annotated[bool, Query()] = False
) -> None:
    """Take an item away, if no job waits or trains with it; `with_source`: the object in the inbox too."""
    app.media.delete(caller, media_id, with_source=with_source)
