"""The life of a training job through the SDK, and the same life seen with the other vendor's."""

from __future__ import annotations

from typing import Any

import pytest
from huaweicloudsdkmetastudio.v1 import ShowAssetRequest, UpdateDigitalAssetRequest, UpdateDigitalAssetRequestBody

from orchestrator.adapters.courier import HttpCourier
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.dialects.ims import views, words
from orchestrator.domain.commands import Effect
from orchestrator.domain.media import Reason
from orchestrator.domain.media_items import MediaType
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import STATES, JobState
from tests import web
from tests.builders import a_job, a_sheet
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import call, refused
from tests.dialects.ims.test_jobs import create, show
from tests.dialects.metastudio import test_jobs as other

WRONG_STATE = "InvalidParameter.InvalidState"
MISSING = "InvalidParameter.ResourceNotFound"
TOO_SHORT = Reason(
    "too_short", "duration_s", 1.0, [300, 900], "profile", "The video lasts 0:01; allowed 5:00 to 15:00."
)


def ready(api: Api, client: Any, data: bytes = b"film", **fields: object) -> str:
    """A draft with all its material."""
    return create(client, video=api.media(data=data), portrait=api.media(MediaType.IMAGE, b"face"), **fields)


def submit(client: Any, job_id: str) -> str:
    return call(client, "submit_avatar_training_job", job_id=job_id).data.job_id


def update(client: Any, job_id: str, **fields: object) -> Any:
    return call(client, "update_avatar_training_job", job_id=job_id, **fields)


def delete(client: Any, job_id: str) -> Any:
    return call(client, "delete_avatar_training_job", job_id=job_id)


def listed(client: Any, **query: object) -> tuple[int, list[str]]:
    data = call(client, "list_avatar_training_jobs", **query).data
    return data.total_count, [each.job_id for each in data.avatar_training_job_list]


def test_from_draft_to_avatar_with_both_sdks_looking(api: Api) -> None:
    key = api.key()
    client, theirs = api.client(key), api.metastudio(key)
    job_id = ready(api, client, avatar_description="news")

    def states() -> tuple[str, str]:
        assert listed(client, status=show(client, job_id).status) == (1, [job_id])
        assert [each.job_id for each in other.listed(theirs).jobs] == [job_id]
        return show(client, job_id).status, other.show(theirs, job_id).state

    assert states() == ("Init", "WAIT_FILE_UPLOAD")
    update(client, job_id, transparent=True, thumbnail="https://store.example/t.png")
    update(client, job_id, transparent=False, avatar_description="")
    assert show(client, job_id).transparent is False
    assert submit(client, job_id) == job_id
    assert states() == ("Queuing", "AUTO_VERIFYING")
    api.verify()
    shown = show(client, job_id)
    assert shown.status in {"Queuing", "Training"}
    assert shown.first_training_time == shown.last_training_time != ""
    update(client, job_id, avatar_name="Ada")
    for changed in ({"transparent": True}, {"thumbnail": "https://x/y"}, {"video": "0" * 32}, {"portrait": "0" * 32}):
        refused(lambda c=changed: update(client, job_id, **c), WRONG_STATE)
    refused(lambda: submit(client, job_id), WRONG_STATE)
    refused(lambda: delete(client, job_id), WRONG_STATE)
    api.world.tick()
    assert states()[0] == "Training"
    api.world.settle()
    assert states() == ("Success", "JOB_SUCCESS")
    for changed in ({"thumbnail": "https://x/y"}, {"transparent": True}):
        refused(lambda c=changed: update(client, job_id, **c), WRONG_STATE)
    refused(lambda: submit(client, job_id), WRONG_STATE)
    refused(lambda: delete(client, job_id), WRONG_STATE)

    done = show(client, job_id)
    assert (done.message, done.avatar_name, done.avatar_description) == ("", "Ada", "")
    avatar = call(client, "get_avatar", avatar_id=done.avatar_id).data.avatar
    assert (avatar.avatar_name, avatar.avatar_type, avatar.transparent) == ("Ada", "2DAvatar", False)
    assert avatar.portrait == done.portrait
    model = theirs.show_asset(ShowAssetRequest(asset_id=done.avatar_id))
    assert (model.asset_name, model.asset_type, model.asset_state) == ("Ada", "HUMAN_MODEL_2D", "ACTIVED")
    # one thing under two names: what either API calls it, the other one shows
    update(client, job_id, avatar_name="Eva", avatar_description="weather")
    assert theirs.show_asset(ShowAssetRequest(asset_id=done.avatar_id)).asset_name == "Eva"
    body = UpdateDigitalAssetRequestBody(asset_name="Ida")
    theirs.update_digital_asset(UpdateDigitalAssetRequest(asset_id=done.avatar_id, body=body))
    found = call(client, "list_avatars", avatar_type="2DAvatar").data
    assert (found.total_count, [each.avatar_name for each in found.avatar_list]) == (1, ["Ida"])
    assert other.log_of(other.show(theirs, job_id))[-1] == ("SYSTEM_JOB_SUCCESS", "SYSTEM")


