"""Handlers of the training group: each translates, asks a use case, translates back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from orchestrator.app.app import App
from orchestrator.app.intake import Want
from orchestrator.dialects.common.wire import instant, last_instant
from orchestrator.dialects.metastudio import errors, job_views
from orchestrator.dialects.metastudio.job_schemas import CreateJob, EncryptedFile, ListJobs, UpdateJob
from orchestrator.dialects.metastudio.operation import Asked, Bytes
from orchestrator.dialects.metastudio.words import FILE_NAMES, RESOLUTIONS, STATES_BY_NAME
from orchestrator.domain.editions import FLEXUS, services, traits
from orchestrator.domain.model import FileKind
from orchestrator.domain.views import JobQuery

PROFILE: Final = "metastudio"
_CONTENT_TYPES: Final = {FileKind.AUDIO: "application/zip"}
_ALWAYS: Final = (FileKind.COVER, FileKind.ID_CARD_FRONT, FileKind.ID_CARD_BACK, FileKind.AUTHORIZATION_LETTER)
_COLUMNS: Final = frozenset({"name", "batch_name", "tags"})
_NOT_KEPT: Final = _COLUMNS | {"command_message", "video_multipart_count", "action_video_multipart_count"}
# Whose addresses a command_message renews: of one file, or of none. Without one an update renews them all.
_RENEWED: Final[Mapping[str, FileKind | None]] = {
    "UPDATE_VIDEO": FileKind.TRAINING_VIDEO, "UPLOAD_VIDEO": FileKind.TRAINING_VIDEO,
    "GET_ACTION_VIDEO_MULTIPART": FileKind.ACTION_VIDEO, "CONFIRM_ACTION_VIDEO": None,
}  # fmt: skip
_EXACT: Final = {"batch_name": "batch_name", "job_id": "id"}
_FLAGS: Final = ("is_flexus", "is_live_copy", "is_ondemand_resource")
_WIDE: Final = {name: wide for wide, name in RESOLUTIONS.items()}
_TIMES: Final = {"create_since": instant, "create_until": last_instant,
                 "update_since": instant, "update_until": last_instant}  # fmt: skip


def create_job(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(CreateJob)
    sent = request.model_dump(exclude_none=True)
    wants = _everything(request, sent)
    switches = frozenset({FLEXUS} if request.is_flexus else ())
    sheet = _columns(sent) | {"attributes": _with_model(_kept(sent), switches)}
    name = sheet.pop("name")
    job, uploads = app.intake.create(asked.caller, PROFILE, str(name), wants, switches=switches, sheet=sheet)
    return job_views.upload_addresses(job.id, uploads)


def update_job(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.read(UpdateJob)
    sent = request.model_dump(exclude_none=True)
    message = request.command_message
    uploads = app.intake.update(
        asked.caller, asked.path["job_id"], lambda attributes: _wanted(request, attributes), sheet=_columns(sent),
        attributes=lambda former, switches: _with_model({**former, **_kept(sent)}, switches),
        replaces_video=message == "UPDATE_VIDEO" or (message is None and request.video_multipart_count is not None),
    )  # fmt: skip
    return job_views.upload_addresses(asked.path["job_id"], uploads)


def show_job(app: App, asked: Asked) -> Mapping[str, object]:
    return job_views.detail(app, asked.caller, app.jobs.show(asked.caller, asked.path["job_id"]))


def delete_job(app: App, asked: Asked) -> None:
    app.jobs.delete(asked.caller, asked.path["job_id"])


def list_jobs(app: App, asked: Asked) -> Mapping[str, object]:
    request = asked.parameters(ListJobs)
    words = asked.words("state", request.state, STATES_BY_NAME)
    exact = {column: getattr(request, name) for name, column in _EXACT.items() if getattr(request, name)}
    if asked.caller.app_user_id is not None:
        exact["app_user_id"] = asked.caller.app_user_id
    if request.model_resolution and request.model_resolution not in _WIDE:
        return {"count": 0, "jobs": []}
    times = {name: read(text) if (text := getattr(request, name)) else None for name, read in _TIMES.items()}
    query = JobQuery(
        request.query_project_id or asked.caller.project_id, states=[STATES_BY_NAME[word] for word in words],
        exact=exact, name_contains=request.name,
        created_since=times["create_since"], created_until=times["create_until"], offset=request.offset,
        limit=request.limit, oldest_first=request.sort_dir == "asc", tag=request.tag,
        attributes={name: value for name in _FLAGS if (value := getattr(request, name)) is not None},
        settings={"train_location": request.train_location} if request.train_location else {},
        wide_video=_WIDE.get(request.model_resolution), updated_since=times["update_since"],
        updated_until=times["update_until"], by_update=request.sort_key == "update_time",
    )  # fmt: skip
    found, count, held = app.intake.page(asked.caller, query)
    return {
        "count": count,
        "jobs": [job_views.basic(app, asked.caller, each.job, each.sheet, held[each.job.id]) for each in found],
    }


def download_model(app: App, asked: Asked) -> Bytes:
    request = asked.parameters(EncryptedFile)
    if request.tenant_id != asked.caller.project_id:
        raise errors.other_project(request.tenant_id, asked.caller.project_id)
    file = app.model_files.fetch(asked.caller, request.job_id, request.once_token)
    return Bytes(file.pieces, file.size_bytes, file.name)


def _wanted(request: UpdateJob, attributes: Mapping[str, object]) -> Sequence[Want]:
    """What an update gives new addresses for. `attributes`: of the job as they will be."""
    if request.command_message is None:
        return _everything(request, attributes)
    kind = _RENEWED[request.command_message]
    return [] if kind is None else [_want(kind, _parts(request, kind))]


def _everything(request: CreateJob | UpdateJob, attributes: Mapping[str, object]) -> Sequence[Want]:
    """Addresses for every kind of file that the request leaves room for."""
    wants = [_want(FileKind.TRAINING_VIDEO, _parts(request, FileKind.TRAINING_VIDEO)), *map(_want, _ALWAYS)]
    if request.action_video_multipart_count is not None or request.command_message == "GET_ACTION_VIDEO_MULTIPART":
        wants.append(_want(FileKind.ACTION_VIDEO, _parts(request, FileKind.ACTION_VIDEO)))
    if attributes.get("audio_source_type") == "AUDIO":
        wants.append(_want(FileKind.AUDIO))
    return wants


def _parts(request: CreateJob | UpdateJob, kind: FileKind) -> int:
    """In how many parts a video comes; one where nobody says so."""
    is_action = kind is FileKind.ACTION_VIDEO
    return (request.action_video_multipart_count if is_action else request.video_multipart_count) or 1


def _want(kind: FileKind, parts: int = 1) -> Want:
    content_type = _CONTENT_TYPES.get(kind, "application/octet-stream")
    return Want(kind, parts, content_type, f"{{job_id}}_{FILE_NAMES[kind]}")


def _columns(sent: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in sent.items() if name in _COLUMNS}


def _kept(sent: Mapping[str, object]) -> dict[str, object]:
    """What the job's sheet keeps as it came."""
    return {name: value for name, value in sent.items() if name not in _NOT_KEPT}


def _with_model(kept: Mapping[str, object], switches: frozenset[str]) -> dict[str, object]:
    """And what the finished model will say of itself; the vendor writes the version with another sign there."""
    asked = kept.get("supported_service")
    served = list(services(switches, asked if isinstance(asked, list) else None))
    version = str(kept.get("model_version", "V3.2")).replace(".", "_")
    meta = {"model_version": version, **traits(kept, served)}
    return {**kept, "supported_service": served, "asset_extra_meta": {"human_model_2d_meta": meta}}
