"""What every implementation of the storage port does, the fake included."""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from orchestrator.domain.errors import Invalid, UploadError
from orchestrator.domain.uploads import MIB, MIN_PART_BYTES
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, StoredPart, UploadGone
from tests.contract.storage_servers import STORES, StoreUnderTest
from tests.servers import ServerMissing

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(400)]

HOUR = timedelta(hours=1)
OK = 200


@pytest.fixture(params=STORES)
def store(request, stores) -> StoreUnderTest:
    try:
        return stores.get(request.param)
    except ServerMissing as exc:
        pytest.skip(str(exc))


@pytest.fixture
def key() -> str:
    return f"staging/{uuid.uuid4().hex}"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def urls_of(
    store: StoreUnderTest, key: str, upload_id: str, sizes: dict[int, int], *, now: datetime | None = None
) -> dict[int, str]:
    numbers = list(sizes)
    urls = store.storage.presign_parts(
        key, upload_id, numbers, sizes=sizes, now=now or datetime.now(UTC), expires_in=HOUR
    )
    return dict(zip(numbers, urls, strict=True))


def begun(store: StoreUnderTest, key: str, parts: dict[int, bytes]) -> tuple[str, dict[int, str]]:
    upload_id = store.storage.create_upload(key, "video/mp4")
    return upload_id, urls_of(store, key, upload_id, {number: len(data) for number, data in parts.items()})


def sent(store: StoreUnderTest, key: str, parts: dict[int, bytes]) -> tuple[str, dict[int, str]]:
    upload_id, urls = begun(store, key, parts)
    for number, data in parts.items():
        assert store.put_url(urls[number], data) == OK
    return upload_id, urls


def completed(store: StoreUnderTest, key: str, parts: dict[int, bytes]) -> tuple[ObjectInfo, dict[int, str]]:
    upload_id, urls = sent(store, key, parts)
    store.storage.complete_upload(key, upload_id, store.storage.list_parts(key, upload_id))
    info = store.storage.head(key)
    assert info is not None
    return info, urls


def test_parts_sent_in_any_order_are_joined_by_number(store, key):
    parts = {3: noise(7, 3), 1: noise(MIN_PART_BYTES, 1), 2: noise(MIN_PART_BYTES, 2)}
    info, _ = completed(store, key, parts)
    assert info.size_bytes == 2 * MIN_PART_BYTES + 7
    assert store.storage.read_range(key, 0, info.size_bytes) == parts[1] + parts[2] + parts[3]


def test_the_parts_that_arrived_are_listed_by_number(store, key):
    upload_id, urls = begun(store, key, {1: noise(MIN_PART_BYTES), 2: noise(9), 3: noise(9)})
    assert store.storage.list_parts(key, upload_id) == []
    store.put_url(urls[3], noise(9))
    store.put_url(urls[1], noise(MIN_PART_BYTES))
    found = store.storage.list_parts(key, upload_id)
    assert [(part.number, part.size_bytes) for part in found] == [(1, MIN_PART_BYTES), (3, 9)]
    assert all(part.etag and '"' not in part.etag for part in found)


def test_a_part_may_be_sent_again_before_completion(store, key):
    parts = {1: noise(100)}
    upload_id, urls = sent(store, key, parts)
    assert store.put_url(urls[1], parts[1]) == OK
    store.storage.complete_upload(key, upload_id, store.storage.list_parts(key, upload_id))
    assert store.storage.read_range(key, 0, 1000) == parts[1]


def test_nothing_stands_at_the_key_before_completion(store, key):
    sent(store, key, {1: noise(100)})
    assert store.storage.head(key) is None


def test_the_content_type_is_kept(store, key):
    info, _ = completed(store, key, {1: noise(100)})
    assert info.content_type == "video/mp4"


def test_looking_twice_gives_the_same_etag(store, key):
    info, _ = completed(store, key, {1: noise(100)})
    assert store.storage.head(key) == info