def test_a_failed_job_says_why_is_mended_and_submitted_again(api: Api, client: Any) -> None:
    api.world.prober.refuse[b"short"] = (TOO_SHORT,)
    job_id = ready(api, client, b"short")
    submit(client, job_id)
    first = show(client, job_id).first_training_time
    api.verify()
    shown = show(client, job_id)
    assert shown.status == "Fail"
    assert "0:01; allowed 5:00 to 15:00" in shown.message
    api.world.clock.advance(60)
    update(client, job_id, video=api.media(data=b"long"), transparent=True, thumbnail="")
    submit(client, job_id)
    api.verify()
    shown = show(client, job_id)
    assert shown.status != "Fail"
    assert shown.message != "The video lasts 0:01"
    assert shown.first_training_time == first < shown.last_training_time


def test_what_one_sdk_tells_of_a_job_the_other_tells_too(api: Api, put: Any) -> None:
    """The lines of the table in the README, on a job of ours that is mended with the other SDK."""
    api.world.prober.refuse[b"short"] = (TOO_SHORT,)
    key = api.key()
    client, theirs = api.client(key), api.metastudio(key)
    job_id = ready(api, client, b"short", avatar_description="news")
    submit(client, job_id)
    api.verify()
    failed, seen = show(client, job_id), other.show(theirs, job_id)
    assert (failed.status, seen.state, seen.name) == ("Fail", "AUTO_VERIFY_FAILED", failed.avatar_name)
    assert failed.message in seen.operation_logs[-1].log_description
    assert seen.training_video_download_url.startswith("http")

    api.world.clock.advance(60)
    mended = other.update(theirs, job_id, name="Ada", command_message="UPDATE_VIDEO", video_multipart_count=1)
    assert show(client, job_id).video == "", "an upload takes the place of the named media"
    assert put(mended.training_video_upload_url[0], b"long") == 200
    assert other.command(theirs, job_id, "CONFIRM_MULTIPART_UPLOADED").commond_result == "EXCUTE_SUCCESS"
    submit(client, job_id)
    submitted, seen = show(client, job_id), other.show(theirs, job_id)
    times = [line.operate_time for line in seen.operation_logs if line.log_type == "USER_VERIFYING_SUBMITTED"]
    assert [submitted.first_training_time, submitted.last_training_time] == times
    assert submitted.first_training_time < submitted.last_training_time
    [line] = call(client, "list_avatar_training_jobs").data.avatar_training_job_list
    assert (line.create_time, line.avatar_name) == (seen.create_time, "Ada")

    api.world.settle()
    done = show(client, job_id)
    model = theirs.show_asset(ShowAssetRequest(asset_id=done.avatar_id))
    assert (model.asset_name, model.asset_description, model.asset_state) == ("Ada", "news", "ACTIVED")
    assert other.show(theirs, job_id).asset_id == done.avatar_id


