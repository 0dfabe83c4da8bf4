"""Training jobs as the vendor shows them: every field is there, unset texts are empty."""

from __future__ import annotations

from datetime import datetime

from orchestrator.dialects.common.wire import time_text
from orchestrator.dialects.ims.words import AVATAR_TYPE, PHASE_NAMES
from orchestrator.domain.machine import phase_of
from orchestrator.domain.model import Job, JobSheet
from orchestrator.domain.states import STATES, Phase


def job(job: Job, sheet: JobSheet) -> dict[str, object]:
    """The detail of a job."""
    return _common(job, sheet) | {
        "Thumbnail": _text(sheet, "thumbnail"),
        "Video": _text(sheet, "video"),
        "Transparent": sheet.attributes.get("transparent") is True,
    }


def job_line(job: Job, sheet: JobSheet) -> dict[str, object]:
    """A line of the list."""
    return _common(job, sheet) | {"CreateTime": _time(sheet.created_at)}


def _common(job: Job, sheet: JobSheet) -> dict[str, object]:
    return {
        "JobId": job.id,
        "AvatarId": job.asset_id or "",
        "AvatarName": sheet.name,
        "AvatarDescription": sheet.description,
        "AvatarType": AVATAR_TYPE,
        "Status": PHASE_NAMES[phase_of(job)],
        "Message": message(job, sheet),
        "Portrait": _text(sheet, "portrait"),
        "FirstTrainingTime": _time(sheet.first_submitted_at),
        "LastTrainingTime": _time(sheet.last_submitted_at),
    }


def message(job: Job, sheet: JobSheet) -> str:
    """Why the job stands where it stands, else what its exact state means, which Status alone cannot say."""
    info = STATES[job.state]
    if sheet.message or info.phase in {Phase.INIT, Phase.SUCCEEDED}:
        return sheet.message
    return f"{info.meaning[0].upper()}{info.meaning[1:]}."


def _text(sheet: JobSheet, name: str) -> str:
    value = sheet.attributes.get(name)
    return value if isinstance(value, str) else ""


def _time(at: datetime | None) -> str:
    return time_text(at) or ""
