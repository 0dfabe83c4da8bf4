"""Training jobs through the SDK: made, filled, submitted, followed to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huaweicloudsdkmetastudio.v1 import (
    Create2dModelTrainingJobReq,
    Create2dModelTrainingJobRequest,
    Delete2dModelTrainingJobRequest,
    Execute2dModelTrainingCommandByUserReq,
    Execute2dModelTrainingCommandByUserRequest,
    List2dModelTrainingJobRequest,
    Show2dModelTrainingJobRequest,
    Update2dModelTrainingJobReq,
    Update2dModelTrainingJobRequest,
)

from tests.dialects.metastudio.conftest import Api

Put = Callable[..., int]


def create(client: Any, name: str = "Anna", **fields: Any) -> Any:
    body = Create2dModelTrainingJobReq(name=name, **fields)
    return client.create2d_model_training_job(Create2dModelTrainingJobRequest(body=body))


def show(client: Any, job_id: str) -> Any:
    return client.show2d_model_training_job(Show2dModelTrainingJobRequest(job_id=job_id))


def listed(client: Any, **query: Any) -> Any:
    return client.list2d_model_training_job(List2dModelTrainingJobRequest(**query))


def update(client: Any, job_id: str, **fields: Any) -> Any:
    body = Update2dModelTrainingJobReq(**fields)
    return client.update2d_model_training_job(Update2dModelTrainingJobRequest(job_id=job_id, body=body))


def delete(client: Any, job_id: str) -> Any:
    return client.delete2d_model_training_job(Delete2dModelTrainingJobRequest(job_id=job_id))


def command(client: Any, job_id: str, word: str, **fields: Any) -> Any:
    body = Execute2dModelTrainingCommandByUserReq(command=word, **fields)
    return client.execute2d_model_training_command_by_user(
        Execute2dModelTrainingCommandByUserRequest(job_id=job_id, body=body)
    )


def fill(put: Put, job: Any) -> None:
    """Everything that the review asks for, the video in as many parts as there are addresses."""
    last = len(job.training_video_upload_url)
    for number, url in enumerate(job.training_video_upload_url, start=1):
        assert put(url, b"v" * (5 * 1024 * 1024 if number < last else 100)) == 200
    for url in (job.id_card_image1_upload_url, job.id_card_image2_upload_url, job.grant_file_upload_url):
        assert put(url, b"paper") == 200


def submitted(client: Any, put: Put, **fields: Any) -> Any:
    job = create(client, **fields)
    fill(put, job)
    assert command(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED").commond_result == "EXCUTE_SUCCESS"
    done = command(client, job.job_id, "SUBMITVERIFYING")
    assert done.commond_result == "EXCUTE_SUCCESS", done.excute_failed_msg
    return job


def log_of(shown: Any) -> list[tuple[str, str]]:
    return [(line.log_type, line.operate_user) for line in shown.operation_logs]


def test_the_life_of_the_documents_sample_gives_its_log(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    api.verify()
    shown = show(client, job.job_id)
    assert log_of(shown) == [
        ("USER_CREATE_JOD", "USER"), ("SYSTEM_MARKABLE_VIDEO", "SYSTEM"), ("USER_VERIFYING_SUBMITTED", "USER"),
        ("SYSTEM_VERIFY_SUCCESS", "SYSTEM"), ("SYSTEM_MARKABLE_VIDEO_SUCCESS", "SYSTEM"),
    ]  # fmt: skip
    assert shown.state == "MANUAL_VERIFYING"
    assert shown.x_request_id
    for name in ("training_video", "id_card_image1", "id_card_image2", "grant_file", "markable_video"):
        assert getattr(shown, f"{name}_download_url").startswith("http")
    assert shown.comment_logs == []
    assert shown.is_mask_file_uploaded is False
    assert len(shown.create_time) == 20
    assert (shown.model_version, shown.matting_type, shown.model_resolution) == ("V3.2", "AI", "1080P")


def test_every_state_on_the_way_to_a_model(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    api.verify()
    api.world.app.review.approve(api.world.reviewer, job.job_id)
    assert show(client, job.job_id).state == "WAIT_TRAINING_DATA_PREPROCESS"
    api.world.settle()
    shown = show(client, job.job_id)
    assert shown.state == "JOB_SUCCESS"
    assert shown.asset_id
    assert [each.sub_job_type for each in shown.sub_training_job_info] == ["training_preprocess", "training", "inference_preprocess"]
    assert shown.allocated_resource.charge_mode == "ONE_TIME"
    delete(client, job.job_id)
    assert listed(client).count == 0
