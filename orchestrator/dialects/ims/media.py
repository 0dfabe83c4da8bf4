"""Handlers of media: each translates, asks a use case, translates back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.app.app import App
from orchestrator.dialects.common.wire import split
from orchestrator.dialects.ims import errors, media_views
from orchestrator.dialects.ims.media_schemas import (
    BUSINESS_OF,
    MAX_TAGS,
    BatchGet,
    CreateUpload,
    Delete,
    Get,
    ListMedia,
    MediaOnly,
    Register,
    Update,
)
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import Forbidden
from orchestrator.domain.media_items import MediaInUse, MediaNotFound, MediaQuery, MediaType, type_of

_OF_TEXT: Final = ("subtitles", "font")  # registered text has to be one of them
_ELSEWHERE: Final = frozenset({"vod", "live"})  # products that are not here: nothing comes from them
_KEPT: Final = {"description": "description", "cover_url": "cover_url", "category": "category",
                "cate_id": "cate_id", "user_data": "user_data", "media_tags": "tags"}  # fmt: skip


def register(app: App, caller: Caller, request: Register) -> Mapping[str, object]:
    kind = MediaType(request.media_type) if request.media_type else type_of(request.input_url)
    if kind is MediaType.TEXT and request.business_type not in _OF_TEXT:
        raise errors.invalid("BusinessType", f"media of type text are one of {', '.join(_OF_TEXT)}")
    item = app.media.register(
        caller, request.input_url, kind=kind, reference_id=request.reference_id,
        title=request.title, untitled=f"{app.context.clock():%Y%m%d-%H%M%S}",
        business_type=request.business_type or "general",
        attributes=_attributes(request.model_dump(exclude_none=True)), overwrite=request.overwrite,
        once=request.client_token,
    )  # fmt: skip
    return {"MediaId": item.id}


def get(app: App, caller: Caller, request: Get) -> Mapping[str, object]:
    shown = app.media.show(caller, _id_of(app, caller, request))
    return {"MediaInfo": media_views.media_info(app, shown, request.auth_timeout)}


def batch_get(app: App, caller: Caller, request: BatchGet) -> Mapping[str, object]:
    wanted = list(dict.fromkeys(split(request.media_ids)))
    found = app.media.show_many(caller, wanted)
    with_file = "FileInfo" in split(request.addition_type)
    items = [media_views.media_line(app, shown, request.auth_timeout, with_file=with_file) for shown in found]
    known = {shown.media.id for shown in found}
    return {"MediaInfos": items, "IgnoredList": [each for each in wanted if each not in known]}


def create_upload(app: App, caller: Caller, request: CreateUpload) -> Mapping[str, object]:
    file, told = request.file_info, request.media_meta_data
    if told.business_type not in (allowed := BUSINESS_OF[file.type]):
        raise errors.invalid("MediaMetaData.BusinessType", f"a file of type {file.type} has {' or '.join(allowed)}")
    item, upload = app.media.upload(
        caller, f"{file.name}.{file.ext.removeprefix('.')}", MediaType(file.type), size_bytes=file.size,
        title=told.title, business_type=told.business_type,
        attributes=_attributes({"media_tags": told.tags, "user_data": request.user_data,
                                **told.model_dump(exclude_none=True)}),
    )  # fmt: skip
    return {"MediaId": item.id, "MediaURL": item.input_url, "FileURL": upload.urls[1],
            **media_views.upload_told(app, upload)}  # fmt: skip


def refresh_upload(app: App, caller: Caller, request: MediaOnly) -> Mapping[str, object]:
    item, upload = app.media.refresh(caller, request.media_id)
    return {"MediaId": item.id, **media_views.upload_told(app, upload)}


def update(app: App, caller: Caller, request: Update) -> Mapping[str, object]:
    sent = request.model_dump(exclude_none=True)
    changed = _attributes(sent, keep_empty=True)

    def attributes(former: Mapping[str, object]) -> Mapping[str, object]:
        if request.append_tags and "tags" in changed:
            tags = list(dict.fromkeys([*split(str(former.get("tags", ""))), *split(str(changed["tags"]))]))
            if len(tags) > MAX_TAGS:
                raise errors.invalid("MediaTags", f"there would be {len(tags)} tags, {MAX_TAGS} are allowed")
            return {**former, **changed, "tags": ",".join(tags)}
        return {**former, **changed}

    values = {name: sent[name] for name in ("title", "business_type") if name in sent}
    item = app.media.update(
        caller, _id_of(app, caller, request), reference_id=request.reference_id, attributes=attributes, **values
    )
    return {"MediaId": item.id}


def delete(app: App, caller: Caller, request: Delete) -> Mapping[str, object]:
    """What one of them refuses does not stop the others."""
    listed = request.media_ids or request.input_urls
    if listed is None:
        raise errors.missing("MediaIds")
    ignored, forbidden = [], []
    for named in dict.fromkeys(split(listed)):
        try:
            media_id = named if request.media_ids else app.media.at(caller, named).id
            app.media.delete(caller, media_id, with_source=request.delete_physical_files)
        except MediaNotFound:
            ignored.append(named)
        except (MediaInUse, Forbidden):
            forbidden.append(named)
    return {"IgnoredList": ignored, "ForbiddenList": forbidden}


def list_media(app: App, caller: Caller, request: ListMedia) -> Mapping[str, object]:
    told = {"MaxResults": request.max_results}
    if request.source in _ELSEWHERE:
        return {"MediaInfos": [], "TotalCount": 0, **told}
    query = MediaQuery(
        caller.project_id, types=[MediaType(request.media_type)] if request.media_type else (),
        statuses=[media_views.STATUSES[request.status]] if request.status else (),
        business_type=request.business_type or "", id=request.media_id, since=request.since, until=request.until,
        after=request.next_token, oldest_first=request.sort_by == "asc", limit=request.max_results,
    )  # fmt: skip
    page = app.media.page(caller, query)
    with_file = request.include_file_basic_info
    items = [
        media_views.media_line(app, shown, request.auth_timeout, with_file=with_file, TranscodeStatus="Init")
        for shown in page.items
    ]
    following = {"NextToken": page.items[-1].media.id} if page.has_more else {}
    return {"MediaInfos": items, "TotalCount": page.total, **told, **following}


def _id_of(app: App, caller: Caller, request: Get | Update) -> str:
    """The item by its id, else by its address."""
    if request.media_id is not None:
        return request.media_id
    if request.input_url is None:
        raise errors.missing("MediaId")
    return app.media.at(caller, request.input_url).id


def _attributes(sent: Mapping[str, object], *, keep_empty: bool = False) -> dict[str, object]:
    """What only this API knows of an item, by the names it is kept by."""
    return {kept: sent[name] for name, kept in _KEPT.items() if name in sent and (keep_empty or sent[name] != "")}
