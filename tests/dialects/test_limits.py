"""How often keys may ask and addresses may fail to sign in, and how each API says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from orchestrator.domain.actors import Role
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings
from tests.fakes.app import a_world
from tests.fakes.client import AsgiClient

METASTUDIO = "/v1/project-1/digital-human-training-manage/user/jobs"


class Served:
    """The APIs under limits, and three keys."""

    def __init__(self, client: AsgiClient, tokens: list[str]) -> None:
        self._client = client
        self.tokens = tokens

    def native(self, token: str) -> httpx.Response:
        return self._client.get("/api/v1/counts", headers={"Authorization": f"Bearer {token}"})

    def metastudio(self, token: str) -> httpx.Response:
        return self._client.get(METASTUDIO, headers={"X-Auth-Token": token})

    def signed_wrongly(self, access_key: str) -> httpx.Response:
        said = f"SDK-HMAC-SHA256 Access={access_key}, SignedHeaders=x-sdk-date, Signature={'0' * 64}"
        headers = {"Authorization": said, "X-Sdk-Date": "20200101T000000Z"}
        return self._client.get(METASTUDIO, headers=headers)

    def health(self) -> int:
        return self._client.get("/livez").status_code


@pytest.fixture
def served(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Served]:
    with ExitStack() as stack:
        world = stack.enter_context(a_world(sqlite_url))
        settings = Settings.model_validate({"api": request.param})
        client = stack.enter_context(AsgiClient(create_asgi(settings, app=world.app)))
        yield Served(client, [world.app.keys.create("project-1", Role.USER, f"key-{n}").token for n in range(2)])


@pytest.mark.parametrize("served", [{"requests_per_key": "2/hour"}], indirect=True)
def test_a_key_that_asks_too_often_is_told_when_to_come_again_in_the_words_of_the_api(served: Served):
    first, second = served.tokens
    assert [served.native(first).status_code, served.metastudio(first).status_code] == [200, 200]

    refused = served.native(first)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert 3590 <= int(refused.headers["retry-after"]) <= 3601
    assert "2/hour" in refused.json()["detail"]

    refused = served.metastudio(first)
    assert (refused.status_code, refused.json()["error_code"]) == (429, "APIGW.0308")
    assert 3590 <= int(refused.headers["retry-after"]) <= 3601
    assert served.native(second).status_code == 200


@pytest.mark.parametrize("served", [{"requests_per_key": "2/hour", "failed_sign_ins": ""}], indirect=True)
def test_nobody_uses_up_the_limit_of_a_key_that_is_not_theirs(served: Served):
    for _ in range(5):
        assert served.native("guess").status_code == 401
        assert served.signed_wrongly("AKOFSOMEBODY").status_code == 401
    assert served.native(served.tokens[0]).status_code == 200


@pytest.mark.parametrize("served", [{"failed_sign_ins": "3/hour"}], indirect=True)
def test_an_address_that_fails_too_often_is_not_let_in_for_a_while(served: Served):
    token = served.tokens[0]
    failed = [served.native("guess"), served.metastudio("guess"), served.signed_wrongly("AK")]
    assert [answer.status_code for answer in failed] == [401, 401, 401]
    for refused in (served.native(token), served.metastudio(token)):
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 3000
    assert served.health() == 200


@pytest.mark.parametrize("served", [{"failed_sign_ins": "3/hour"}], indirect=True)
def test_signing_in_well_is_no_failure(served: Served):
    assert {served.native(served.tokens[0]).status_code for _ in range(10)} == {200}
