"""What finished jobs left behind."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from orchestrator.dialects.native import asset_views as views
from orchestrator.dialects.native.context import AppDep, CallerDep, PathId
from orchestrator.dialects.native.wire import cursor_of, id_of
from orchestrator.domain.views import MAX_PAGE

router = APIRouter(tags=["assets"])


@router.get("/assets")
def list_assets(
    app: AppDep,
    caller: CallerDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
) -> views.AssetPage:
    """Assets, the newest first."""
    found = app.assets.list(caller, id_of(cursor), limit)
    following = cursor_of(found[-1].id) if len(found) == limit else None
    return views.AssetPage(items=[views.AssetView.of(asset) for asset in found], next_cursor=following)


@router.get("/assets/{asset_id}")
def show_asset(app: AppDep, caller: CallerDep, asset_id: PathId) -> views.AssetView:
    """An asset and its files, each with a URL that downloads it."""
    asset, files = app.assets.get(caller, asset_id)
    return views.AssetView.of(asset, [views.AssetFileView.of(app, file) for file in files])
