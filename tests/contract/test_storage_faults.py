"""What the S3 adapter makes of stores that break off, answer oddly or not at all."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.domain.errors import StorageUnavailable, UploadIncomplete
from orchestrator.domain.uploads import MIB, MIN_PART_BYTES
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, StoredPart, UploadGone
from tests.contract.storage_scripted import Answer, Request, ScriptedStore, error

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]

KEY = "staging/film"
PARTS = [StoredPart(1, "e1", 5)]
DATA = bytes(range(256)) * 8192
TAG = {"ETag": '"tag"', "Last-Modified": "Fri, 20 Nov 2026 18:00:00 GMT"}


def ranged(request: Request, *, breaks_after: int | None = None, etag: str = "tag") -> Answer:
    """A proper answer to a ranged read of DATA."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "bytes=0-"))
    assert asked is not None
    first, last = int(asked[1]), min(int(asked[2] or len(DATA)), len(DATA) - 1)
    told = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"}
    return Answer(206, DATA[first : last + 1], TAG | told | {"ETag": f'"{etag}"'}, breaks_after)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(500, "InternalError"), StorageUnavailable),
        (error(503, "SlowDown"), StorageUnavailable),
        (error(200, "InternalError"), StorageUnavailable),
        (error(409, "ConditionalRequestConflict"), StorageUnavailable),
        (error(404, "NoSuchUpload"), UploadGone),
        (error(404, "NoSuchBucket"), StorageUnavailable),
        (error(400, "InvalidPart"), UploadIncomplete),
        (error(400, "EntityTooSmall"), UploadIncomplete),
    ],
)
def test_completing_is_tried_once_and_its_outcome_told(answer, expected):
    with ScriptedStore(answer) as store:
        with pytest.raises(expected):
            S3Storage(replace(store.options, attempts=1)).complete_upload(KEY, "u1", PARTS)
        assert [request.method for request in store.requests].count("POST") == 1


def test_a_failed_completion_of_an_upload_that_is_gone_says_so():
    with ScriptedStore(error(500, "InternalError"), error(404, "NoSuchUpload")) as store:
        with pytest.raises(UploadGone):
            store.storage.complete_upload(KEY, "u1", PARTS)
        assert [request.method for request in store.requests] == ["POST", "GET"]


def test_a_completion_without_an_answer_is_tried_once_and_says_nothing_of_the_outcome():
    with ScriptedStore(Answer(hangs=True)) as store:
        storage = S3Storage(replace(store.options, slow_timeout_s=0.2))
        with pytest.raises(StorageUnavailable, match="ReadTimeoutError"):
            storage.complete_upload(KEY, "u1", PARTS)
        assert len(store.requests) == 1


def test_what_can_be_repeated_is_repeated():
    with ScriptedStore(error(503, "SlowDown"), Answer(200, b"", TAG)) as store:
        assert store.storage.head(KEY) is not None
        assert len(store.requests) == 2


def test_a_store_that_is_not_there_is_unavailable_and_no_secret_is_told():
    with ScriptedStore(Answer()) as store:
        options = replace(store.options, attempts=1)
    with pytest.raises(StorageUnavailable) as failed:
        S3Storage(options).head(KEY)
    assert "http" not in failed.value.message
    assert options.secret_key not in failed.value.message


def test_a_refused_key_says_what_to_look_at():
    with ScriptedStore(error(403, "AccessDenied")) as store, pytest.raises(StorageUnavailable, match="rights"):
        store.storage.create_upload(KEY, "video/mp4")


def test_the_whole_object_in_place_of_a_range_is_not_misread():
    with ScriptedStore(Answer(200, DATA, TAG)) as store:
        assert store.storage.read_range(KEY, 1000, 50) == DATA[1000:1050]
        assert store.storage.read_range(KEY, len(DATA) - 5, 50) == DATA[-5:]
        assert store.storage.read_range(KEY, len(DATA) + 5, 50) == b""


@pytest.mark.parametrize(
    "told", [{"Content-Range": "bytes 0-49/1000"}, {"Content-Range": "bytes 10-99/1000"}, {}, {"Content-Range": "?"}]
)
def test_another_range_than_the_one_asked_for_is_not_taken(told):
    with ScriptedStore(Answer(206, b"x" * 50, TAG | told)) as store, pytest.raises(StorageUnavailable):
        store.storage.read_range(KEY, 10, 50)


def test_a_range_of_another_object_is_not_taken_from_a_store_that_ignores_the_condition():
    with ScriptedStore(ranged) as store, pytest.raises(ObjectChanged):
        store.storage.read_range(KEY, 10, 50, etag="other")


def test_a_read_that_breaks_off_is_taken_up_where_it_broke(tmp_path):
    def breaking(request):
        return ranged(request, breaks_after=300_000)

    with ScriptedStore(breaking, breaking, ranged) as store:
        digest = store.storage.download(KEY, tmp_path / "file")
        assert digest == hashlib.sha256(DATA).hexdigest()
        assert (tmp_path / "file").read_bytes() == DATA
        assert len(store.requests) == 3
        later = [request.headers for request in store.requests[1:]]
        assert all(headers["if-match"] == '"tag"' for headers in later)
        assert all(not headers["range"].startswith("bytes=0-") for headers in later)


