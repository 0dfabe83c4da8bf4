"""Avatars: the published models of finished jobs, which MetaStudio calls assets of type HUMAN_MODEL_2D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from orchestrator.app.app import App
from orchestrator.app.publish import MODEL_TYPE
from orchestrator.app.thumbnails import written_to
from orchestrator.dialects.ims.avatar_schemas import GetAvatar, ListAvatars
from orchestrator.dialects.ims.operation import wrapped
from orchestrator.dialects.ims.words import AVATAR_TYPE
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import Asset, AssetFile, AssetNotFound, AssetQuery, AssetState

_SHOWN: Final = AssetState.ACTIVED


def get_avatar(app: App, caller: Caller, request: GetAvatar) -> Mapping[str, object]:
    asset, files = app.library.show(caller, request.avatar_id)
    if asset.type != MODEL_TYPE or asset.state is not _SHOWN:
        raise AssetNotFound(f"there is no avatar {asset.id}", asset_id=asset.id)
    size = app.library.frame_size(asset)
    measured = {} if size is None else {"Width": size[0], "Height": size[1]}
    return wrapped(Avatar=_avatar(app, asset, files) | measured)


def list_avatars(app: App, caller: Caller, request: ListAvatars) -> Mapping[str, object]:
    query = AssetQuery(
        caller.project_id, types=[MODEL_TYPE], states=[_SHOWN], descending=True,
        offset=request.offset, limit=request.page_size,
    )  # fmt: skip
    found, count = app.library.find(caller, query)
    return wrapped(TotalCount=count, AvatarList=[_avatar(app, asset, files) for asset, files in found])


def _avatar(app: App, asset: Asset, files: Sequence[AssetFile]) -> dict[str, object]:
    told = asset.attributes
    portrait = told.get("portrait")
    return {
        "AvatarId": asset.id,
        "AvatarName": asset.name,
        "AvatarDescription": asset.description,
        "AvatarType": AVATAR_TYPE,
        "Portrait": portrait if isinstance(portrait, str) else "",
        "Thumbnail": written_to(asset) or app.library.cover(asset, files) or "",
        "Transparent": told.get("transparent") is True,
    }
