"""The operations, one row each."""

from __future__ import annotations

from typing import Final

from orchestrator.dialects.ims import avatars, jobs, media
from orchestrator.dialects.ims.avatar_schemas import GetAvatar, ListAvatars
from orchestrator.dialects.ims.job_schemas import CreateJob, JobOnly, ListJobs, UpdateJob
from orchestrator.dialects.ims.media_schemas import (
    BatchGet,
    CreateUpload,
    Delete,
    Get,
    ListMedia,
    MediaOnly,
    Register,
    Update,
)
from orchestrator.dialects.ims.operation import AnyOperation, Operation

OPERATIONS: Final[tuple[AnyOperation, ...]] = (
    Operation("CreateAvatarTrainingJob", CreateJob, jobs.create_job),
    Operation("SubmitAvatarTrainingJob", JobOnly, jobs.submit_job),
    Operation("GetAvatarTrainingJob", JobOnly, jobs.get_job),
    Operation("ListAvatarTrainingJobs", ListJobs, jobs.list_jobs),
    Operation("UpdateAvatarTrainingJob", UpdateJob, jobs.update_job),
    Operation("DeleteAvatarTrainingJob", JobOnly, jobs.delete_job),
    Operation("GetAvatar", GetAvatar, avatars.get_avatar),
    Operation("ListAvatars", ListAvatars, avatars.list_avatars),
    Operation("RegisterMediaInfo", Register, media.register),
    Operation("GetMediaInfo", Get, media.get),
    Operation("BatchGetMediaInfos", BatchGet, media.batch_get),
    Operation("CreateUploadMedia", CreateUpload, media.create_upload),
    Operation("RefreshUploadMedia", MediaOnly, media.refresh_upload),
    Operation("UpdateMediaInfo", Update, media.update),
    Operation("DeleteMediaInfos", Delete, media.delete),
    Operation("ListMediaBasicInfos", ListMedia, media.list_media),
)
