from __future__ import annotations

import pytest

from orchestrator.adapters.s3.options import PROFILES, S3Options, StoreKind, is_loopback
from orchestrator.domain.errors import Invalid

GOOD = {"endpoint": "https://store.example", "bucket": "films", "access_key": "AK", "secret_key": "S"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bucket": ""}, "no bucket"),
        ({"endpoint": ""}, "needs an endpoint"),
        ({"endpoint": "store.example"}, "is no endpoint"),
        ({"public_endpoint": "ftp://store.example"}, "is no endpoint"),
        ({"secret_key": ""}, "come together"),
        ({"access_key": "", "secret_key": ""}, "open to all"),
        ({"signer_access_key": "AK2"}, "signer's access key"),
    ],
)
def test_options_that_cannot_work_or_are_not_safe_are_refused(change, problem):
    with pytest.raises(Invalid, match=problem):
        S3Options(**(GOOD | change))


def test_an_unknown_kind_of_store_is_refused():
    with pytest.raises(ValueError, match="gcs"):
        S3Options(**GOOD, profile="gcs")


def test_only_aws_does_without_an_endpoint_and_a_key():
    assert S3Options(endpoint="", bucket="films", profile="aws").access_key == ""


def test_every_kind_of_store_has_a_profile():
    assert set(PROFILES) == set(StoreKind)


def test_the_addressing_can_be_overruled():
    assert S3Options(**GOOD, profile="obs").style == "virtual"
    assert S3Options(**GOOD, profile="obs", addressing="path").style == "path"


def test_the_main_key_is_no_signer_of_its_own():
    assert not S3Options(**GOOD, signer_access_key="AK", signer_secret_key="S").has_own_signer
    assert S3Options(**GOOD, signer_access_key="AK2", signer_secret_key="S2").has_own_signer


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://localhost", True),
        ("http://s3.localhost:80", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example", False),
    ],
)
def test_this_machine_is_known(url, here):
    assert is_loopback(url) is here
