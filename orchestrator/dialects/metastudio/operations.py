"""The operations, one row each."""

from __future__ import annotations

from typing import Final

from orchestrator.dialects.metastudio import asset_lists, assets, commands, files, jobs
from orchestrator.dialects.metastudio.errors import ASSETS, FILES, TRAINING
from orchestrator.dialects.metastudio.operation import Operation

_JOBS: Final = "/{project_id}/digital-human-training-manage/user/jobs"
_JOB: Final = f"{_JOBS}/{{job_id}}"
_DOWNLOAD: Final = "/digital-human-training-manage/user/encrypt-file-download"
_ASSETS: Final = "/{project_id}/digital-assets"
_ASSET: Final = f"{_ASSETS}/{{asset_id}}"
_FILES: Final = "/{project_id}/files"
_FILE: Final = f"{_FILES}/{{file_id}}"

OPERATIONS: Final = (
    Operation("create2d_model_training_job", "POST", _JOBS, jobs.create_job, TRAINING),
    Operation("list2d_model_training_job", "GET", _JOBS, jobs.list_jobs, TRAINING),
    Operation("show2d_model_training_job", "GET", _JOB, jobs.show_job, TRAINING),
    Operation("update2d_model_training_job", "PUT", _JOB, jobs.update_job, TRAINING),
    Operation("delete2d_model_training_job", "DELETE", _JOB, jobs.delete_job, TRAINING),
    Operation("execute2d_model_training_command_by_user", "POST", f"{_JOB}/command", commands.execute, TRAINING),
    Operation("download2d_model_traning_encrypt_file", "GET", _DOWNLOAD, jobs.download_model, TRAINING),
    Operation("create_digital_asset", "POST", _ASSETS, assets.create_asset, ASSETS),
    Operation("list_assets", "GET", _ASSETS, asset_lists.list_assets, ASSETS),
    Operation("list_asset_summary", "POST", f"{_ASSETS}/summarys", assets.summarize, ASSETS),
    Operation("batch_execute_asset_action", "POST", f"{_ASSETS}/batch-action", assets.batch_action, ASSETS),
    Operation("show_asset", "GET", _ASSET, assets.show_asset, ASSETS),
    Operation("update_digital_asset", "PUT", _ASSET, assets.update_asset, ASSETS),
    Operation("delete_asset", "DELETE", _ASSET, assets.delete_asset, ASSETS),
    Operation("restore_asset", "POST", f"{_ASSET}/restore", assets.restore_asset, ASSETS),
    Operation("create_file", "POST", _FILES, files.create_file, FILES),
    Operation("create_large_file", "POST", "/{project_id}/large-files", files.create_large_file, FILES),
    Operation("confirm_file_upload", "POST", f"{_FILE}/complete", files.confirm_file, FILES),
    Operation("delete_file", "DELETE", _FILE, files.delete_file, FILES),
)
