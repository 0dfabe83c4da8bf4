"""The operations, one row each."""

from __future__ import annotations

from typing import Final

from orchestrator.dialects.metastudio import commands, jobs
from orchestrator.dialects.metastudio.errors import TRAINING
from orchestrator.dialects.metastudio.operation import Operation

_JOBS: Final = "/{project_id}/digital-human-training-manage/user/jobs"
_JOB: Final = f"{_JOBS}/{{job_id}}"

OPERATIONS: Final = (
    Operation("create2d_model_training_job", "POST", _JOBS, jobs.create_job, TRAINING),
    Operation("list2d_model_training_job", "GET", _JOBS, jobs.list_jobs, TRAINING),
    Operation("show2d_model_training_job", "GET", _JOB, jobs.show_job, TRAINING),
    Operation("update2d_model_training_job", "PUT", _JOB, jobs.update_job, TRAINING),
    Operation("delete2d_model_training_job", "DELETE", _JOB, jobs.delete_job, TRAINING),
    Operation("execute2d_model_training_command_by_user", "POST", f"{_JOB}/command", commands.execute, TRAINING),
)