def test_part_urls_are_dead_after_completion_where_the_store_keeps_that_promise(store, key):
    if not store.part_urls_die:
        pytest.skip("this store is known not to: what is sealed is a copy")
    info, urls = completed(store, key, {1: noise(100)})
    assert store.put_url(urls[1], noise(100, 7)) >= 400
    assert store.storage.head(key) == info


def test_what_is_sealed_by_copy_survives_every_replay_of_its_part_urls(store, key):
    parts = {1: noise(MIN_PART_BYTES, 1), 2: noise(50, 2)}
    staged, urls = completed(store, key, parts)
    final = store.storage.copy(staged, f"data/{uuid.uuid4().hex}")
    for number, url in urls.items():
        store.put_url(url, noise(len(parts[number]), 9))
    assert store.storage.head(final.key) == final
    assert store.storage.read_range(final.key, 0, final.size_bytes, etag=final.etag) == parts[1] + parts[2]


def test_part_urls_are_dead_on_every_store_once_the_staged_object_is_deleted(store, key):
    staged, urls = completed(store, key, {1: noise(100)})
    final = store.storage.copy(staged, f"data/{uuid.uuid4().hex}")
    store.storage.delete(key)
    assert store.put_url(urls[1], noise(100, 7)) >= 400
    assert store.storage.head(key) is None
    assert store.storage.read_range(final.key, 0, 1000) == noise(100)


def test_an_aborted_upload_is_gone_and_its_urls_are_dead(store, key):
    upload_id, urls = sent(store, key, {1: noise(100)})
    assert store.storage.abort_upload(key, upload_id)
    assert store.put_url(urls[1], noise(100)) >= 400
    with pytest.raises(UploadGone):
        store.storage.list_parts(key, upload_id)
    assert store.storage.head(key) is None


def test_aborting_an_upload_again_is_no_error(store, key):
    upload_id, _ = begun(store, key, {1: noise(100)})
    assert store.storage.abort_upload(key, upload_id)
    assert store.storage.abort_upload(key, upload_id)


def test_completing_an_aborted_upload_says_that_it_is_gone(store, key):
    upload_id, _ = sent(store, key, {1: noise(100)})
    parts = store.storage.list_parts(key, upload_id)
    store.storage.abort_upload(key, upload_id)
    with pytest.raises(UploadGone):
        store.storage.complete_upload(key, upload_id, parts)


def test_parts_that_never_arrived_cannot_be_completed(store, key):
    upload_id, _ = sent(store, key, {1: noise(100)})
    with pytest.raises((UploadError, UploadGone)):
        store.storage.complete_upload(key, upload_id, [StoredPart(1, "0" * 32, 100)])
    assert store.storage.head(key) is None


def test_a_signed_length_is_the_only_one_taken(store, key):
    upload_id, urls = begun(store, key, {1: noise(100)})
    for wrong in (99, 101):
        assert store.put_url(urls[1], noise(wrong)) >= 400
    assert store.storage.list_parts(key, upload_id) == []
    assert store.put_url(urls[1], noise(100)) == OK


def test_without_a_signed_length_any_is_taken(store, key):
    upload_id = store.storage.create_upload(key, "video/mp4")
    [url] = store.storage.presign_parts(key, upload_id, [1], sizes=None, now=datetime.now(UTC), expires_in=HOUR)
    assert store.put_url(url, noise(123)) == OK
    assert store.storage.list_parts(key, upload_id)[0].size_bytes == 123


def test_an_expired_url_is_refused(store, key):
    upload_id = store.storage.create_upload(key, "video/mp4")
    urls = urls_of(store, key, upload_id, {1: 100}, now=datetime.now(UTC) - 2 * HOUR)
    assert store.put_url(urls[1], noise(100)) >= 400
    assert store.storage.list_parts(key, upload_id) == []


def test_an_open_upload_can_be_signed_again(store, key):
    upload_id = store.storage.create_upload(key, "video/mp4")
    urls_of(store, key, upload_id, {1: 100}, now=datetime.now(UTC) - 2 * HOUR)
    fresh = urls_of(store, key, upload_id, {1: 100})
    assert store.put_url(fresh[1], noise(100)) == OK