def test_what_cannot_be_submitted(api: Api, client: Any) -> None:
    error = refused(lambda: submit(client, create(client)), WRONG_STATE)
    assert "portrait is missing" in error.message
    assert "training video is missing" in error.message
    video, face = api.media(), api.media(MediaType.IMAGE, b"face")
    refused(lambda: submit(client, create(client, video=video, portrait="0" * 32)), MISSING, 404)
    refused(lambda: submit(client, create(client, video=face, portrait=video)), "InvalidParameter")
    job_id = create(client, video=video, portrait="0" * 32)
    refused(lambda: submit(client, job_id), MISSING, 404)
    assert show(client, job_id).status == "Init"
    for missing in ("get", "submit", "update", "delete"):
        refused(lambda m=missing: call(client, f"{m}_avatar_training_job", job_id="0" * 32), MISSING, 404)
        refused(lambda m=missing: call(client, f"{m}_avatar_training_job"), "MissingJobId")
    refused(lambda: call(client, "get_avatar", avatar_id="0" * 32), MISSING, 404)
    refused(lambda: call(client, "get_avatar"), "MissingAvatarId")
    assert delete(client, job_id).data.job_id == job_id
    refused(lambda: show(client, job_id), MISSING, 404)


def test_a_training_that_is_tried_again_by_itself_has_not_failed(api: Api, client: Any) -> None:
    job_id = ready(api, client)
    submit(client, job_id)
    api.world.tick()
    [run] = api.world.live_runs()
    api.world.fail(run, FailureClass.CODE)
    api.world.observe()
    job = api.world.app.jobs.show(api.world.owner, job_id).job
    assert (job.state, job.effect) == (JobState.TRAINING_DATA_PREPROCESS_FAILED, Effect.RETRY)
    assert show(client, job_id).status == "Training"
    assert listed(client, status="Training") == (1, [job_id])
    assert listed(client, status="Fail") == (0, [])
    # and so nothing is open to its owner that is open for failed jobs
    update(client, job_id, avatar_name="Ada")
    refused(lambda: update(client, job_id, transparent=True), WRONG_STATE)
    refused(lambda: submit(client, job_id), WRONG_STATE)
    refused(lambda: delete(client, job_id), WRONG_STATE)
    video = show(client, job_id).video
    assert call(client, "delete_media_infos", media_ids=video).forbidden_list == [video]
    api.world.settle()
    assert show(client, job_id).status == "Success"


def test_pages_and_filters(client: Any) -> None:
    ids = [create(client, f"n{number}") for number in range(5)][::-1]
    assert listed(client) == (5, ids)
    assert listed(client, page_no=2, page_size=2) == (5, ids[2:4])
    assert listed(client, page_no=4, page_size=2, status="Init") == (5, [])
    assert listed(client, page_no=2, page_size=3, status="Init") == (5, ids[3:])
    assert listed(client, status="Success") == (0, [])
    for wrong in ({"page_no": 0}, {"page_size": 0}, {"page_size": 101}, {"status": "Normal"}, {"page_no": "x"}):
        refused(lambda w=wrong: listed(client, **w), "InvalidParameter")
    refused(lambda: call(client, "list_avatars", avatar_type="3DAvatar"), "InvalidParameter")


def test_jobs_of_the_other_vendor_are_seen_and_commanded(api: Api, put: Any) -> None:
    key = api.key()
    client, theirs = api.client(key), api.metastudio(key)
    job = other.submitted(theirs, put, name="A name of more than seven characters")
    shown = show(client, job.job_id)
    assert (shown.status, shown.avatar_name) == ("Queuing", "A name of more than seven characters")
    api.verify()
    shown = show(client, job.job_id)
    assert (shown.status, shown.message) == ("Queuing", "A reviewer has to decide.")
    assert (shown.video, shown.portrait, shown.transparent, shown.thumbnail) == ("", "", False, "")
    api.world.app.review.reject(api.world.reviewer, job.job_id, ["blurred"])
    assert (show(client, job.job_id).status, show(client, job.job_id).message) == ("Fail", "blurred")
    update(client, job.job_id, avatar_name="Short")
    assert submit(client, job.job_id) == job.job_id
    assert other.show(theirs, job.job_id).state == "AUTO_VERIFYING"
    draft = other.create(theirs)
    delete(client, draft.job_id)
    assert [each.job_id for each in other.listed(theirs).jobs] == [job.job_id]


def test_a_draft_of_ours_is_submitted_and_deleted_with_the_other_sdk(api: Api) -> None:
    key = api.key()
    client, theirs = api.client(key), api.metastudio(key)
    job_id, draft = ready(api, client), create(client)
    done = other.command(theirs, job_id, "SUBMITVERIFYING")
    assert done.commond_result == "EXCUTE_SUCCESS", done.excute_failed_msg
    assert show(client, job_id).status == "Queuing"
    other.delete(theirs, draft)
    assert listed(client) == (1, [job_id])


