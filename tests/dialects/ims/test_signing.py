"""The check of signatures against vectors that the vendor's own client made with time, nonce and User-Agent fixed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from orchestrator.dialects.common.received import Received
from orchestrator.dialects.ims import signing
from orchestrator.dialects.ims.errors import NotAdmitted

KEY, SECRET = "LTAIEXAMPLE000000000001", "ExampleSecretNotReal0000000001"
AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
NONCE = "00112233445566778899aabbccddeeff"
EMPTY = hashlib.sha256(b"").hexdigest()
JOB = "0123456789abcdef0123456789abcdef"

UNDERSIGNED = f"ACS3-HMAC-SHA256 Credential={KEY},SignedHeaders=host,Signature={EMPTY}"


class Vector(NamedTuple):
    """A request on the wire, and what was signed on the way to its signature."""

    action: str
    query: str
    canonical_query: str
    signature: str
    hashed: str
    more: Sequence[tuple[str, str]] = ()


VECTORS = (
    Vector(
        "UpdateAvatarTrainingJob",
        f"AvatarDescription=a+b%2Bc%2Ad~e%2Ff&AvatarName=Sara+%E4%BD%A0%E5%A5%BD&JobId={JOB}&Transparent=False",
        f"AvatarDescription=a%20b%2Bc%2Ad~e%2Ff&AvatarName=Sara%20%E4%BD%A0%E5%A5%BD&JobId={JOB}&Transparent=False",
        "572379768f53d7e63e07f7f951a119ac27da27926f8f6f2951d8a11d7bbe7d14",
        "0073829df15ab4d61778c032008a759deef27c2be328ab12de1390f66824852c",
        [("x-acs-credentials-provider", "static_ak")],
    ),
    Vector(
        "ListAvatarTrainingJobs", "PageNo=1&PageSize=10&Status=Success", "PageNo=1&PageSize=10&Status=Success",
        "eaad7909846b54a5317c44fbd455baae9bb69447ae81adb353bee059d33ecb82",
        "e9fca111826c73724427823116e105be9433f5f105fa99a2593ff0a436414790",
        [("x-acs-credentials-provider", "static_ak")],
    ),
    Vector(
        "SubmitAvatarTrainingJob", f"JobId={JOB}", f"JobId={JOB}",
        "ae514f2dbdd156b9b978724e805b8f62e637848a0554ac1fbb8edcab49132311",
        "90d2af5dca1bda7b40a473b15e00f204541ea902c5d81dfc548bd83573708474",
        [
            ("x-acs-credentials-provider", "static_sts"), ("x-acs-accesskey-id", KEY),
            ("x-acs-security-token", "STS/TOKEN+EXAMPLE=="),
        ],
    ),
)  # fmt: skip

LEGACY_QUERY = (
    f"Action=ListAvatarTrainingJobs&Format=json&Version=2020-11-09&Timestamp=2025-01-02T03%3A04%3A05Z&SignatureNonce={NONCE}"
    f"&PageNo=1&PageSize=10&Status=Success&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&AccessKeyId={KEY}"
    "&Signature=1y7%2BSX1IIE2Oez2kRy1dt82OD3Y%3D"
)
LEGACY_TEXT = (
    "POST&%2F&AccessKeyId%3DLTAIEXAMPLE000000000001%26Action%3DListAvatarTrainingJobs%26Format%3Djson%26PageNo%3D1"
    "%26PageSize%3D10%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D00112233445566778899aabbccddeeff"
    "%26SignatureVersion%3D1.0%26Status%3DSuccess%26Timestamp%3D2025-01-02T03%253A04%253A05Z%26Version%3D2020-11-09"
)


def received(vector: Vector) -> Received:
    headers = {
        "host": "127.0.0.1:8080", "x-acs-version": "2020-11-09", "x-acs-action": vector.action,
        "user-agent": "vector-client/1.0", "x-acs-date": "2025-01-02T03:04:05Z", "x-acs-signature-nonce": NONCE,
        "accept": "application/json", "x-acs-content-sha256": EMPTY, **dict(vector.more),
    }  # fmt: skip
    names = ";".join(sorted(headers))
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential={KEY},SignedHeaders={names},Signature={vector.signature}"
    return Received("POST", b"/", vector.query.encode(), [(n.encode(), v.encode()) for n, v in headers.items()], b"")


def legacy(query: str = LEGACY_QUERY, **headers: str) -> Received:
    named = {"host": "127.0.0.1:8080", **headers}
    return Received("POST", b"/", query.encode(), [(n.encode(), v.encode()) for n, v in named.items()], b"")


def with_header(request: Received, name: str, value: str | None) -> Received:
    kept = [pair for pair in request.headers if pair[0] != name.encode()]
    return replace(request, headers=kept + ([] if value is None else [(name.encode(), value.encode())]))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.action for vector in VECTORS])
def test_vectors_of_version_3(vector: Vector) -> None:
    request = received(vector)
    assert signing.canonical_query(signing.pairs_of(request.query)) == vector.canonical_query
    claim = signing.claim_of(request, vector.action, "2020-11-09")
    assert claim.string_to_sign == f"ACS3-HMAC-SHA256\n{vector.hashed}"
    assert (claim.access_key, claim.nonce, claim.signed_at) == (KEY, NONCE, AT)
    assert claim.security_token == dict(vector.more).get("x-acs-security-token")
    assert claim.is_signed_with(SECRET)
    assert not claim.is_signed_with(f"{SECRET}x")


def test_the_vector_of_the_legacy_signature() -> None:
    claim = signing.claim_of(legacy(), "ListAvatarTrainingJobs", "2020-11-09")
    assert claim.string_to_sign == LEGACY_TEXT
    assert (claim.access_key, claim.nonce, claim.signed_at) == (KEY, NONCE, AT)
    assert claim.is_signed_with(SECRET)
    assert not claim.is_signed_with(f"{SECRET}x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "127.0.0.1:8081"), ("x-acs-date", "2025-01-02T03:04:06Z"), ("x-acs-signature-nonce", "f" * 32),
        ("x-acs-action", "DeleteAvatarTrainingJob"), ("accept", "text/plain"), ("user-agent", "other"),
    ],
)  # fmt: skip
def test_every_signed_header_counts(name: str, value: str) -> None:
    claim = signing.claim_of(with_header(received(VECTORS[1]), name, value), VECTORS[1].action, "2020-11-09")
    assert not claim.is_signed_with(SECRET)


def test_query_and_method_count() -> None:
    request = received(VECTORS[1])
    for changed in (replace(request, query=request.query + b"0"), replace(request, method="GET")):
        assert not signing.claim_of(changed, VECTORS[1].action, "2020-11-09").is_signed_with(SECRET)
    # the path does not: the SDK signs `/` whatever path its endpoint has; nor does the order of the query
    reordered = replace(request, path=b"/ims/", query=b"Status=Success&PageSize=10&PageNo=1")
    assert signing.claim_of(reordered, VECTORS[1].action, "2020-11-09").is_signed_with(SECRET)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x-acs-date", "2025-01-02 03:04:05", "InvalidTimeStamp.Format"),
        ("x-acs-date", "2025-13-02T03:04:05Z", "InvalidTimeStamp.Format"),
        ("x-acs-date", None, "IncompleteSignature"), ("x-acs-signature-nonce", "", "IncompleteSignature"),
        ("x-acs-signature-nonce", "f" * 129, "IncompleteSignature"),
        ("x-acs-content-sha256", "0" * 64, "SignatureDoesNotMatch"),
        ("x-acs-content-sha256", None, "IncompleteSignature"), ("authorization", "Bearer x", "IncompleteSignature"),
        ("authorization", None, "IncompleteSignature"),
        ("authorization", UNDERSIGNED, "IncompleteSignature"),
        ("x-acs-accesskey-id", "LTAIOTHER", "IncompleteSignature"),
        ("x-acs-security-token", "put in on the way", "IncompleteSignature"),
    ],
)  # fmt: skip
def test_what_is_no_signature(name: str, value: str | None, code: str) -> None:
    with pytest.raises(NotAdmitted) as caught:
        signing.claim_of(with_header(received(VECTORS[1]), name, value), VECTORS[1].action, "2020-11-09")
    assert (caught.value.status, caught.value.code) == (400, code)


def test_a_body_is_signed_with_its_type() -> None:
    body = b"PageNo=1"
    request = replace(
        with_header(received(VECTORS[1]), "x-acs-content-sha256", hashlib.sha256(body).hexdigest()), body=body
    )
    with pytest.raises(NotAdmitted, match="content-type"):
        signing.claim_of(request, VECTORS[1].action, "2020-11-09")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (legacy(LEGACY_QUERY.replace("&PageNo=1", "&PageNo=1&PageNo=2")), "IncompleteSignature"),
        (legacy(LEGACY_QUERY.replace("HMAC-SHA1", "HMAC-MD5")), "IncompleteSignature"),
        (legacy(LEGACY_QUERY.replace("&AccessKeyId=", "&Other=")), "IncompleteSignature"),
        (legacy(LEGACY_QUERY.replace("Timestamp=2025", "Timestamp=25")), "InvalidTimeStamp.Format"),
        (legacy(LEGACY_QUERY.replace("Action=List", "Action=Drop")), "IncompleteSignature"),
        (legacy("Action=ListAvatarTrainingJobs&Version=2020-11-09"), "IncompleteSignature"),
    ],
)
def test_what_is_no_legacy_signature(request_: Received, code: str) -> None:
    with pytest.raises(NotAdmitted) as caught:
        signing.claim_of(request_, "ListAvatarTrainingJobs", "2020-11-09")
    assert caught.value.code == code


def test_a_form_is_signed_like_a_query() -> None:
    query, _, rest = LEGACY_QUERY.partition("&PageNo")
    form = replace(
        legacy(query, **{"content-type": "application/x-www-form-urlencoded; charset=utf-8"}),
        body=f"PageNo{rest}".encode(),
    )
    assert signing.claim_of(form, "ListAvatarTrainingJobs", "2020-11-09").is_signed_with(SECRET)
