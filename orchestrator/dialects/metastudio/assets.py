"""Handlers of assets: each translates, asks a use case, translates back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from orchestrator.app.app import App
from orchestrator.app.library import Planned, Share
from orchestrator.dialects.common.faults import Fault
from orchestrator.dialects.common.wire import instant
from orchestrator.dialects.metastudio import asset_views, errors
from orchestrator.dialects.metastudio.asset_schemas import (
    BatchAction,
    CreateAsset,
    DeleteAsset,
    SharedConfig,
    Summarize,
    UpdateAsset,
)
from orchestrator.dialects.metastudio.operation import Asked
from orchestrator.domain.assets import AssetCommand, AssetNotFound, AssetQuery, PropertyChange
from orchestrator.domain.errors import UnderstudyError

_STATE_COMMANDS: Final = {"ACTIVED": AssetCommand.ACTIVATE, "UNACTIVED": AssetCommand.DEACTIVATE}
_BATCH: Final = {
    "DELETE": AssetCommand.RECYCLE, "DELETE_FORCE": AssetCommand.ERASE, "RESTORE": AssetCommand.RESTORE,
    "UNACTIVE": AssetCommand.DEACTIVATE, "ACTIVE": AssetCommand.ACTIVATE,
}  # fmt: skip
_KEPT: Final = (
    "supported_service", "auto_operation_config", "shared_config", "review_config", "is_need_generate_cover",
)  # fmt: skip


def create_asset(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CreateAsset)
    attributes = _attributes(request) | _extra_meta(request.asset_type, request)
    asset = app.library.create(
        asked.caller, request.asset_type, request.asset_name, description=request.asset_description or "",
        tags=request.tags or (), order=request.asset_order or 0, attributes=attributes,
        share=_share(request.shared_config), planned=_planned(request) or (), properties=_properties(request),
    )  # fmt: skip
    return {"asset_id": asset.id}


def show_asset(app: App, asked: Asked) -> Mapping[str, object]:
    asset, files = app.library.show(asked.caller, asked.path["asset_id"])
    return asset_views.info(app, asset, files)


def update_asset(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(UpdateAsset)
    fields = {"name": request.asset_name, "description": request.asset_description, "type": request.asset_type,
              "tags": request.tags, "asset_order": request.asset_order}  # fmt: skip
    values: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
    asset = app.library.update(
        asked.caller, asked.path["asset_id"], state=_STATE_COMMANDS.get(request.asset_state or ""),
        share=_share(request.shared_config), planned=_planned(request), properties=_properties(request),
        attributes=lambda seen: _attributes(request) | _extra_meta(request.asset_type or seen.type, request), **values,
    )  # fmt: skip
    _, files = app.library.show(asked.caller, asset.id)
    return asset_views.info(app, asset, files)


def delete_asset(app: App, asked: Asked) -> None:
    forced = asked.parameters(DeleteAsset).mode == "force"
    app.library.move(asked.caller, asked.path["asset_id"], AssetCommand.ERASE if forced else AssetCommand.RECYCLE)


def restore_asset(app: App, asked: Asked) -> None:
    app.library.move(asked.caller, asked.path["asset_id"], AssetCommand.RESTORE)


def summarize(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(Summarize)
    if not request.asset_ids:
        return {"asset_list": []}
    found, _ = app.library.find(asked.caller, AssetQuery(asked.caller.project_id, ids=request.asset_ids, limit=100))
    by_id = {asset.id: (asset, files) for asset, files in found}
    wanted = [by_id[each] for each in dict.fromkeys(request.asset_ids) if each in by_id]
    return {"asset_list": [asset_views.summary(app, asset, files) for asset, files in wanted]}


def batch_action(app: App, asked: Asked) -> Mapping[str, object]:
    """One group of ids per outcome; what one asset refuses does not stop the others."""
    request = asked.read(BatchAction)
    shared = _shared_by_action(asked, request)
    refused: dict[tuple[str, str], list[str]] = {}
    done: list[str] = []
    for asset_id in dict.fromkeys(request.asset_ids):
        try:
            if shared is not None:
                kept: dict[str, object] = {"shared_config": shared.model_dump(exclude_none=True)}
                app.library.share(asked.caller, asset_id, _share(shared) or Share(), kept)
            else:
                app.library.move(asked.caller, asset_id, _BATCH[request.action])
        except AssetNotFound:  # without the id, so that all of them are one group
            refused.setdefault((errors.ASSET_MISSING.code, errors.ASSET_MISSING.text), []).append(asset_id)
        except UnderstudyError as exc:
            fault = errors.fault_of(exc, asked.group)
            refused.setdefault((fault.code, fault.message), []).append(asset_id)
        else:
            done.append(asset_id)
    results: list[object] = [{"ret_status": "SUCCESS", "asset_ids": done}] if done else []
    results += [
        {"ret_status": "FAILED", "asset_ids": ids, "error_info": errors.body(Fault(400, code, message))}
        for (code, message), ids in refused.items()
    ]
    return {"results": results}


def _shared_by_action(asked: Asked, request: BatchAction) -> SharedConfig | None:
    if request.action == "UNSHARE":
        return SharedConfig(shared_type="PRIVATE")
    if request.action != "SHARE":
        return None
    try:
        return SharedConfig.model_validate_json(request.params or "{}")
    except ValidationError as exc:
        raise errors.invalid_body(exc, asked.group) from exc


def _share(told: SharedConfig | None) -> Share | None:
    """Who may use the asset."""
    if told is None:
        return None
    if told.shared_type == "PRIVATE":
        return Share()
    expires_at: datetime | None = instant(told.expire_time) if told.expire_time else None
    if told.shared_type == "PUBLIC":
        return Share((), expires_at, with_everybody=True)
    return Share(told.allowed_project_ids or (), expires_at)


def _attributes(request: CreateAsset | UpdateAsset) -> dict[str, object]:
    return request.model_dump(exclude_none=True, include=set(_KEPT))


def _planned(request: CreateAsset | UpdateAsset) -> list[Planned] | None:
    told = request.auto_operation_config
    return None if told is None else [(each.operation, instant(each.operation_time)) for each in told]


def _extra_meta(kind: str, request: CreateAsset | UpdateAsset) -> dict[str, object]:
    """The structure that the type has; others are not read."""
    name = asset_views.META_OF.get(kind)
    if request.asset_extra_meta is None or name is None:
        return {}
    told = request.asset_extra_meta.model_dump(exclude_none=True).get(name)
    return {} if told is None else {"asset_extra_meta": {name: told}}


def _properties(request: CreateAsset | UpdateAsset) -> list[PropertyChange]:
    return [
        PropertyChange(each.key, None if each.action == "DELETE" else each.value or "Yes")
        for each in request.system_properties or ()
        if each.key is not None
    ]
