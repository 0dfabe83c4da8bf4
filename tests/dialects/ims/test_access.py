"""Who is let in: signatures of both kinds, nonces, times, tokens, and walls between tenants."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from alibabacloud_ice20201109 import models
from alibabacloud_tea_openapi.exceptions import ThrottlingException

from orchestrator.app.keys import NewKey
from orchestrator.domain.actors import Role
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings
from tests import web
from tests.dialects.conftest import Served
from tests.dialects.ims import signed
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import UPPER_UUID, call, refused
from tests.dialects.ims.test_jobs import create, show

MISSING = "InvalidParameter.ResourceNotFound"


def listed(client: Any, **query: object) -> Any:
    return call(client, "list_avatar_training_jobs", **query).data


def headers(api: Api, key: NewKey, action: str, query: str = "", **changed: str) -> dict[str, str]:
    return signed.headers(api.host, key, action, query, **changed)


def post(api: Api, query: str, sent: dict[str, str], method: str = "POST") -> httpx.Response:
    return web.request(method, f"{api.url}/?{query}", headers=sent)


def test_sync_async_legacy_and_temporary_keys_all_come_in(api: Api) -> None:
    key = api.key()
    client = api.client(key)
    job_id = create(client, "Anna é")
    for other in (
        api.client(key, signature_algorithm="v2"), api.client(key, security_token=key.token),
        api.client(key, security_token=key.token, signature_algorithm="v2"), api.client(key, endpoint=api.url),
        api.client(key, endpoint=f"{api.host}/"), api.client(key, endpoint=f"{api.host}/ims"),
    ):  # fmt: skip
        assert show(other, job_id).avatar_name == "Anna é"

    async def ask() -> list[Any]:
        request = models.GetAvatarTrainingJobRequest(job_id=job_id)
        return await asyncio.gather(*(client.get_avatar_training_job_async(request) for _ in range(3)))

    for answer in asyncio.run(ask()):
        assert answer.body.data.avatar_training_job.job_id == job_id
        assert answer.headers["x-acs-request-id"] == answer.body.request_id
        assert answer.headers["content-type"] == "application/json;charset=utf-8"


@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_who_is_not_let_in(api: Api, algorithm: str | None) -> None:
    key, other = api.key(), api.key()
    refused(
        lambda: listed(api.client(key, access_key_secret="x", signature_algorithm=algorithm)), "SignatureDoesNotMatch"
    )
    refused(
        lambda: listed(api.client(key, access_key_id="LTAI", signature_algorithm=algorithm)),
        "InvalidAccessKeyId.NotFound", 404,
    )  # fmt: skip
    refused(
        lambda: listed(api.client(key, security_token=other.token, signature_algorithm=algorithm)),
        "InvalidSecurityToken.MismatchWithAccessKey",
    )
    api.world.app.keys.disable(key.id)
    refused(lambda: listed(api.client(key, signature_algorithm=algorithm)), "InvalidAccessKeyId.Inactive")


@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_a_temporary_key_needs_its_security_token_and_ends(api: Api, algorithm: str | None) -> None:
    clock = api.world.clock
    clock.advance(timedelta(minutes=-10))
    key = api.world.app.keys.create("project-1", Role.USER, "temporary", lifetime=timedelta(minutes=15))
    clock.advance(timedelta(minutes=10))
    whole = api.client(key, security_token=key.token, signature_algorithm=algorithm)
    assert listed(whole).total_count == 0
    refused(
        lambda: listed(api.client(key, signature_algorithm=algorithm)), "InvalidSecurityToken.MismatchWithAccessKey"
    )
    clock.advance(timedelta(minutes=6))
    refused(lambda: listed(whole), "InvalidAccessKeyId.Inactive")


def test_a_length_is_told_in_characters(api: Api) -> None:
    error = refused(lambda: call(api.client(), "get_media_info", media_id="short"), "InvalidParameter")
    assert "at least 32 characters" in error.data["Message"]


def test_a_request_comes_once(api: Api) -> None:
    key, other = api.key(), api.key()
    sent = headers(api, key, "ListAvatarTrainingJobs")
    # refused requests use up no nonce
    forged = sent | {"authorization": sent["authorization"][:-1] + ("0" if sent["authorization"][-1] != "0" else "1")}
    assert post(api, "", forged).json()["Code"] == "SignatureDoesNotMatch"
    assert post(api, "", sent).status_code == 200
    again = post(api, "", sent)
    assert (again.status_code, again.json()["Code"]) == (400, "SignatureNonceUsed")
    # whichever process sees it again: another one on the same database
    with Served(create_asgi(Settings(), app=api.world.process())) as elsewhere:
        answer = web.post(f"{elsewhere}/", headers=sent)
    assert (answer.status_code, answer.json()["Code"]) == (400, "SignatureNonceUsed")
    nonce = {"x-acs-signature-nonce": sent["x-acs-signature-nonce"]}
    assert post(api, "PageNo=1", headers(api, key, "ListAvatarTrainingJobs", "PageNo=1", **nonce)).status_code == 400
    assert post(api, "", headers(api, other, "ListAvatarTrainingJobs", **nonce)).status_code == 200


def test_a_clock_may_be_fifteen_minutes_off(api: Api) -> None:
    key = api.key()
    for minutes, code in ((14, None), (-14, None), (16, "InvalidTimeStamp.Expired"), (-16, "InvalidTimeStamp.Expired")):
        date = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = post(api, "", headers(api, key, "ListAvatarTrainingJobs", **{"x-acs-date": date}))
        assert (answer.status_code, answer.json().get("Code")) == (200 if code is None else 400, code)


def test_tenants_see_nothing_of_each_other_whatever_the_role(api: Api) -> None:
    job_id = create(api.client())
    for role in Role:
        stranger = api.client(api.key("project-2", role))
        assert listed(stranger).total_count == 0
        for action in ("get", "submit", "delete", "update"):
            request = partial(call, stranger, f"{action}_avatar_training_job", job_id=job_id)
            refused(partial(request, avatar_name="x") if action == "update" else request, MISSING, 404)


def test_actions_and_versions_that_there_are_not(api: Api) -> None:
    key = api.key()
    for action, changed, status, code in (
        ("DropEverything", {}, 404, "InvalidAction.NotFound"),
        ("GetAvatar", {"x-acs-version": "2019-01-01"}, 400, "InvalidVersion"),
        ("GetAvatar", {"x-acs-version": ""}, 400, "MissingVersion"),
    ):
        answer = post(api, "", headers(api, key, action, **changed))
        assert (answer.status_code, answer.json()["Code"]) == (status, code)
        assert UPPER_UUID.fullmatch(answer.json()["RequestId"])
        assert answer.json()["HostId"] == api.host
    for method, query, code in (
        ("POST", "", "MissingAction"), ("POST", "Action=GetAvatar&Version=2020-11-09", "IncompleteSignature"),
        ("GET", "Action=GetAvatar&Version=2020-11-09", "IncompleteSignature"),
    ):  # fmt: skip
        answer = post(api, query, {}, method)
        assert (answer.status_code, answer.json()["Code"]) == (400, code)
    answer = web.put(f"{api.url}/", headers={"x-acs-action": "GetAvatar", "x-acs-version": "2020-11-09"})
    assert (answer.status_code, answer.json()["Code"]) == (405, "UnsupportedHTTPMethod")


def test_parameters_may_come_as_a_form(api: Api) -> None:
    key = api.key()
    job_id = create(api.client(key))
    form = urlencode({"JobId": job_id, "AvatarName": "Änne", "Transparent": "true"}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    sent = signed.headers(api.host, key, "UpdateAvatarTrainingJob", body=form, **kind)
    assert web.post(f"{api.url}/", headers=sent, content=form).status_code == 200
    shown = show(api.client(key), job_id)
    assert (shown.avatar_name, shown.transparent) == ("Änne", True)


def test_who_asks_too_often_is_told_when_to_ask_again(api: Api) -> None:
    settings = Settings(api={"requests_per_key": "2/minute"})  # type: ignore[arg-type]  # parsed by the model
    with Served(create_asgi(settings, app=api.world.app)) as url:
        client = api.client(endpoint=url.removeprefix("http://"))
        listed(client)
        listed(client)
        with pytest.raises(ThrottlingException) as caught:
            listed(client)
    assert (caught.value.status_code, caught.value.code) == (400, "Throttling.User")
    assert 1000 <= caught.value.retry_after <= 61_000
