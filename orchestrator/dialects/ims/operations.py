"""The operations, one row each."""

from __future__ import annotations

from typing import Final

from orchestrator.dialects.ims import jobs
from orchestrator.dialects.ims.job_schemas import CreateJob, JobOnly, ListJobs, UpdateJob
from orchestrator.dialects.ims.operation import AnyOperation, Operation

OPERATIONS: Final[tuple[AnyOperation, ...]] = (
    Operation("CreateAvatarTrainingJob", CreateJob, jobs.create_job),
    Operation("SubmitAvatarTrainingJob", JobOnly, jobs.submit_job),
    Operation("GetAvatarTrainingJob", JobOnly, jobs.get_job),
    Operation("ListAvatarTrainingJobs", ListJobs, jobs.list_jobs),
    Operation("UpdateAvatarTrainingJob", UpdateJob, jobs.update_job),
    Operation("DeleteAvatarTrainingJob", JobOnly, jobs.delete_job),
)
