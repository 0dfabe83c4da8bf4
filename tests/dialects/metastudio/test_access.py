"""Who is let in: signatures, tokens, the lock-out, and walls between projects."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkmetastudio.v1 import (
    List2dModelTrainingJobRequest,
    MetaStudioAsyncClient,
    MetaStudioClient,
    Show2dModelTrainingJobRequest,
)

from orchestrator.app.keys import NewKey
from orchestrator.dialects.metastudio import signing
from orchestrator.dialects.metastudio.signing import Received
from orchestrator.domain.actors import Role
from tests import web
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.support import refused
from tests.dialects.metastudio.test_jobs import create, delete, listed, show, update

JOBS = "digital-human-training-manage/user/jobs"


def wrong(key: NewKey, **changed: str) -> NewKey:
    values = {"id": key.id, "project_id": key.project_id, "secret": key.secret} | changed
    return NewKey(role=key.role, name=key.name, token=key.token, **values)


def signed(key: NewKey, url: str, path: str, at: datetime) -> dict[str, str]:
    """Headers as the SDK makes them, at any time."""
    headers = {"host": url.removeprefix("http://"), "x-sdk-date": at.strftime("%Y%m%dT%H%M%SZ")}
    sent = Received("GET", path.encode(), b"", [(n.encode(), v.encode()) for n, v in headers.items()], b"")
    text = signing.string_to_sign(headers["x-sdk-date"], signing.canonical_request(sent, sorted(headers)))
    names = ";".join(sorted(headers))
    made = signing.signature(key.secret, text)
    said = f"{signing.ALGORITHM} Access={key.id}, SignedHeaders={names}, Signature={made}"
    return headers | {"authorization": said}


def test_sync_and_async_clients_and_the_same_call_twice_in_a_second(api: Api) -> None:
    key = api.key()
    client, later = api.client(key), api.client(key, client=MetaStudioAsyncClient)
    job = create(client)
    request = Show2dModelTrainingJobRequest(job_id=job.job_id)
    answers = [later.show2d_model_training_job_async(request) for _ in range(5)]
    assert {answer.result().job_id for answer in answers} == {job.job_id}
    assert show(client, job.job_id).status_code == 200


def test_a_wrong_secret_and_an_unknown_key(api: Api) -> None:
    key = api.key()
    error = refused(lambda: listed(api.client(wrong(key, secret="other"))), "APIGW.0301", 401)
    assert error.error_msg.endswith("verify aksk signature fail")
    error = refused(lambda: listed(api.client(wrong(key, id="A" * 20))), "APIGW.0301", 401)
    assert error.error_msg.endswith("Get secretKey failed")
    api.world.app.keys.disable(key.id)
    refused(lambda: listed(api.client(key)), "APIGW.0301", 401)


def test_five_wrong_signatures_lock_the_key_for_five_minutes(api: Api) -> None:
    key = api.key()
    good, bad = api.client(key), api.client(wrong(key, secret="other"))
    for _ in range(4):
        refused(lambda: listed(bad), "APIGW.0301", 401)
    assert listed(good).count == 0  # which forgives the four
    for _ in range(5):
        refused(lambda: listed(bad), "APIGW.0301", 401)
    error = refused(lambda: listed(good), "APIGW.0301", 401)
    assert error.error_msg.endswith("AK access failed to reach the limit,forbidden")
    assert listed(api.client(api.key())).count == 0
    api.world.clock.advance(timedelta(minutes=5, seconds=1))
    assert listed(good).count == 0


@pytest.mark.parametrize(("minutes", "status"), [(14, 200), (-14, 200), (16, 401), (-16, 401)])
def test_a_clock_may_be_fifteen_minutes_off(api: Api, minutes: int, status: int) -> None:
    key = api.key()
    path = f"/v1/project-1/{JOBS}"
    headers = signed(key, api.url, path, datetime.now(UTC) + timedelta(minutes=minutes))
    assert web.get(api.url + path, headers=headers).status_code == status


def test_a_token_alone_and_beside_a_signature(api: Api) -> None:
    key = api.key()
    url = f"{api.url}/v1/project-1/{JOBS}"
    for headers, status in (
        ({"X-Auth-Token": key.token}, 200),
        ({"X-Auth-Token": "unknown"}, 401),
        ({"X-Auth-Token": ""}, 401),
        ({"X-Auth-Token": key.token, "Authorization": "Bearer preset"}, 200),
        ({"Authorization": "Bearer preset"}, 401),
        ({}, 401),
    ):
        answer = web.get(url, headers=headers)
        assert answer.status_code == status, headers
        assert answer.headers["X-Request-Id"]
    invoker = api.client(wrong(key, secret="other")).list2d_model_training_job_invoker(List2dModelTrainingJobRequest())
    assert invoker.add_header("X-Auth-Token", key.token).invoke().count == 0


def test_a_security_token_has_to_be_the_keys_own(api: Api) -> None:
    key, other = api.key(), api.key()
    assert listed(api.client(key, security_token=key.token)).count == 0
    error = refused(lambda: listed(api.client(key, security_token=other.token)), "APIGW.0301", 401)
    assert error.error_msg.endswith("decrypt token fail")


def test_a_temporary_key_needs_its_security_token_and_ends(api: Api) -> None:
    clock = api.world.clock
    clock.advance(timedelta(minutes=-10))
    key = api.world.app.keys.create("project-1", Role.USER, "temporary", lifetime=timedelta(minutes=15))
    clock.advance(timedelta(minutes=10))
    assert listed(api.client(key, security_token=key.token)).count == 0
    assert refused(lambda: listed(api.client(key)), "APIGW.0301", 401).error_msg.endswith("decrypt token fail")
    clock.advance(timedelta(minutes=6))
    error = refused(lambda: listed(api.client(key, security_token=key.token)), "APIGW.0301", 401)
    assert error.error_msg.endswith("Get secretKey failed")


def test_the_project_of_the_path_has_to_be_the_keys(api: Api) -> None:
    key = api.key()
    api.key("project-2")
    refused(lambda: listed(api.client(wrong(key, project_id="project-2"))), "MSS.00010009")
    nobody = BasicCredentials(key.id, key.secret)
    client = MetaStudioClient.new_builder().with_credentials(nobody).with_endpoint(api.url).build()
    refused(lambda: listed(client), "MSS.00010009")


@pytest.mark.parametrize("role", list(Role))
def test_jobs_of_other_projects_are_not_there_whatever_the_role(api: Api, role: Role) -> None:
    client = api.client()
    job = create(client)
    stranger = api.client(api.key("project-2", role))
    assert listed(stranger).count == 0
    for call in (
        lambda: show(stranger, job.job_id), lambda: update(stranger, job.job_id, name="x"),
        lambda: delete(stranger, job.job_id),
    ):  # fmt: skip
        refused(call, "MSS.00000003")
    seen = listed(stranger, query_project_id="project-1").count
    assert seen == (0 if role is Role.USER else 1)


def test_the_callers_own_users_are_kept_apart_in_lists(client: Any) -> None:
    from huaweicloudsdkmetastudio.v1 import Create2dModelTrainingJobReq, Create2dModelTrainingJobRequest

    body = Create2dModelTrainingJobReq(name="Anna")
    client.create2d_model_training_job(Create2dModelTrainingJobRequest(body=body, x_app_user_id="用户-1"))
    create(client)
    assert listed(client).count == 2
    mine = listed(client, x_app_user_id="用户-1")
    assert (mine.count, mine.jobs[0].app_user_id) == (1, "用户-1")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/project-1/nothing", "MSS.00010003"),
        ("GET", f"/v1/project-1/{JOBS}/", "MSS.00010003"),
        ("GET", "/v1/", "MSS.00010003"),
        ("PATCH", f"/v1/project-1/{JOBS}", "MSS.00010004"),
        ("POST", f"/v1/project-1/{JOBS}/x", "MSS.00010004"),
        ("GET", "/v1/project-1/digital-assets/x/restore", "MSS.00010004"),
    ],
)
def test_urls_and_methods_that_there_are_not(api: Api, method: str, path: str, code: str) -> None:
    answer = web.request(method, api.url + path)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MSS.10000002"), (b"{", "MSS.10000002"), (b"\xff", "MSS.10000002"), (b"[]", "MSS.00000002"),
        (b"null", "MSS.00000002"), (b'{"name": 1}', "MSS.00000003"), (b"{}", "MSS.00000003"),
        (b'{"name": "a", "nickname": "b"}', "MSS.00000003"), (b'{"name": ""}', "MSS.00000003"),
        (b'{"name": "a", "video_multipart_count": 1001}', "MSS.00000003"),
        (b'{"name": "a", "video_multipart_count": "2"}', "MSS.00000003"),
        (b'{"name": "a", "is_flexus": "false"}', "MSS.00000003"),
        (b'{"name": "a", "model_version": "V4"}', "MSS.00000003"),
        (b'{"name": "a\\u0000b"}', "MSS.00000003"), (b'{"name": "\\ud800"}', "MSS.10000002"),
        (json.dumps({"name": "a" * 257}).encode(), "MSS.00000003"),
        (b'{"name": "a", "supported_service": ["VIDEO_3D"]}', "MSS.00000003"),
    ],
)  # fmt: skip
def test_bodies_that_are_not_taken(api: Api, body: bytes, code: str) -> None:
    headers = {"X-Auth-Token": api.key().token, "Content-Type": "application/json"}
    answer = web.post(f"{api.url}/v1/project-1/{JOBS}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code), answer.text
    assert len(answer.json()["error_msg"]) <= 256


def test_a_refusal_is_the_sdks_own_exception(client: Any) -> None:
    with pytest.raises(ClientRequestException) as caught:
        show(client, "unknown")
    error = caught.value
    assert (error.status_code, error.error_code) == (400, "MSS.00000003")
    assert "there is no job unknown" in error.error_msg


def test_an_sdk_that_was_given_no_project_is_told_so(api: Api) -> None:
    key = api.key()
    client = (
        MetaStudioClient.new_builder()
        .with_credentials(BasicCredentials(key.id, key.secret))
        .with_endpoint(api.url)
        .build()
    )
    error = refused(lambda: listed(client), "MSS.00010009", 400)
    assert "give the SDK's credentials a project_id" in error.error_msg
