"""All vectors of the signing rules, made by the vendor's own signer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.dialects.metastudio import signing
from orchestrator.dialects.metastudio.signing import Authorization, NotSigned, Received

AK, SK = "AKTESTEXAMPLE0000001", "SkTestExample/NotARealSecret+0000000001"
DATE = "20250102T030405Z"
PROJECT = "0123456789abcdef0123456789abcdef"
JOBS = f"/v1/{PROJECT}/digital-human-training-manage/user/jobs/26f065244f754b3aa853b649a21aaf66"
SIGNED = "content-type;host;user-agent;x-project-id;x-sdk-date"
UPDATE = (
    b'{"name": "Test Role", "contact": "1**********", "command_message": "UPDATE_VIDEO", "video_multipart_count": 2,'
    b' "is_background_replacement": true}'
)


def received(method: str, target: str, signed: str, signature: str, body: bytes = b"", **more: str) -> Received:
    path, _, query = target.partition("?")
    headers = {
        "content-type": "application/json", "user-agent": "vector-client/1.0", "x-sdk-date": DATE,
        "x-project-id": PROJECT, "host": "127.0.0.1:8080", **{name.replace("_", "-"): v for name, v in more.items()},
        "authorization": f"{signing.ALGORITHM} Access={AK}, SignedHeaders={signed}, Signature={signature}",
    }  # fmt: skip
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Received(method, path.encode(), query.encode(), pairs, body)


H1 = received(
    "GET",
    f"/v1/{PROJECT}/digital-assets?action_editable=true&asset_id=id1&asset_id=id2&limit=10"
    "&name=a%20b%2Bc%2Ad~e%2Ff%20%C3%A9&offset=0&system_property=BACKGROUND_IMG%3AYes",
    SIGNED, "6dfbf308f0db32357a1a6216c6c52734b69c180beae28b40f82dbea3ce9a958f",
)  # fmt: skip
H2 = received("PUT", JOBS, SIGNED, "15303e0d64ccf09cfef5fe0b27e004d6ccdfd8bf6b57459ba06fe38299f525f3", UPDATE)
H3 = received(
    "POST", f"{JOBS}/command",
    "content-type;host;user-agent;x-app-userid;x-project-id;x-sdk-date;x-security-token",
    "53c9d0726b4a67d9190db318c35d0ff913ac1eb5e1eb63ab558b275079df1a4c", b'{"command": "SUBMITVERIFYING"}',
    x_app_userid="用户-1", x_security_token="STSTOKEN/EXAMPLE+==",
)  # fmt: skip
H4 = received(
    "POST", f"/v1/{PROJECT}/digital-assets/a%2Fb%20c%25%C3%A9/restore", SIGNED,
    "7d38ec4975f2674c32f53bf4aae53baf726ef127f04982409487432c95bd66f5",
)  # fmt: skip
HASHES = {
    "H1": (H1, "47c79f5cfafdfa882bc2a369121ac295c9e364e09692371338b1ba2b3fe56d96"),
    "H2": (H2, "c8f657d9ed22234c069de97a31c5079bad4ed142dfc5b05b4436890ac26ab0ee"),
    "H3": (H3, "b6243c0415542aa404145b0dd2a4ddf9e4a841fac104265cff9607723b10cb9c"),
    "H4": (H4, "476b96b363c39d0687cec640eab9f814d712cc1c3a404d9a209d052d212936d0"),
}


def authorization(of: Received) -> Authorization:
    return Authorization.parse(of.header("authorization") or "")


@pytest.mark.parametrize("name", HASHES)
def test_the_vector_verifies(name: str) -> None:
    vector, hashed = HASHES[name]
    said = authorization(vector)
    canonical = signing.canonical_request(vector, said.signed_headers)
    assert signing.string_to_sign(DATE, canonical) == f"{signing.ALGORITHM}\n{DATE}\n{hashed}"
    assert said.access_key == AK
    assert signing.is_signed_with(SK, vector, said)
    assert not signing.is_signed_with(SK + "x", vector, said)


def test_the_canonical_request_of_the_first_vector_is_the_published_one() -> None:
    path, query = H1.path.decode(), H1.query.decode()
    assert signing.canonical_request(H1, authorization(H1).signed_headers).splitlines() == [
        "GET", f"{path}/", query, "content-type:application/json", "host:127.0.0.1:8080",
        "user-agent:vector-client/1.0", f"x-project-id:{PROJECT}", f"x-sdk-date:{DATE}", "", SIGNED,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ]  # fmt: skip


def test_the_order_of_the_query_does_not_matter() -> None:
    turned = b"&".join(reversed(H1.query.split(b"&")))
    other = Received(H1.method, H1.path, turned, H1.headers, H1.body)
    assert signing.is_signed_with(SK, other, authorization(H1))


@pytest.mark.parametrize(
    "changed",
    [
        Received("POST", H2.path, H2.query, H2.headers, H2.body),
        Received(H2.method, H2.path + b"x", H2.query, H2.headers, H2.body),
        Received(H2.method, H2.path, b"a=b", H2.headers, H2.body),
        Received(H2.method, H2.path, H2.query, H2.headers, H2.body + b" "),
        Received(H2.method, H2.path, H2.query, [(n, v + b"x" if n == b"host" else v) for n, v in H2.headers], H2.body),
    ],
)
def test_whatever_is_changed_on_the_way_is_noticed(changed: Received) -> None:
    assert not signing.is_signed_with(SK, changed, authorization(H2))


@pytest.mark.parametrize(
    "value",
    [
        "", "Basic abc", f"{signing.ALGORITHM} Access={AK}",
        f"SDK-HMAC-SM3 Access={AK}, SignedHeaders={SIGNED}, Signature={'0' * 64}",
        f"V11-HMAC-SHA256 Credential={AK}/20250102/local-1/metastudio, SignedHeaders={SIGNED}, Signature={'b' * 64}",
        f"{signing.ALGORITHM} Access={AK}, SignedHeaders={SIGNED}, Signature={'A' * 64}",
    ],
)  # fmt: skip
def test_other_algorithms_and_forms_are_refused(value: str) -> None:
    with pytest.raises(NotSigned):
        Authorization.parse(value)


def test_host_and_date_have_to_be_signed() -> None:
    for left_out in ("host", "x-sdk-date", "x-project-id"):
        with pytest.raises(NotSigned, match=left_out):
            signing.canonical_request(H1, [name for name in SIGNED.split(";") if name != left_out])


def test_a_header_that_came_twice_proves_nothing() -> None:
    twice = Received(H1.method, H1.path, H1.query, [*H1.headers, (b"host", b"other")], H1.body)
    with pytest.raises(NotSigned, match="2 times"):
        signing.is_signed_with(SK, twice, authorization(H1))


def test_a_signature_is_good_for_fifteen_minutes_in_both_directions() -> None:
    at = signing.signed_at(H1)
    assert at == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    for off, fresh in ((900, True), (-900, True), (901, False), (-901, False)):
        assert signing.is_fresh(at, at + timedelta(seconds=off)) is fresh


@pytest.mark.parametrize("date", ["", "20251302T030405Z", "2025-01-02T03:04Z"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    headers = [(name, date.encode() if name == b"x-sdk-date" else value) for name, value in H1.headers]
    with pytest.raises(NotSigned):
        signing.signed_at(Received(H1.method, H1.path, H1.query, headers, H1.body))
