"""URLs that were changed, overdue or used for other bytes than they were signed for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.uploads.attacker import EVIL, GOOD, changed, put

pytestmark = pytest.mark.timeout(120)


def signature_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["X-Amz-Signature"]


TAMPERED = {
    "part number": lambda url, _: changed(url, partNumber="2"),
    "part number 0": lambda url, _: changed(url, partNumber="0"),
    "no part number": lambda url, _: changed(url, partNumber=None),
    "upload id": lambda url, other: changed(url, uploadId=dict(parse_qsl(urlsplit(other).query))["uploadId"]),
    "no upload id": lambda url, _: changed(url, uploadId=None, partNumber=None),
    "key": lambda url, other: changed(url, urlsplit(other).path),
    "final key": lambda url, _: changed(url, re.sub(r"/staging/[^/]*$", "/files/" + "0" * 32, urlsplit(url).path)),
    "dots in the key": lambda url, _: changed(url, urlsplit(url).path + "/../x"),
    "signature": lambda url, _: changed(url, X_Amz_Signature=signature_of(url)[::-1]),
    "signature of another": lambda url, other: changed(url, X_Amz_Signature=signature_of(other)),
    "no signature": lambda url, _: changed(url, X_Amz_Signature=None),
    "lifetime": lambda url, _: changed(url, X_Amz_Expires="604800"),
    "date": lambda url, _: changed(url, X_Amz_Date=(datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")),
    "signed headers": lambda url, _: changed(url, X_Amz_SignedHeaders="host"),
    "more in the query": lambda url, _: url + "&acl",
    "credential": lambda url, _: url.replace("X-Amz-Credential=", "X-Amz-Credential=nobody"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_url_that_was_tampered_with_is_refused(target, how):
    upload, other = target.open(), target.open()
    url = TAMPERED[how](upload.urls[1], other.urls[1])
    assert url != upload.urls[1]
    assert put(url, EVIL) >= 400
    target.took_nothing(upload)
    target.took_nothing(other)


def test_a_url_is_dead_after_its_time(target):
    target.world.clock.now -= timedelta(hours=30)
    upload = target.open()
    target.world.clock.now += timedelta(hours=30)
    assert put(upload.urls[1], EVIL) >= 400
    assert put(changed(upload.urls[1], X_Amz_Expires="604800"), EVIL) >= 400
    target.took_nothing(upload)
    assert put(target.uploads.sign_again(target.owner, upload.file.id).urls[1], GOOD) == 200
    target.holds(target.uploads.confirm(target.owner, upload.file.id))


@pytest.mark.parametrize("size", [0, 1, len(GOOD) - 1, len(GOOD) + 1, 100_000])
def test_another_length_than_the_one_told_is_refused(target, size):
    upload = target.open()
    assert put(upload.urls[1], b"x" * size) >= 400
    target.took_nothing(upload)
