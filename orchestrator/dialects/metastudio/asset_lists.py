"""The list of assets: every filter of the vendor as a question to the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, get_args

from orchestrator.app.app import App
from orchestrator.dialects.common.wire import instant, last_instant, split
from orchestrator.dialects.metastudio import asset_views
from orchestrator.dialects.metastudio.asset_schemas import AssetType, ListAssets
from orchestrator.dialects.metastudio.operation import Asked
from orchestrator.domain.assets import AssetQuery, AssetState

_SORTS: Final = {"create_time": "created_at", "update_time": "updated_at", "asset_order": "asset_order"}
_SOURCES: Final = {"SYSTEM": "system", "CUSTOMIZATION": "own", "ALL": "all"}
_VOICE: Final = ("asset_extra_meta", "voice_model_meta")
_HUMAN: Final = ("asset_extra_meta", "human_model_2d_meta")
_DEVICES: Final = (*_HUMAN, "device_names")
_SERVICES: Final = ("supported_service",)
_STATES: Final = {state.value.upper(): state for state in AssetState}
_TEXTS: Final = {"sex": (*_VOICE, "sex"), "language": (*_VOICE, "language"),
                 "human_model_2d_version": (*_HUMAN, "model_version")}  # fmt: skip
_FLAGS: Final = {
    "action_editable": (*_HUMAN, "is_action_editable"), "is_with_action_library": (*_HUMAN, "is_with_action_library"),
    "is_movable": (*_HUMAN, "is_movable"), "is_realtime_voice": (*_VOICE, "is_realtime_voice"),
}  # fmt: skip
_OWN_VOICES: Final = "HUAWEI_METASTUDIO"


def list_assets(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.parameters(ListAssets)
    states = asked.words("asset_state", request.asset_state, _STATES)
    types = asked.words("asset_type", request.asset_type, get_args(AssetType))
    query = AssetQuery(
        asked.caller.project_id, source=_SOURCES[request.asset_source], role=(request.role or "").lower(),
        ids=request.asset_id, types=types, states=[_STATES[word] for word in states],
        name=request.name, tags=split(request.tag), all_tags=request.tag_combination_type == "INTERSECTION",
        exact=frozenset(request.accurate_query_field), app_user_id=request.app_user_id,
        since=instant(request.start_time) if request.start_time else None,
        until=last_instant(request.end_time) if request.end_time else None,
        meta=_meta(request), listing=_listing(request), properties=_properties(asked, request),
        sort=_SORTS[request.sort_key], descending=request.sort_dir == "desc", offset=request.offset,
        limit=request.limit,
    )  # fmt: skip
    found, count = app.library.find(asked.caller, query)
    return {"count": count, "assets": [asset_views.info(app, asset, files) for asset, files in found]}


def _meta(request: ListAssets) -> Sequence[tuple[tuple[str, ...], Sequence[str] | bool]]:
    wanted: list[tuple[tuple[str, ...], Sequence[str] | bool]] = []
    for name, path in _TEXTS.items():
        if values := split(getattr(request, name)):
            wanted.append((path, values))
    for name, path in _FLAGS.items():
        if (flag := getattr(request, name)) is not None:
            wanted.append((path, flag))
    if request.voice_provider and request.voice_provider != _OWN_VOICES:
        wanted.append(((*_VOICE, "external_voice_meta", "provider"), split(request.voice_provider)))
    return wanted


def _listing(request: ListAssets) -> Sequence[tuple[tuple[str, ...], str, bool]]:
    wanted: list[tuple[tuple[str, ...], str, bool]] = []
    if request.include_device_name:
        wanted.append((_DEVICES, request.include_device_name, True))
    if request.exclude_device_name:
        wanted.append((_DEVICES, request.exclude_device_name, False))
    if request.supported_service is not None:
        wanted.append((_SERVICES, request.supported_service, True))
    return wanted


def _properties(asked: Asked, request: ListAssets) -> Sequence[tuple[str, str]]:
    pairs = [each.partition(":") for each in split(request.system_property)]
    if any(not key or not colon for key, colon, _ in pairs):
        raise asked.bad_query("system_property: pairs have the form KEY:Value")
    styles = [("STYLE_ID", request.style_id)] if request.style_id else []
    return [*((key, value) for key, _, value in pairs), *styles]