def test_a_part_without_a_known_size_is_not_signed(store, key):
    with pytest.raises(Invalid):
        store.storage.presign_parts(key, "u", [1, 2], sizes={1: 5}, now=datetime.now(UTC), expires_in=HOUR)


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(days=7, seconds=1)])
def test_a_validity_that_no_store_takes_is_refused(store, key, lasts):
    with pytest.raises(Invalid):
        store.storage.presign_parts(key, "u", [1], sizes=None, now=datetime.now(UTC), expires_in=lasts)


def test_open_uploads_are_listed_below_their_prefix_and_finished_ones_are_not(store):
    prefix = f"staging/{uuid.uuid4().hex}/"
    open_id, _ = begun(store, f"{prefix}open", {1: noise(10)})
    completed(store, f"{prefix}done", {1: noise(10)})
    found = list(store.storage.list_uploads(prefix))
    assert [(upload.key, upload.upload_id) for upload in found] == [(f"{prefix}open", open_id)]
    assert abs(found[0].begun_at - datetime.now(UTC)) < HOUR


def test_there_is_nothing_at_an_unknown_key(store, key, tmp_path):
    assert store.storage.head(key) is None
    store.storage.delete(key)
    with pytest.raises(ObjectMissing):
        store.storage.read_range(key, 0, 10)
    with pytest.raises(ObjectMissing):
        store.storage.download(key, tmp_path / "file")
    with pytest.raises(ObjectMissing):
        store.storage.copy(ObjectInfo(key, "0" * 32, 10), "data/nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "length"), [(0, 1), (0, 1000), (1, 998), (999, 1), (999, 5), (1000, 1), (5000, 10), (3, 0), (0, 5000)]
)
def test_a_range_gives_exactly_its_bytes(store, key, start, length):
    data = noise(1000)
    info = store.storage.put(key, data, "text/plain")
    assert store.storage.read_range(key, start, length) == data[start : start + length]
    assert store.storage.read_range(key, start, length, etag=info.etag) == data[start : start + length]


def test_a_range_before_the_beginning_is_refused(store, key):
    store.storage.put(key, b"data", "text/plain")
    with pytest.raises(Invalid):
        store.storage.read_range(key, -1, 2)


@pytest.mark.parametrize("start", [0, 500, 2000])
def test_a_pinned_read_of_a_replaced_object_is_refused(store, key, start):
    pinned = store.storage.put(key, noise(1000, 1), "text/plain")
    store.storage.put(key, noise(1000, 2), "text/plain")
    with pytest.raises(ObjectChanged):
        store.storage.read_range(key, start, 10, etag=pinned.etag)


def test_a_download_gives_the_bytes_and_their_sha256(store, key, tmp_path):
    data = noise(3 * MIB + 5)
    info = store.storage.put(key, data, "text/plain")
    target = tmp_path / "file"
    assert store.storage.download(key, target, etag=info.etag) == hashlib.sha256(data).hexdigest()
    assert target.read_bytes() == data


def test_an_empty_object_can_be_stored_and_read(store, key, tmp_path):
    info = store.storage.put(key, b"", "text/plain")
    assert info.size_bytes == 0
    assert store.storage.download(key, tmp_path / "file", etag=info.etag) == hashlib.sha256(b"").hexdigest()
    assert store.storage.read_range(key, 0, 10) == b""


def test_a_pinned_download_of_a_replaced_object_leaves_no_file(store, key, tmp_path):
    pinned = store.storage.put(key, noise(1000, 1), "text/plain")
    store.storage.put(key, noise(1000, 2), "text/plain")
    with pytest.raises(ObjectChanged):
        store.storage.download(key, tmp_path / "file", etag=pinned.etag)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_has_the_bytes_the_size_and_the_type(store, key):
    source, _ = completed(store, key, {1: noise(100)})
    target = store.storage.copy(source, f"data/{uuid.uuid4().hex}")
    assert (target.size_bytes, target.content_type) == (100, "video/mp4")
    assert store.storage.read_range(target.key, 0, 1000, etag=target.etag) == noise(100)
    assert store.storage.head(target.key) == target