def test_the_thumbnail_is_written_where_its_owner_wants_it(api: Api, storage: S3Storage) -> None:
    """Into a store that the operator allows, by an address that the owner has signed; shown once it is there."""
    from boto3 import client as boto3_client
    from botocore.config import Config

    options = storage.options
    signer = boto3_client(
        "s3", endpoint_url=options.endpoint, aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key, region_name=options.region, config=Config(signature_version="s3v4"),
    )  # fmt: skip
    place = {"Bucket": options.bucket, "Key": "wanted/t.png"}
    url = signer.generate_presigned_url("put_object", Params=place)
    api.world.courier = HttpCourier([f"{options.endpoint}/{options.bucket}/wanted/"])
    profile = api.world.profiles["ims"]
    api.world.profiles = {**api.world.profiles, "ims": _with_thumbnail(profile)}
    api.world.app = api.world.process()
    client = api.client()
    assert len(url) <= 512
    job_id = ready(api, client, thumbnail=url)
    submit(client, job_id)
    api.world.settle()
    api.world.sweep("thumbnails")
    avatar = call(client, "get_avatar", avatar_id=show(client, job_id).avatar_id).data.avatar
    assert avatar.thumbnail == show(client, job_id).thumbnail == url
    assert storage.read_range("wanted/t.png", 0, 100) != b""


def test_a_thumbnail_may_lie_in_the_own_inbox(api: Api, client: Any, storage: S3Storage) -> None:
    api.world.profiles = {**api.world.profiles, "ims": _with_thumbnail(api.world.profiles["ims"])}
    api.world.app = api.world.process()
    place = "inbox/project-1/thumbnails/ada.png"
    job_id = ready(api, client, thumbnail=storage.address_of(place))
    submit(client, job_id)
    api.world.settle()
    api.world.sweep("thumbnails")
    avatar = call(client, "get_avatar", avatar_id=show(client, job_id).avatar_id).data.avatar
    assert avatar.thumbnail == storage.address_of(place)
    assert storage.read_range(place, 0, 100) != b""


def test_a_thumbnail_for_a_store_that_is_not_allowed_is_ours_to_fetch(api: Api, client: Any) -> None:
    api.world.profiles = {**api.world.profiles, "ims": _with_thumbnail(api.world.profiles["ims"])}
    api.world.app = api.world.process()
    job_id = ready(api, client, thumbnail="http://169.254.169.254/latest/meta-data/x")
    submit(client, job_id)
    api.world.settle()
    api.world.sweep("thumbnails")
    avatar = call(client, "get_avatar", avatar_id=show(client, job_id).avatar_id).data.avatar
    assert "169.254" not in avatar.thumbnail
    assert web.get(avatar.thumbnail).status_code == 200


def _with_thumbnail(profile: Any) -> Any:
    from dataclasses import replace

    return replace(profile, model_file="inference_preprocess.npz", thumbnail_file="training.npz")


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_a_status_and_every_field_a_type(state: JobState) -> None:
    """What a list and a detail need is there in every state of every job, whoever made it."""
    job, sheet = a_job(state, effect=None, due_at=None), a_sheet()
    detail, line = views.job(job, sheet), views.job_line(job, sheet)
    assert detail["Status"] == line["Status"] == words.PHASE_NAMES[STATES[state].phase]
    assert set(detail) == {
        "JobId", "AvatarId", "AvatarName", "AvatarDescription", "AvatarType", "Status", "Message", "Thumbnail",
        "Portrait", "Video", "Transparent", "FirstTrainingTime", "LastTrainingTime",
    }  # fmt: skip
    assert set(line) == (set(detail) - {"Thumbnail", "Video", "Transparent"}) | {"CreateTime"}
    assert all(isinstance(value, bool if name == "Transparent" else str) for name, value in (detail | line).items())
    if detail["Status"] in {"Queuing", "Training", "Fail"}:
        assert detail["Message"], "the exact state is told, as one of five words cannot tell it"
