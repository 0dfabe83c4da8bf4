"""Training jobs through the SDK: made, filled, submitted, followed to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huaweicloudsdkmetastudio.v1 import (
    ActionBasicSampleInfo,
    Create2dModelTrainingJobReq,
    Create2dModelTrainingJobRequest,
    Delete2dModelTrainingJobRequest,
    Download2dModelTraningEncryptFileRequest,
    Execute2dModelTrainingCommandByUserReq,
    Execute2dModelTrainingCommandByUserRequest,
    List2dModelTrainingJobRequest,
    Show2dModelTrainingJobRequest,
    ShowAssetRequest,
    Update2dModelTrainingJobReq,
    Update2dModelTrainingJobRequest,
    VoiceProperties,
)

from orchestrator.app.model_files import ModelFile
from orchestrator.domain.downloads import attachment
from orchestrator.domain.media import Reason
from tests import web
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.support import refused

Put = Callable[..., int]


def create(client: Any, name: str = "Anna", *, user: str | None = None, **fields: Any) -> Any:
    body = Create2dModelTrainingJobReq(name=name, **fields)
    return client.create2d_model_training_job(Create2dModelTrainingJobRequest(body=body, x_app_user_id=user))


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
    assert [each.sub_job_type for each in shown.sub_training_job_info] == [
        "training_preprocess",
        "training",
        "inference_preprocess",
    ]
    assert shown.allocated_resource.charge_mode == "ONE_TIME"
    delete(client, job.job_id)
    assert listed(client).count == 0


def test_a_thousand_parts_and_no_more(client: Any) -> None:
    job = create(client, video_multipart_count=1000, action_video_multipart_count=1000, audio_source_type="AUDIO")
    assert len(set(job.training_video_upload_url)) == len(set(job.action_video_upload_url)) == 1000
    assert all(len(url) <= 2048 for url in job.training_video_upload_url)
    assert job.audio_upload_url
    refused(lambda: create(client, video_multipart_count=1001), "MSS.00000003")


def test_what_was_said_of_a_job_is_shown_again(client: Any) -> None:
    voice = VoiceProperties(job_tag="NEWS", sex="MALE", language="CN")
    job = create(
        client, "Anna", contact="a@b", batch_name="b1", tags=["x", "y"], model_version="V3.3", is_flexus=True,
        is_fast_flexus=True, is_live_copy=True, is_only_human_model=True, is_ondemand_resource=True,
        is_background_replacement=True, audio_source_type="VIDEO", voice_properties=voice,
        supported_service=["VIDEO_2D"],
    )  # fmt: skip
    for shown in (show(client, job.job_id), listed(client).jobs[0]):
        assert (shown.name, shown.contact, shown.batch_name, shown.tags) == ("Anna", "a@b", "b1", ["x", "y"])
        assert (shown.model_version, shown.state, shown.project_id) == ("V3.3", "WAIT_FILE_UPLOAD", "project-1")
        flags = (shown.is_flexus, shown.is_fast_flexus, shown.is_live_copy, shown.is_only_human_model)
        assert (*flags, shown.is_ondemand_resource, shown.is_background_replacement) == (True,) * 6
    shown = show(client, job.job_id)
    assert (shown.voice_properties, shown.supported_service) == (voice, ["VIDEO_2D"])
    assert (shown.flexus_retry_count, shown.audio_source_type) == (3, "VIDEO")
    refused(lambda: create(client, is_flexus=True, supported_service=["LIVE_2D"]), "MSS.00000003")


def test_the_review_tells_what_is_wrong_and_the_update_mends_it(api: Api, client: Any, put: Put) -> None:
    size = Reason("resolution_not_allowed", "display", [640, 480], [[1920, 1080]], "profile", "The video is 640x480.")
    api.world.prober.refuse[b"v" * 100] = (size,)
    job = create(client, audio_source_type="AUDIO")
    old = job.training_video_upload_url[0]
    refused(lambda: update(client, job.job_id, name="New"), "MSS.00000003")
    assert put(old, b"v" * 100) == 200
    assert command(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED").commond_result == "EXCUTE_SUCCESS"
    assert command(client, job.job_id, "SUBMITVERIFYING").commond_result == "EXCUTE_SUCCESS"
    api.verify()
    shown = show(client, job.job_id)
    assert shown.state == "AUTO_VERIFY_FAILED"
    line = shown.operation_logs[-1]
    assert (line.log_type, line.error_code, line.operate_user) == ("SYSTEM_VERIFY_FAILED", "44005901", "SYSTEM")
    for said in ("640x480", "id card front is missing", "id card back", "authorization letter", "audio is missing"):
        assert said in line.log_description
    assert put(old, b"w") != 200
    before = job.cover_upload_url
    job = update(client, job.job_id, name="New", contact="1", video_multipart_count=2, is_background_replacement=True)
    assert len(job.training_video_upload_url) == 2
    assert put(before, b"c") != 200
    assert put(job.audio_upload_url, b"sound", "application/zip") == 200
    fill(put, job)
    assert command(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED").commond_result == "EXCUTE_SUCCESS"
    assert command(client, job.job_id, "SUBMITVERIFYING").commond_result == "EXCUTE_SUCCESS"
    api.verify()
    shown = show(client, job.job_id)
    assert (shown.state, shown.name, shown.is_background_replacement) == ("MANUAL_VERIFYING", "New", True)
    assert [kind for kind, _ in log_of(shown)].count("USER_UPDATE_VIDEO") == 1
    api.world.app.review.reject(api.world.reviewer, job.job_id, ["blurred"])
    line = show(client, job.job_id).operation_logs[-1]
    assert (line.log_type, line.log_description, line.operate_user) == ("ADMIN_VERIFY_FAILED", "blurred", "ADMIN")


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ({"command_message": "UPDATE_VIDEO", "video_multipart_count": 3}, {"training_video_upload_url"}),
        ({"command_message": "UPLOAD_VIDEO"}, {"training_video_upload_url"}),
        ({"command_message": "GET_ACTION_VIDEO_MULTIPART"}, {"action_video_upload_url"}),
        ({"command_message": "CONFIRM_ACTION_VIDEO"}, set()),
        ({}, {"training_video_upload_url", "cover_upload_url", "id_card_image1_upload_url", "id_card_image2_upload_url",
              "grant_file_upload_url"}),
    ],
)  # fmt: skip
def test_an_update_renews_what_was_asked(
    api: Api, client: Any, put: Put, fields: dict[str, Any], answered: set[str]
) -> None:
    job = submitted(client, put)
    api.verify()
    api.world.app.review.reject(api.world.reviewer, job.job_id, ["no"])
    answer = update(client, job.job_id, **fields)
    given = {name for name in answer.attribute_map if name.endswith("_url") and getattr(answer, name) is not None}
    assert given == answered
    replaced = "USER_UPDATE_VIDEO" in dict(log_of(show(client, job.job_id)))
    assert replaced is (fields.get("command_message") == "UPDATE_VIDEO")
    # nothing new was sent, so what is there is submitted again
    assert command(client, job.job_id, "SUBMITVERIFYING").commond_result == "EXCUTE_SUCCESS"


def test_actions_chosen_for_the_choreography_are_shown(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    api.verify()
    api.world.app.review.reject(api.world.reviewer, job.job_id, ["no"])
    chosen = ActionBasicSampleInfo(action_tag="wave", action_name_en="Wave", is_selected=False)
    update(client, job.job_id, command_message="CONFIRM_ACTION_VIDEO", samples_basic_info=[chosen])
    [shown] = show(client, job.job_id).samples
    assert (shown.action_tag, shown.action_name_en, shown.is_selected) == ("wave", "Wave", False)


def test_deleting_is_for_the_documented_states(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    refused(lambda: delete(client, job.job_id), "MSS.00000003")
    api.verify()
    assert delete(client, job.job_id).status_code == 200
    refused(lambda: show(client, job.job_id), "MSS.00000003")


def test_the_model_is_fetched_once_with_a_token(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put, user="user-7")
    api.verify()
    api.world.app.review.approve(api.world.reviewer, job.job_id)
    api.world.settle()
    token = api.world.app.model_files.issue(api.world.owner, job.job_id)
    assert len(token) == 64

    def download(client: Any = client, tenant: str = "project-1", token: str = token) -> bytes:
        request = Download2dModelTraningEncryptFileRequest(tenant_id=tenant, job_id=job.job_id, once_token=token)
        answer = client.download2d_model_traning_encrypt_file(request)
        found: list[Any] = []
        answer.consume_download_stream(found.append)
        assert int(found[0].headers["Content-Length"]) == len(found[0].content)  # as it is stored: not packed again
        return found[0].content

    refused(lambda: download(tenant="project-2"), "MSS.00010009")
    refused(lambda: download(api.client(api.key("project-2")), "project-2"), "MSS.00000003")
    refused(lambda: download(token="0" * 64), "MSS.00000003")
    run = next(
        run
        for run in api.world.runs_of(api.world.app.jobs.show(api.world.owner, job.job_id).job)
        if run.stage == "training"
    )
    assert download() == run.id.encode()
    refused(download, "MSS.00000003")
    model = client.show_asset(ShowAssetRequest(asset_id=show(client, job.job_id).asset_id))
    assert (model.asset_type, model.asset_name, model.asset_state) == ("HUMAN_MODEL_2D", "Anna", "ACTIVED")
    assert model.asset_extra_meta.human_model_2d_meta.model_version == "V3_2"
    assert model.app_user_id == "user-7"
    assert [file.asset_file_category for file in model.files].count("MAIN") == 1


def test_a_model_of_any_name_is_sent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelFile("Annas größtes 模型.npz", 5, iter([b"model"]))
    monkeypatch.setattr(api.world.app.model_files, "fetch", lambda *_: model)
    key = api.key()
    answer = web.get(
        f"{api.url}/v1/digital-human-training-manage/user/encrypt-file-download",
        params={"tenant_id": key.project_id, "job_id": "j", "once_token": "0" * 64},
        headers={"X-Auth-Token": key.token},
    )
    assert (answer.status_code, answer.content) == (200, b"model")
    assert answer.headers["content-disposition"] == attachment(model.name)


def test_a_misspelt_state_is_refused_with_those_it_resembles(client: Any) -> None:
    error = refused(lambda: listed(client, state="TRAINING,TRAIN_FAILD"), "MSS.00000003")
    assert "'TRAIN_FAILD' is none of its values, such as TRAIN_FAILED" in error.error_msg