def test_copying_again_to_the_same_key_is_no_error(store, key):
    source = store.storage.put(key, noise(100), "text/plain")
    target_key = f"data/{uuid.uuid4().hex}"
    store.storage.copy(source, target_key)
    assert store.storage.copy(source, target_key).size_bytes == 100


def test_copying_what_is_no_longer_the_pinned_object_is_refused(store, key):
    pinned = store.storage.put(key, noise(1000, 1), "text/plain")
    store.storage.put(key, noise(1000, 2), "text/plain")
    with pytest.raises(ObjectChanged):
        store.storage.copy(pinned, f"data/{uuid.uuid4().hex}")


def test_an_object_too_large_for_one_copy_is_copied_in_parts(store, key):
    parts = {1: noise(MIN_PART_BYTES, 1), 2: noise(MIN_PART_BYTES, 2), 3: noise(77, 3)}
    source, _ = completed(store, key, parts)
    target = store.small_copies.copy(source, f"data/{uuid.uuid4().hex}")
    assert store.storage.read_range(target.key, 0, source.size_bytes + 1) == parts[1] + parts[2] + parts[3]
    assert target.content_type == "video/mp4"
    assert list(store.storage.list_uploads(target.key)) == []


def test_copying_a_replaced_object_in_parts_is_refused_and_leaves_no_upload(store, key):
    pinned = store.storage.put(key, noise(MIN_PART_BYTES + 1, 1), "text/plain")
    store.storage.put(key, noise(MIN_PART_BYTES + 1, 2), "text/plain")
    target_key = f"data/{uuid.uuid4().hex}"
    with pytest.raises(ObjectChanged):
        store.small_copies.copy(pinned, target_key)
    assert list(store.storage.list_uploads(target_key)) == []


def test_our_own_files_are_stored_with_their_type(store, key, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(noise(2 * MIB))
    info = store.storage.upload(path, key, "application/octet-stream")
    assert (info.key, info.size_bytes, info.content_type) == (key, 2 * MIB, "application/octet-stream")
    assert store.storage.download(key, tmp_path / "back", etag=info.etag) == hashlib.sha256(noise(2 * MIB)).hexdigest()


def test_finished_objects_are_listed_by_key_below_their_prefix(store):
    prefix = f"list/{uuid.uuid4().hex}/"
    for name in ("b", "a", "c"):
        store.storage.put(f"{prefix}{name}", name.encode(), "text/plain")
    begun(store, f"{prefix}open", {1: noise(10)})
    found = list(store.storage.list(prefix))
    assert [(info.key, info.size_bytes) for info in found] == [(f"{prefix}{name}", 1) for name in "abc"]
    for info in found:
        head = store.storage.head(info.key)
        assert head is not None
        assert head.etag == info.etag
        assert info.modified_at is not None
        assert info.modified_at.utcoffset() == timedelta(0)


def test_deleting_deletes(store, key):
    store.storage.put(key, b"x", "text/plain")
    store.storage.delete(key)
    assert store.storage.head(key) is None


@pytest.mark.parametrize("name", ["with space", "plus+and%25", "ümläut-日本", "a=b&c;d,e@f", "tilde~'()*!"])
def test_keys_with_odd_characters_work_from_signing_to_reading(store, key, name):
    odd = f"{key}/{name}"
    info, _ = completed(store, odd, {1: noise(10)})
    target = store.storage.copy(info, f"{odd}-copy")
    assert store.storage.read_range(target.key, 0, 100) == noise(10)
    assert [found.key for found in store.storage.list(f"{odd}-c")] == [target.key]


def test_a_download_url_answers_as_an_attachment_of_the_type_asked_for(store, key):
    if store.options is None:
        pytest.skip("the fake speaks no HTTP")
    store.storage.put(key, b"<script>", "text/html")
    url = store.storage.presign_get(
        key,
        filename='model "ü".bin',
        content_type="application/octet-stream",
        now=datetime.now(UTC),
        expires_in=HOUR,
    )
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == OK
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.content == b"<script>"
