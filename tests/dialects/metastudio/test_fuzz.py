"""Whatever is sent, the answer is one of ours: never a 500, never a redirect, always a name for the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from huaweicloudsdkmetastudio import v1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.app.app import App
from orchestrator.dialects.metastudio.operations import OPERATIONS
from orchestrator.domain.actors import Role
from tests import web
from tests.dialects.conftest import LiveClock, profiles
from tests.fakes.app import World, a_world

# The SDK's own models of what its operations send, by the words that they are named with there.
BODIES = (
    v1.Create2dModelTrainingJobReq, v1.Update2dModelTrainingJobReq, v1.Execute2dModelTrainingCommandByUserReq,
    v1.CreateDigitalAssetRequestBody, v1.UpdateDigitalAssetRequestBody, v1.ListAssetSummarysReq,
    v1.BatchAssetActionReq, v1.FilesCreateReq, v1.LargeFilesCreateReq, v1.ConfirmFileUploadRequestBody,
)  # fmt: skip
QUERIES = (v1.List2dModelTrainingJobRequest, v1.ListAssetsRequest, v1.Download2dModelTraningEncryptFileRequest)
WORDS = sorted(
    {
        value
        for model in (*BODIES, *QUERIES, v1.AutoOperationConfig, v1.SystemProperty, v1.AssetSharedConfig)
        for name, value in vars(model).items()
        if name.isupper() and isinstance(value, str)
    }
    | {"SUBMITVERIFYING", "CREATED", "VIDEO", "MAIN", "DELETE", "IMAGE", "UPDATE_VIDEO", "CONFIRM_REJECT", "Anna"}
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.sampled_from(WORDS)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(sorted({name for model in BODIES for name in model.attribute_map}))
bodies = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(names | st.text(max_size=5), anything, max_size=6).map(lambda body: json.dumps(body).encode()),
    st.sampled_from(BODIES).flatmap(
        lambda model: st.fixed_dictionaries({}, optional=dict.fromkeys(model.attribute_map, anything))
    ).map(lambda body: json.dumps(body).encode()),
    st.fixed_dictionaries({"asset_name": st.text(max_size=5), "asset_type": st.sampled_from(WORDS)}, optional={
        "tags": st.lists(st.text(max_size=4)), "asset_order": st.integers(0, 5)}).map(lambda b: json.dumps(b).encode()),
    st.fixed_dictionaries({"name": st.text(max_size=5), "tags": st.lists(st.text(max_size=4))}).map(
        lambda b: json.dumps(b).encode()),
)  # fmt: skip
queries = st.lists(
    st.tuples(
        st.sampled_from(sorted({name for model in QUERIES for name in model.attribute_map})),
        st.one_of(st.text(max_size=12), st.sampled_from(WORDS), st.integers(-5, 200).map(str)),
    ),
    max_size=4,
)


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


@pytest.fixture
def quick_world(url: str) -> Iterator[World]:
    """With a store in memory: what is fuzzed is our own reading and writing."""
    with a_world(url, profiles=profiles(), clock=LiveClock()) as world:
        yield world


def test_no_request_is_answered_with_a_500(quick_world: World, server: Callable[[App], str]) -> None:
    world = quick_world
    base = server(world.app)
    token = world.app.keys.create("project-1", Role.USER, "fuzz").token
    job = world.draft("metastudio")
    asset = world.app.library.create(world.owner, "VIDEO", "Clip", attributes={})
    file = world.app.asset_files.open(world.owner, asset.id, "MAIN", "a.mp4", size_bytes=3).file
    ids = [job.id, asset.id, file.id]
    segments = st.one_of(st.sampled_from(ids), st.text(min_size=1, max_size=10))

    with web.client() as http:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            operation=st.sampled_from(OPERATIONS), body=bodies, query=queries, known=st.booleans(), other=segments,
            user=st.none() | st.text(max_size=8),
        )  # fmt: skip
        def ask(
            operation: Any, body: bytes, query: list[tuple[str, str]], *, known: bool, other: str, user: str | None
        ) -> None:
            values = {"project_id": "project-1", "job_id": job.id, "asset_id": asset.id, "file_id": file.id}
            path = operation.path.format(
                **{
                    name: quote(value if known or name == "project_id" else other, safe="")
                    for name, value in values.items()
                }
            )
            headers = {b"X-Auth-Token": token.encode(), b"Content-Type": b"application/json"}
            if user is not None and "\r" not in user and "\n" not in user and "\0" not in user:
                headers[b"X-App-UserId"] = user.encode("utf-8", "replace")
            target = f"{base}/v1{path}?{urlencode(query, errors='replace')}"
            try:
                answer = http.request(operation.method, target, content=body, headers=list(headers.items()))
            except (httpx.LocalProtocolError, httpx.InvalidURL):  # not a request
                return
            assert answer.headers["X-Request-Id"]
            if answer.status_code != 200:
                told = answer.json()
                assert answer.status_code in {400, 401}, (answer.status_code, target, body, told)
                assert 1 <= len(told["error_code"]) <= 32
                assert 1 <= len(told["error_msg"]) <= 256

        ask()


@pytest.mark.parametrize("path", ["/project-1/user/jobs/%0A0", "/%0A0", "/project-1/%0D%0A/jobs"])
def test_a_line_end_in_a_path_is_answered_in_the_vendors_form(
    quick_world: World, server: Callable[[App], str], path: str
) -> None:
    answer = web.get(f"{server(quick_world.app)}/v1{path}")
    assert answer.status_code == 400
    assert answer.json()["error_code"].startswith("MSS.")


@settings(max_examples=100, deadline=None)
@given(value=st.binary(max_size=80), date=st.binary(max_size=20))
def test_no_authorization_breaks_the_check(value: bytes, date: bytes) -> None:
    from orchestrator.dialects.metastudio import signing

    headers = [(b"authorization", signing.ALGORITHM.encode() + b" " + value), (b"x-sdk-date", date), (b"host", b"h")]
    received = signing.Received("GET", b"/v1/%zz/%ff", b"a&=b&%", headers, b"")
    try:
        said = signing.Authorization.parse(received.header("authorization") or "")
        signing.signed_at(received)
        signing.is_signed_with("secret", received, said)
    except signing.NotSigned:
        pass
