"""The fast signer gives what boto3 gives, byte for byte, for everything that boto3 takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.s3 import presign
from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.presign import Validity
from orchestrator.domain.downloads import attachment
from orchestrator.domain.errors import Invalid
from tests.unit.adapters.s3.reference import url_of

NOW = datetime(2026, 11, 20, 18, 0, 7, tzinfo=UTC)
KEY_PAIR = {"bucket": "some-bucket", "access_key": "AKEXAMPLE", "secret_key": "s/e+cr=et"}
TOKEN = "FwoGZXIvYXdzE+/=x&y%"

STORES = {
    "path": S3Options("http://127.0.0.1:9000", **KEY_PAIR),
    "path with a usual port": S3Options("https://store.example:443", **KEY_PAIR),
    "path on an IPv6 address": S3Options("http://[::1]:9000", **KEY_PAIR),
    "path with capitals": S3Options("https://Store.Example", **KEY_PAIR),
    "path below a folder": S3Options("https://store.example/s3", **KEY_PAIR),
    "virtual host": S3Options("https://oss.example", profile="oss", region="cn-hangzhou", **KEY_PAIR),
    "virtual host asked of an address": S3Options("http://127.0.0.1:9000", addressing="virtual", **KEY_PAIR),
    "virtual host with a dotted bucket": S3Options(
        "https://obs.example", profile="obs", **(KEY_PAIR | {"bucket": "a.dotted.bucket"})
    ),
    "temporary credentials": S3Options("http://127.0.0.1:9000", session_token=TOKEN, **KEY_PAIR),
    "aws": S3Options("", profile="aws", **KEY_PAIR),
    "aws elsewhere": S3Options("", profile="aws", region="eu-west-1", session_token=TOKEN, **KEY_PAIR),
    "another public host": S3Options("http://internal:9000", public_endpoint="https://files.example", **KEY_PAIR),
}

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda key: key != "/")
upload_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
validities = st.integers(1, 604_800)


@cache
def clients(name: str) -> Clients:
    return Clients(STORES[name])


def check_parts(name, key, upload_id, sizes, *, now, expires_s, signed):
    ours = clients(name)
    urls = presign.presign_parts(
        ours.address,
        ours.credentials(),
        Validity(now, timedelta(seconds=expires_s)),
        key=key,
        upload_id=upload_id,
        numbers=list(sizes),
        sizes=sizes if signed else None,
    )
    assert urls == [
        url_of(
            ours.public,
            "upload_part",
            now,
            expires_s,
            Bucket=STORES[name].bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            **({"ContentLength": size} if signed else {}),
        )
        for number, size in sizes.items()
    ]


@pytest.mark.parametrize("signed", [True, False], ids=["length", "no length"])
@pytest.mark.parametrize("name", STORES)
def test_part_urls_equal_those_of_boto3_on_every_kind_of_store(name, signed):
    sizes = {1: 5_242_880, 2: 0, 999: 1, 10_000: 5_368_709_120}
    check_parts(name, "staging/0a1b2c", "2~upload+id/=", sizes, now=NOW, expires_s=3600, signed=signed)


@given(st.sampled_from(sorted(STORES)), keys, upload_ids, instants, st.tuples(validities, st.booleans()))
def test_part_urls_equal_those_of_boto3_for_any_key(name, key, upload_id, now, how):
    expires_s, signed = how
    check_parts(name, key, upload_id, {1: 5_242_880, 17: 3}, now=now, expires_s=expires_s, signed=signed)


@given(st.sampled_from(sorted(STORES)), keys, keys, instants, validities)
def test_download_urls_equal_those_of_boto3(name, key, filename, now, expires_s):
    ours = clients(name)
    url = presign.presign_get(
        ours.address,
        ours.credentials(),
        Validity(now, timedelta(seconds=expires_s)),
        key=key,
        filename=filename,
        content_type="video/mp4; x=y",
    )
    assert url == url_of(
        ours.public,
        "get_object",
        now,
        expires_s,
        Bucket=STORES[name].bucket,
        Key=key,
        ResponseContentType="video/mp4; x=y",
        ResponseContentDisposition=attachment(filename),
    )


def test_the_address_is_the_public_one():
    ours = clients("another public host")
    assert (ours.address.base, ours.address.host) == ("https://files.example", "files.example")
    assert ours.calls.meta.endpoint_url == "http://internal:9000"


def test_part_urls_are_signed_by_the_write_only_principal_and_downloads_are_not():
    options = S3Options("http://127.0.0.1:9000", signer_access_key="AKSIGNER", signer_secret_key="other", **KEY_PAIR)
    ours = Clients(options)
    assert ours.signer_credentials().access_key == "AKSIGNER"
    assert ours.credentials().access_key == "AKEXAMPLE"


def test_an_instant_of_another_zone_is_signed_as_utc():
    there = NOW.astimezone(timezone(timedelta(hours=8)))
    assert Validity(there, timedelta(hours=1)).stamp == "20261120T180007Z"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(Invalid, match="time zone"):
        Validity(NOW.replace(tzinfo=None), timedelta(hours=1))


@given(st.integers(1, 604_800), st.integers(0, 3600))
def test_a_backdated_url_ends_when_it_should_and_lasts_no_longer_than_it_may(expires_s, skew_s):
    valid = Validity.until(NOW, timedelta(seconds=expires_s), timedelta(seconds=skew_s))
    assert valid.begins_at + valid.lasts == NOW + timedelta(seconds=expires_s)
    assert NOW - timedelta(seconds=skew_s) <= valid.begins_at <= NOW
    assert valid.lasts <= presign.LONGEST_VALIDITY


@pytest.mark.parametrize("letter", ["a", " ", "\N{CJK UNIFIED IDEOGRAPH-6587}", "\N{GRINNING FACE}"])
def test_a_download_url_of_the_longest_name_is_no_longer_than_vendors_have_them(letter):
    ours = clients("temporary credentials")
    url = presign.presign_get(
        ours.address, ours.credentials(), Validity(NOW, timedelta(days=1)), key="files/" + "0" * 32,
        filename=letter * 252 + ".mp4", content_type="application/octet-stream",
    )  # fmt: skip
    assert len(url) <= 2048
    assert url.partition("&X-Amz")[0].endswith(".mp4")


def test_secrets_do_not_show_when_printed():
    options = S3Options(
        "http://h", "b", "AK", "SECRET-A", "SECRET-B", signer_access_key="AK2", signer_secret_key="SECRET-C"
    )
    assert "SECRET" not in repr(options)
    assert "SECRET" not in repr(Clients(options).credentials())