def test_a_download_goes_on_only_with_the_same_object(tmp_path):
    def first(request):
        return ranged(request, breaks_after=MIB + 5)

    def replaced(request):
        return ranged(request, etag="other")

    with ScriptedStore(first, replaced) as store, pytest.raises(ObjectChanged):
        store.storage.download(KEY, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_always_breaks_ends_and_leaves_no_file(tmp_path):
    def breaking(request):
        return ranged(request, breaks_after=0)

    with ScriptedStore(breaking) as store, pytest.raises(StorageUnavailable):
        store.storage.download(KEY, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_an_upload_counts_as_aborted_only_when_the_store_knows_it_no_more():
    nothing = Answer(200, b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>")
    with ScriptedStore(Answer(204), nothing) as store:
        assert not store.storage.abort_upload(KEY, "u1")
    with ScriptedStore(Answer(204), nothing, Answer(204), error(404, "NoSuchUpload")) as store:
        assert store.storage.abort_upload(KEY, "u1")
        assert len(store.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        error(501, "NotImplemented"),
        error(405, "MethodNotAllowed"),
        error(404, "NoSuchUpload"),  # rclone, of a bucket in which none was begun yet
    ],
)
def test_a_store_that_cannot_list_uploads_has_none(answer):
    with ScriptedStore(answer) as store:
        assert list(S3Storage(replace(store.options, attempts=1)).list_uploads("staging/")) == []


def test_a_store_of_a_kind_that_cannot_list_uploads_is_not_asked():
    options = S3Options("http://127.0.0.1:1", "films", "AK", "s", profile="oss", addressing="path")
    assert list(S3Storage(options).list_uploads("staging/")) == []


def test_a_copy_of_the_wrong_size_is_not_taken():
    copied = Answer(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")
    heads = [Answer(200, b"", TAG | {"Content-Length": size}) for size in ("100", "99")]
    with ScriptedStore(copied, *heads) as store, pytest.raises(StorageUnavailable, match="99 bytes, not 100"):
        store.storage.copy(ObjectInfo(KEY, "tag", 100), "data/x")


def test_a_source_that_is_gone_after_the_copy_is_told_and_the_target_is_not_touched():
    copied = Answer(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")
    with ScriptedStore(copied, Answer(404)) as store:
        with pytest.raises(ObjectMissing):
            store.storage.copy(ObjectInfo(KEY, "tag", 100), "data/x")
        assert [request.method for request in store.requests] == ["PUT", "HEAD"]


def test_a_store_without_part_copies_gets_the_bytes_through_us():
    def store_of(request: Request) -> Answer:
        if request.method == "POST" and "uploads" in request.path:
            return Answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        if request.method == "PUT" and "x-amz-copy-source" in request.headers:
            return error(501, "NotImplemented")
        if request.method == "DELETE" or (request.method == "GET" and "uploadId" in request.path):
            return error(404, "NoSuchUpload")
        if request.method == "GET":
            first, last = (int(word) for word in request.headers["range"].removeprefix("bytes=").split("-"))
            told = {"Content-Range": f"bytes {first}-{last}/{size}"}
            return Answer(206, bytes(last - first + 1), TAG | told)
        if request.method == "HEAD":
            return Answer(200, b"", TAG | {"Content-Length": str(size)})
        return Answer(200, b"<CompleteMultipartUploadResult/>", TAG)

    size = MIN_PART_BYTES + 10
    with ScriptedStore(store_of) as store:
        small = S3Storage(replace(store.options, copy_part_limit_bytes=MIN_PART_BYTES, attempts=1))
        assert small.copy(ObjectInfo(KEY, "tag", size), "data/x").size_bytes == size
        sent = [int(r.headers["content-length"]) for r in store.requests if "partNumber" in r.path]
        assert sent == [0, MIN_PART_BYTES, 10]


def test_an_answer_without_what_it_has_to_say_is_no_answer():
    with ScriptedStore(Answer(200, b"<R></R>")) as store:
        with pytest.raises(StorageUnavailable, match="no 'ETag'"):
            store.storage.head(KEY)
        with pytest.raises(StorageUnavailable, match="no 'UploadId'"):
            store.storage.create_upload(KEY, "video/mp4")


def test_an_answer_that_breaks_off_within_a_header_is_no_answer():
    broken = Answer(200, headers={"ETag": '"tag"', "Content-Length": ""})
    with ScriptedStore(broken) as store, pytest.raises(StorageUnavailable, match="no usable answer"):
        store.storage.head(KEY)


def test_a_read_of_an_object_that_a_late_part_broke_says_that_it_changed():
    with ScriptedStore(error(409, "BrokenMPU")) as store, pytest.raises(ObjectChanged):
        store.storage.read_range(KEY, 0, 10)
