"""The 13 commands through the SDK: what they answer, and when they are refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from huaweicloudsdkmetastudio.v1 import CommentData

from tests import web
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.support import refused
from tests.dialects.metastudio.test_jobs import command, create, log_of, show, submitted

Put = Callable[..., int]
ALL = (
    "SUBMITVERIFYING", "GET_MULTIPART_UPLOADED", "CONFIRM_MULTIPART_UPLOADED", "GET_ACTION_VIDEO_MULTIPART_UPLOADED",
    "CONFIRM_ACTION_VIDEO_MULTIPART_UPLOADED", "CONFIRM_AUTHORIZATION_LETTER", "CONFIRM_REPAIR", "DELETE_JOB_VIDEO",
    "CONFIRM_ACCEPT", "CONFIRM_REJECT", "CONFIRM_ANSWER", "CONFIRM_PENDING", "CONFIRM_ACTIVE",
)  # fmt: skip


def done(client: Any, job_id: str, word: str, **fields: Any) -> Any:
    answer = command(client, job_id, word, **fields)
    assert answer.commond_result == "EXCUTE_SUCCESS", answer.excute_failed_msg
    return answer


def failed(client: Any, job_id: str, word: str, **fields: Any) -> str:
    answer = command(client, job_id, word, **fields)
    assert answer.commond_result == "EXCUTE_FAILED"
    assert (answer.error_info.error_code, answer.status_code) == ("MSS.00000003", 200)
    message: str = answer.excute_failed_msg
    return message


def comment(text: str = "see picture", **fields: Any) -> CommentData:
    return CommentData(comment_title="lips", comment_message=text, **fields)


@pytest.fixture
def named(api: Api) -> Any:
    """The SDK of a project whose users accept their results."""
    return api.client(api.key("named-project", named_account=True))


def waiting(api: Api, client: Any, put: Put) -> str:
    """A finished job of a named account, that waits for its owner's word."""
    job = create(client)
    assert put(job.training_video_upload_url[0], b"v") == 200
    done(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED")
    done(client, job.job_id, "SUBMITVERIFYING")
    api.verify()
    api.world.app.review.approve(api.world.reviewer, job.job_id)
    api.world.settle()
    assert show(client, job.job_id).state == "WAIT_USER_CONFIRM"
    job_id: str = job.job_id
    return job_id


def test_an_upload_is_resumed_part_by_part(client: Any, put: Put) -> None:
    job = create(client, video_multipart_count=3, action_video_multipart_count=2)
    assert failed(client, job.job_id, "SUBMITVERIFYING") == "training video not confirmed"
    assert done(client, job.job_id, "GET_MULTIPART_UPLOADED").multipart_data == []
    for number in (2, 3):
        assert put(job.training_video_upload_url[number - 1], b"x" * (5 << 20)) == 200
    parts = done(client, job.job_id, "GET_MULTIPART_UPLOADED").multipart_data
    assert [part.part_number for part in parts] == ["2", "3"]
    assert all(1 <= len(part.etag) <= 64 for part in parts)
    assert "1" in failed(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED")
    assert failed(client, job.job_id, "SUBMITVERIFYING") == "training video not confirmed"
    assert put(job.training_video_upload_url[0], b"x" * (5 << 20)) == 200
    done(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED")
    done(client, job.job_id, "CONFIRM_MULTIPART_UPLOADED")
    assert len(done(client, job.job_id, "GET_MULTIPART_UPLOADED").multipart_data) == 3
    assert put(job.training_video_upload_url[0], b"late") != 200
    for number, url in enumerate(job.action_video_upload_url, start=1):
        assert put(url, b"x" * (5 << 20)) == 200
        assert len(done(client, job.job_id, "GET_ACTION_VIDEO_MULTIPART_UPLOADED").multipart_data) == number
    done(client, job.job_id, "CONFIRM_ACTION_VIDEO_MULTIPART_UPLOADED")
    failed(client, job.job_id, "CONFIRM_AUTHORIZATION_LETTER")
    assert put(job.grant_file_upload_url, b"paper") == 200
    done(client, job.job_id, "CONFIRM_AUTHORIZATION_LETTER")
    shown = show(client, job.job_id)
    assert shown.grant_file_download_url
    assert shown.action_video_download_url


def test_every_command_is_refused_where_the_table_has_no_row(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    for word in ALL:
        before = show(client, job.job_id)
        assert failed(client, job.job_id, word, comment_data=comment()), word
        assert show(client, job.job_id).state == before.state
    refused(lambda: command(client, "unknown", "SUBMITVERIFYING"), "MSS.00000003")
    refused(lambda: command(client, job.job_id, "EXPLODE"), "MSS.00000003")
    refused(lambda: command(client, job.job_id, "SUBMITVERIFYING", command_message="NOTHING"), "MSS.00000003")
    stranger = api.client(api.key("project-2"))
    for word in ALL:
        refused(lambda word=word: command(stranger, job.job_id, word), "MSS.00000003")


def test_a_named_account_needs_no_papers_and_accepts_its_result(api: Api, named: Any, put: Put) -> None:
    job_id = waiting(api, named, put)
    done(named, job_id, "CONFIRM_ACCEPT")
    shown = show(named, job_id)
    assert shown.state == "JOB_FINISH"
    assert log_of(shown)[-1] == ("SYSTEM_JOB_SUCCESS", "SYSTEM")
    for word in ALL:
        if word != "DELETE_JOB_VIDEO":
            failed(named, job_id, word, comment_data=comment())
    done(named, job_id, "DELETE_JOB_VIDEO")
    shown = show(named, job_id)
    assert log_of(shown)[-1] == ("USER_DELETE_JOB_VIDEO", "USER")
    assert shown.training_video_download_url is None


def test_a_rejection_with_attachments_and_the_talk_after_it(api: Api, named: Any, put: Put) -> None:
    job_id = waiting(api, named, put)
    failed(named, job_id, "CONFIRM_REJECT")
    answer = done(named, job_id, "CONFIRM_REJECT", comment_data=comment(attachment_name=["a.png", "b.png"]))
    assert len(answer.attachment_upload_url) == 2
    assert show(named, job_id).state == "JOB_REJECT"
    assert put(answer.attachment_upload_url[0], b"a picture") == 200
    api.world.sweep("seal_uploads", after=30)
    [said] = show(named, job_id).comment_logs
    assert (said.comment_type, said.comment_title, said.comment_message) == ("USER_REJECT", "lips", "see picture")
    [url] = said.attachment_download_url
    assert web.get(url).content == b"a picture"
    failed(named, job_id, "CONFIRM_ANSWER")
    done(named, job_id, "CONFIRM_ANSWER", comment_data=comment("more"))
    api.world.app.review.comment(api.world.admin, job_id, "we look at it")
    kinds = [said.comment_type for said in show(named, job_id).comment_logs]
    assert kinds == ["USER_REJECT", "USER_COMMENT", "ADMIN_COMMENT"]
    api.world.app.jobs.retrain(api.world.admin, job_id, "training", ["lips"])
    shown = show(named, job_id)
    assert (shown.state, shown.operation_logs[-1].redo_reasons) == ("TRAINING_DATA_PREPROCESS_SUCCESS", ["lips"])


def test_a_job_is_suspended_and_taken_up_where_it_was(api: Api, named: Any, put: Put) -> None:
    job_id = waiting(api, named, put)
    done(named, job_id, "CONFIRM_PENDING")
    assert show(named, job_id).state == "JOB_PENDING"
    failed(named, job_id, "CONFIRM_ACCEPT")
    done(named, job_id, "CONFIRM_ACTIVE")
    assert show(named, job_id).state == "WAIT_USER_CONFIRM"
    done(named, job_id, "CONFIRM_REJECT", comment_data=comment())
    done(named, job_id, "CONFIRM_PENDING")
    done(named, job_id, "CONFIRM_ACTIVE")
    assert show(named, job_id).state == "JOB_REJECT"


def test_a_flexus_job_is_repaired_as_often_as_it_may(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put, is_flexus=True)
    plain = submitted(client, put)
    api.verify()
    for each in (job, plain):
        api.world.app.review.approve(api.world.reviewer, each.job_id)
    api.world.settle()
    failed(client, plain.job_id, "CONFIRM_REPAIR")
    for left in (2, 1, 0):
        done(client, job.job_id, "CONFIRM_REPAIR")
        shown = show(client, job.job_id)
        assert (shown.state, shown.flexus_retry_count) == ("WAIT_TRAINING_DATA_PREPROCESS", left)
        assert log_of(shown)[-1] == ("USER_REPAIR", "USER")
        api.world.settle()
        assert show(client, job.job_id).state == "JOB_SUCCESS"
    assert "no retrainings are left" in failed(client, job.job_id, "CONFIRM_REPAIR")


def test_of_many_who_submit_at_once_one_is_first(client: Any, put: Put) -> None:
    from tests.dialects.metastudio.test_jobs import fill

    job = create(client)
    fill(put, job)

    def at_once(word: str) -> list[str]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: command(client, job.job_id, word).commond_result, range(8)))

    assert at_once("CONFIRM_MULTIPART_UPLOADED") == ["EXCUTE_SUCCESS"] * 8
    answers = at_once("SUBMITVERIFYING")
    assert answers.count("EXCUTE_SUCCESS") == 1
    assert [kind for kind, _ in log_of(show(client, job.job_id))].count("USER_VERIFYING_SUBMITTED") == 1


def test_addresses_live_for_a_day(api: Api, client: Any, put: Put) -> None:
    job = submitted(client, put)
    url = show(client, job.job_id).training_video_download_url
    assert web.get(url).content == b"v" * 100
    assert api.world.app.context.timing.download_url_lifetime == timedelta(hours=24)
