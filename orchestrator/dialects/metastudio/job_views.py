"""Training jobs as the vendor shows them. What is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from orchestrator.app.app import App
from orchestrator.app.uploads import Upload
from orchestrator.dialects.common.wire import time_text
from orchestrator.dialects.metastudio import marks
from orchestrator.dialects.metastudio.wire import filled
from orchestrator.dialects.metastudio.words import (
    COMMENT_NAMES,
    ERROR_CODES,
    LOG_NAMES,
    RESOLUTIONS,
    STATE_NAMES,
    is_shown,
    operator_name,
)
from orchestrator.domain.actors import Caller
from orchestrator.domain.editions import FLEXUS, decisive_video, is_wide, services
from orchestrator.domain.log_types import LogType
from orchestrator.domain.model import Comment, File, FileKind, FileState, Job, JobSheet, LogEntry, Run
from orchestrator.domain.views import JobDetail

_DESCRIPTION_LIMIT: Final = 2048

# Fields of the wire that the job's sheet keeps as they came, with what is shown when nothing came.
_KEPT: Final[Mapping[str, object]] = {
    "contact": None, "is_flexus": False, "is_live_copy": False, "is_fast_flexus": False, "is_only_human_model": False,
    "is_background_replacement": True, "is_ondemand_resource": False, "model_version": "V3.2",
}  # fmt: skip
_KEPT_IN_DETAIL: Final[Mapping[str, object]] = {"voice_properties": None, "audio_source_type": "VIDEO"}
_DOWNLOADS: Final = {
    "training_video_download_url": FileKind.TRAINING_VIDEO,
    "id_card_image1_download_url": FileKind.ID_CARD_FRONT,
    "id_card_image2_download_url": FileKind.ID_CARD_BACK,
    "grant_file_download_url": FileKind.AUTHORIZATION_LETTER,
    "action_video_download_url": FileKind.ACTION_VIDEO,
    "audio_file_download_url": FileKind.AUDIO,
    "action_mark_file_download_url": FileKind.ACTION_MARK,
    "mask_file_download_url": FileKind.MASK,
}  # fmt: skip


def upload_addresses(job_id: str, uploads: Mapping[FileKind, Upload]) -> dict[str, object]:
    """What create and update answer with."""

    def parts(kind: FileKind) -> list[str] | None:
        return list(uploads[kind].urls.values()) if kind in uploads else None

    def one(kind: FileKind) -> str | None:
        return uploads[kind].urls[1] if kind in uploads else None

    return filled(
        job_id=job_id,
        training_video_upload_url=parts(FileKind.TRAINING_VIDEO),
        action_video_upload_url=parts(FileKind.ACTION_VIDEO),
        audio_upload_url=one(FileKind.AUDIO),
        cover_upload_url=one(FileKind.COVER),
        id_card_image1_upload_url=one(FileKind.ID_CARD_FRONT),
        id_card_image2_upload_url=one(FileKind.ID_CARD_BACK),
        grant_file_upload_url=one(FileKind.AUTHORIZATION_LETTER),
    )


def basic(app: App, caller: Caller, job: Job, sheet: JobSheet, held: Sequence[File]) -> dict[str, object]:
    """A line of the list, and the first part of the detail. `held`: files that are or were sealed, oldest first."""
    cover, video = _newest(held, FileKind.COVER), decisive_video(held)
    kept = {name: sheet.attributes.get(name, default) for name, default in _KEPT.items()}
    location = sheet.settings.get("train_location")
    return filled(
        job_id=job.id, name=sheet.name, state=STATE_NAMES[job.state], asset_id=job.asset_id,
        project_id=job.project_id, cover_download_url=app.uploads.download(caller, cover) if cover else None,
        last_update_time=time_text(sheet.user_updated_at), create_time=time_text(sheet.created_at),
        batch_name=sheet.batch_name, tags=list(sheet.tags) or None, matting_type="AI",
        model_resolution=_resolution(video), app_user_id=sheet.app_user_id,
        optional_training_location=[location] if isinstance(location, str) else None, **kept,
    )  # fmt: skip


def detail(app: App, caller: Caller, shown: JobDetail) -> dict[str, object]:
    """Everything that is known of a job."""
    job, sheet = shown.job, shown.sheet
    urls = {name: _url(app, caller, shown, kind) for name, kind in _DOWNLOADS.items()}
    marked = any(entry.log_type is LogType.SYSTEM_MARKABLE_VIDEO_SUCCESS for entry in shown.log)
    return basic(app, caller, job, sheet, shown.files) | filled(
        **urls,
        **{name: sheet.attributes.get(name, default) for name, default in _KEPT_IN_DETAIL.items()},
        supported_service=sheet.attributes.get("supported_service", services(job.switches, None)),
        operation_logs=[_line(entry) for entry in shown.log if is_shown(entry)],
        comment_logs=[_comment(app, caller, comment) for comment in shown.comments],
        samples=sheet.attributes.get("samples_basic_info"),
        is_mask_file_uploaded=shown.sealed(FileKind.MASK) is not None,
        markable_video_download_url=_url(app, caller, shown, FileKind.TRAINING_VIDEO) if marked else None,
        markable_action_video_download_url=_url(app, caller, shown, FileKind.ACTION_VIDEO) if marked else None,
        flexus_retry_count=job.repairs_left if FLEXUS in job.switches else None,
        allocated_resource=_resource(shown),
        sub_training_job_info=[_try(run) for run in shown.runs] or None,
        **marks.of(sheet.settings),
    )


def _newest(held: Sequence[File], kind: FileKind) -> File | None:
    return next((file for file in reversed(held) if file.kind is kind and file.state is FileState.SEALED), None)


def _resolution(video: File | None) -> str:
    return RESOLUTIONS[video is not None and is_wide(video.facts)]


def _url(app: App, caller: Caller, shown: JobDetail, kind: FileKind) -> str | None:
    file = shown.sealed(kind)
    return None if file is None else app.uploads.download(caller, file)


def _line(entry: LogEntry) -> dict[str, object]:
    assert entry.log_type is not None  # noqa: S101  is_shown says so
    reasons = (entry.details or {}).get("redo_reasons")
    code = entry.error_code
    return filled(
        operate_time=time_text(entry.at), log_type=LOG_NAMES[entry.log_type],
        log_description=entry.description[:_DESCRIPTION_LIMIT] or None, operate_user=operator_name(entry.log_type),
        error_code=ERROR_CODES.get(code, code) if code else None, redo_reasons=reasons or None,
    )  # fmt: skip


def _comment(app: App, caller: Caller, comment: Comment) -> dict[str, object]:
    urls = [app.uploads.download(caller, file) for file in comment.attachments]
    return filled(
        operate_time=time_text(comment.at), comment_type=COMMENT_NAMES[comment.type],
        comment_title=comment.title or None, comment_message=comment.text,
        attachment_download_url=[url for url in urls if url] or None,
    )  # fmt: skip


def _resource(shown: JobDetail) -> dict[str, object] | None:
    """The pool whose slot the newest run took; nothing is billed here, so it never expires."""
    if not shown.runs:
        return None
    mode = "ON_DEMAND" if shown.sheet.attributes.get("is_ondemand_resource") else "ONE_TIME"
    return {"resource_id": shown.runs[-1].pool, "charge_mode": mode}


def _try(run: Run) -> dict[str, object]:
    seen = [at for at in (run.created_at, run.started_at, run.heartbeat_at, run.ended_at) if at is not None]
    return {
        "job_id": run.id, "sub_job_type": run.stage, "heart_beat_id": run.id, "state": run.outcome.value.upper(),
        "create_time": _milliseconds(run.created_at), "last_update_time": _milliseconds(max(seen)),
    }  # fmt: skip


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
