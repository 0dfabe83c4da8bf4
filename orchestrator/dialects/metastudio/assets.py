"""Handlers of assets: each translates, asks a use case, translates back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from orchestrator.app.app import App
from orchestrator.app.library import Planned, Share
from orchestrator.dialects.common.wire import instant
from orchestrator.dialects.metastudio import asset_views, errors
from orchestrator.dialects.metastudio.asset_schemas import (
    BatchAction,
    CreateAsset,
    DeleteAsset,
    SharedConfig,
    Summarize,
    SystemProperty,
    UpdateAsset,
)
from orchestrator.dialects.metastudio.operation import Asked
from orchestrator.domain.assets import AssetCommand, AssetQuery
from orchestrator.domain.errors import UnderstudyError

_EVERYBODY: Final = "*"
_STATE_COMMANDS: Final = {"ACTIVED": AssetCommand.ACTIVATE, "UNACTIVED": AssetCommand.DEACTIVATE}
_BATCH: Final = {
    "DELETE": AssetCommand.RECYCLE, "DELETE_FORCE": AssetCommand.ERASE, "RESTORE": AssetCommand.RESTORE,
    "UNACTIVE": AssetCommand.DEACTIVATE, "ACTIVE": AssetCommand.ACTIVATE,
}  # fmt: skip
# Others are the platform's own; everybody may say what a picture or a video is for.
_OWN_PROPERTIES: Final = frozenset({"MATERIAL_IMG", "MATERIAL_VIDEO", "BACKGROUND_IMG"})
_KEPT: Final = (
    "supported_service", "auto_operation_config", "shared_config", "review_config", "is_need_generate_cover",
)  # fmt: skip


def create_asset(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CreateAsset)
    attributes = _attributes(request) | _extra_meta(request.asset_type, request)
    attributes |= _properties({}, request.system_properties or (), by_people=asked.visitor.sees_all_projects)
    asset = app.library.create(
        asked.caller, request.asset_type, request.asset_name, description=request.asset_description or "",
        tags=request.tags or (), order=request.asset_order or 0, attributes=attributes,
        share=_share(asked, request.shared_config), planned=_planned(request) or (),
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
    changed = _attributes(request)
    seen, _ = app.library.show(asked.caller, asked.path["asset_id"])
    changed |= _extra_meta(request.asset_type or seen.type, request)

    def attributes(former: Mapping[str, object]) -> Mapping[str, object]:
        if request.system_properties is None:
            return {**former, **changed}
        by_people = asked.visitor.sees_all_projects
        return {**former, **changed, **_properties(former, request.system_properties, by_people=by_people)}

    asset = app.library.update(
        asked.caller, asked.path["asset_id"], state=_STATE_COMMANDS.get(request.asset_state or ""),
        share=_share(asked, request.shared_config), attributes=attributes, planned=_planned(request), **values,
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
    found, _ = app.library.find(AssetQuery(asked.caller.project_id, ids=request.asset_ids, limit=100))
    by_id = {asset.id: (asset, files) for asset, files in found}
    wanted = [by_id[each] for each in dict.fromkeys(request.asset_ids) if each in by_id]
    return {"asset_list": [asset_views.summary(app, asset, files) for asset, files in wanted]}


def batch_action(app: App, asked: Asked) -> Mapping[str, object]:
    """One group of ids per outcome; what one asset refuses does not stop the others."""
    request = asked.read(BatchAction)
    shared = _shared_by_action(asked, request)
    groups: dict[tuple[str, str], list[str]] = {}
    done: list[str] = []
    for asset_id in dict.fromkeys(request.asset_ids):
        try:
            if shared is not None:
                kept: dict[str, object] = {"shared_config": shared.model_dump(exclude_none=True)}
                app.library.share(asked.caller, asset_id, _share(asked, shared) or Share(), kept)
            else:
                app.library.move(asked.caller, asset_id, _BATCH[request.action])
        except UnderstudyError as exc:
            fault = errors.fault_of(exc, asked.words)
            told = errors.ASSET_MISSING[1] if fault.code == errors.ASSET_MISSING[0] else fault.message
            groups.setdefault((fault.code, told), []).append(asset_id)
        else:
            done.append(asset_id)
    results: list[object] = [{"ret_status": "SUCCESS", "asset_ids": done}] if done else []
    results += [
        {"ret_status": "FAILED", "asset_ids": ids, "error_info": {"error_code": code, "error_msg": message}}
        for (code, message), ids in groups.items()
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
        raise errors.invalid_body(exc, asked.words) from exc


def _share(asked: Asked, told: SharedConfig | None) -> Share | None:
    """Who may use the asset. Only people may share with everybody."""
    if told is None:
        return None
    expires_at: datetime | None = instant(told.expire_time) if told.expire_time else None
    if told.shared_type == "PUBLIC":
        if not asked.visitor.sees_all_projects:
            code, text = asked.words.body
            raise errors.Fault(400, code, f"{text}: shared_type: only assets of the system are PUBLIC")
        return Share([_EVERYBODY], expires_at)
    if told.shared_type == "PRIVATE":
        return Share()
    return Share([each for each in told.allowed_project_ids or () if each != _EVERYBODY], expires_at)


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


def _properties(
    former: Mapping[str, object], changes: Sequence[SystemProperty], *, by_people: bool
) -> dict[str, object]:
    """System properties after additions and deletions, as shown and as searched for."""
    listed = former.get("system_properties")
    held = {str(each["key"]): str(each["value"]) for each in listed} if isinstance(listed, list) else {}
    for change in changes:
        if change.key is None or not (by_people or change.key in _OWN_PROPERTIES):
            continue  # the platform's own: taken and ignored, as documented
        if change.action == "DELETE":
            held.pop(change.key, None)
        else:
            held[change.key] = change.value or "Yes"
    return {
        "system_properties": [{"key": key, "value": value} for key, value in held.items()],
        "property_words": [f"{key}:{value}" for key, value in held.items()],
    }
