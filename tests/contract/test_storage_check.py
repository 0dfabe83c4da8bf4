"""What the store check says of stores that we know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.adapters.s3.check import CheckResult, check_store, is_safe
from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.storage import S3Storage
from tests.contract.storage_scripted import Answer, ScriptedStore, error
from tests.servers import ServerMissing, StoreServer

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(400)]


@pytest.fixture
def options_of(stores) -> Callable[[str], S3Options]:
    def options_of(name: str) -> S3Options:
        try:
            options = stores.get(name).options
        except ServerMissing as exc:
            pytest.skip(str(exc))
        assert options is not None
        return options

    return options_of


@pytest.fixture
def demo(options_of) -> S3Options:
    return options_of("rclone")


@pytest.fixture(scope="module")
def checked(stores) -> list[CheckResult]:
    return check_store(stores.get("rclone").options)


def failed(results: list[CheckResult]) -> dict[str, str]:
    return {result.name: result.level for result in results if not result.ok}


def test_the_demo_store_is_safe_and_its_gaps_are_told(checked):
    assert is_safe(checked)
    assert failed(checked) == {
        "own-signer": "want",
        "signer-rights": "want",
        "if-match": "want",
        "copy-if-match": "want",
        "part-copy": "want",
    }
    assert all(result.message for result in checked)


def test_a_check_leaves_nothing_behind():
    with StoreServer() as store:
        options = S3Options(store.url, store.bucket, store.access_key, store.secret_key)
        S3Storage(options).create_bucket()
        check_store(options)
        storage = S3Storage(options)
        assert list(storage.list("")) == []
        assert list(storage.list_uploads("")) == []


def test_a_store_whose_part_urls_live_on_is_safe_by_sealing_only(options_of):
    results = check_store(options_of("swift"))
    assert is_safe(results)
    assert {"put-after-complete", "inflight-put-vs-complete"} <= set(failed(results))
    assert not {"if-match", "copy-if-match", "part-copy"} & set(failed(results))


def test_a_store_that_copies_for_strangers_is_safe_only_with_a_write_only_signer(options_of):
    options = options_of("radosgw")
    with_signer = check_store(options)
    assert is_safe(with_signer)
    assert set(failed(with_signer)) == {"copy-if-match"}
    without = check_store(replace(options, signer_access_key="", signer_secret_key=""))
    assert failed(without)["copy-header"] == "must"


def test_a_store_that_lets_unsigned_requests_in_is_not_safe(options_of):
    results = check_store(options_of("localstack"))
    assert {name for name, level in failed(results).items() if level == "must"} == {"signature"}


def test_a_missing_bucket_ends_the_check(demo):
    results = check_store(replace(demo, bucket="nobody-made-it"))
    assert not is_safe(results)
    assert results[-1].name == "bucket"
    assert "does not exist" in results[-1].message


def test_a_wrong_secret_ends_the_check_and_is_not_told(demo):
    results = check_store(replace(demo, secret_key="wrong-secret-key"))
    assert failed(results)["bucket"] == "must"
    assert "wrong-secret-key" not in str(results)


def test_clocks_far_apart_are_not_safe(demo):
    results = check_store(demo, clock=lambda: datetime.now(UTC) + timedelta(minutes=20))
    assert failed(results)["clock"] == "must"


def test_plain_http_to_another_machine_is_warned_of():
    options = S3Options("http://192.0.2.1", "films", "AK", "s", attempts=1, connect_timeout_s=0.01)
    with ScriptedStore(error(403, "AccessDenied")) as store:
        results = check_store(replace(options, endpoint=store.options.endpoint, public_endpoint="http://192.0.2.1"))
    https = next(result for result in results if result.name == "https")
    assert (https.ok, https.level) == (False, "want")
    assert "192.0.2.1" in https.message


def test_a_store_that_takes_everything_is_not_safe():
    with ScriptedStore(Answer(200, b"<R><UploadId>u</UploadId></R>", {"ETag": '"e"'})) as store:
        results = check_store(replace(store.options, attempts=1))
    assert not is_safe(results)
    assert {"signature", "expiry", "signed-content-length"} <= set(failed(results))
