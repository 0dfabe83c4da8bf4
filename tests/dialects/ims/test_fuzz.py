"""Whatever comes: an answer in the vendor's form, and never a fault of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.dialects.common.received import NotSigned, Received
from orchestrator.dialects.ims import signing
from orchestrator.dialects.ims.errors import NotAdmitted
from orchestrator.dialects.ims.operations import OPERATIONS
from tests import web
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import UPPER_UUID
from tests.dialects.ims.test_access import headers
from tests.dialects.ims.test_jobs import create

AVATARS = tuple(operation for operation in OPERATIONS if "Avatar" in operation.name)
names = st.sampled_from(
    sorted({str(field.alias) for operation in AVATARS for field in operation.parameters.model_fields.values()})
)
values = st.one_of(
    st.text(max_size=20), st.integers().map(str), st.sampled_from(["", "True", "\0", "Init", "2DAvatar", "x" * 32]),
    st.text(alphabet="é七\U0001f600", max_size=1001),
)  # fmt: skip


def test_no_parameters_break_an_action(api: Api) -> None:
    key = api.key()
    job_id = create(api.client(key))
    with web.client() as http:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            operation=st.sampled_from(AVATARS), told=st.lists(st.tuples(names, values), max_size=5),
            known=st.booleans(), odd=st.binary(max_size=10),
        )  # fmt: skip
        def ask(operation: Any, told: list[tuple[str, str]], odd: bytes, *, known: bool) -> None:
            query = urlencode([*told, *([("JobId", job_id)] if known else [])], errors="replace")
            query += "".join(f"&%{byte:02x}" for byte in odd)
            sent = headers(api, key, operation.name, query)
            answer = http.post(f"{api.url}/?{query}", headers=sent)
            said = answer.json()
            assert answer.status_code in {200, 400, 404}, (operation.name, query, said)
            assert UPPER_UUID.fullmatch(said["RequestId"])
            assert answer.status_code == 200 or (said["Code"] and said["Message"] and said["HostId"] == api.host)

        ask()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    authorization=st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda b: b"ACS3-HMAC-SHA256 " + b)),
    query=st.binary(max_size=80), date=st.binary(max_size=20), body=st.binary(max_size=30),
)  # fmt: skip
def test_no_signature_breaks_the_check(authorization: bytes, query: bytes, date: bytes, body: bytes) -> None:
    form = b"application/x-www-form-urlencoded"
    for sent in ([(b"authorization", authorization), (b"x-acs-date", date)], [(b"content-type", form)]):
        received = Received("POST", b"/", query + b"&Signature=x&AccessKeyId=y", [*sent, (b"host", b"h")], body)
        with suppress(NotAdmitted, NotSigned):
            signing.claim_of(received, "GetAvatar", "2020-11-09").is_signed_with("secret")


def test_no_raw_request_breaks_the_server(api: Api) -> None:
    with web.client() as http:

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            method=st.sampled_from(["POST", "GET", "PUT", "HEAD"]),
            path=st.sampled_from(["/", "/ims/", "//", "/api", "/v1"]), body=st.binary(max_size=50),
            action=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
        )  # fmt: skip
        def ask(method: str, path: str, action: str, body: bytes) -> None:
            sent = {"x-acs-action": action, "x-acs-version": "2020-11-09", "content-type": "application/json"}
            answer = http.request(method, api.url + path, headers=sent, content=body)
            assert answer.status_code in {400, 404, 405}
            if method != "HEAD":
                assert answer.json()["Code"] in {"InvalidAction.NotFound", "MissingAction", "IncompleteSignature"}

        ask()
