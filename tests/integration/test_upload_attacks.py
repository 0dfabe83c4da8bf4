"""Attacks on uploads through the whole app, on real stores: what is sealed stays what it was, whatever anybody does.

The attacker has every URL that was ever given out, for as long as it likes, and may send anything to the store.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from orchestrator.app.uploads import Upload
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Invalid, NotFound, StorageUnavailable, UploadError, UploadIncomplete
from orchestrator.domain.model import File, FileKind, FileState
from orchestrator.domain.uploads import MAX_PARTS, MIN_PART_BYTES
from orchestrator.ports.storage import UploadGone
from tests.contract.storage_servers import StoreUnderTest
from tests.fakes.app import Clock, World, a_world
from tests.servers import ServerMissing

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]

KIND = FileKind.TRAINING_VIDEO
GOOD, EVIL = b"what the uploader sent", b"what an attacker wants"
assert len(GOOD) == len(EVIL)
SECRET = b"another customer's film"


@dataclass
class Target:
    """The app on one store, and what somebody without any key can do to it."""

    world: World
    store: StoreUnderTest

    @property
    def uploads(self):
        return self.world.app.uploads

    @property
    def owner(self):
        return self.world.owner

    def open(self, size: int | None = len(GOOD), name: str = "video.mp4", **more: object) -> Upload:
        return self.uploads.open(self.owner, self.world.draft("reviewed").id, KIND, name, size_bytes=size, **more)

    def sealed(self, data: bytes = GOOD) -> tuple[Upload, File]:
        upload = self.open(len(data))
        assert put(upload.urls[1], data) == 200
        return upload, self.uploads.confirm(self.owner, upload.file.id)

    def bytes_of(self, file: File) -> bytes:
        """What every later reader gets."""
        assert file.final_key is not None
        return self.world.storage.read_range(file.final_key, 0, (file.size_bytes or 0) + 1, etag=file.etag)

    def holds(self, file: File, data: bytes = GOOD) -> None:
        """The sealed file is untouched: by its bytes, by its row, and by the URL that people download from."""
        now = self.world.file(file)
        assert (now.state, now.final_key, now.etag) == (FileState.SEALED, file.final_key, file.etag)
        assert hashlib.sha256(self.bytes_of(now)).digest() == hashlib.sha256(data).digest()
        url = self.uploads.download(self.owner, now)
        assert url is not None
        assert httpx.get(url, trust_env=False).content == data

    def took_nothing(self, upload: Upload) -> None:
        assert self.uploads.progress(self.owner, upload.file.id).arrived == {}
        with pytest.raises(UploadIncomplete):
            self.uploads.confirm(self.owner, upload.file.id)

    def until_aborted(self, file: File) -> None:
        for _ in range(5):
            if self.world.file(file).state is FileState.ABORTED:
                break
            self.world.sweep("abort_uploads", after=61)
        assert self.world.file(file).state is FileState.ABORTED
        with pytest.raises(UploadGone):
            self.world.storage.list_parts(file.staging_key, file.upload_id)
        assert self.world.storage.head(file.staging_key) is None


@pytest.fixture(params=["rclone", "swift", "radosgw", "localstack"])
def target(request, stores, sqlite_url) -> Iterator[Target]:
    try:
        store = stores.get(request.param)
    except ServerMissing as exc:
        pytest.skip(str(exc))
    with a_world(sqlite_url, clock=Clock(datetime.now(UTC))) as world:
        world.storage = store.storage
        world.app = world.process()
        yield Target(world, store)


def put(url: str, data: bytes, **headers: str) -> int:
    return send("PUT", url, data, **headers).status_code


def send(method: str, url: str, data: bytes | None = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, url, content=data, headers=named, timeout=30, trust_env=False)


def changed(url: str, path: str | None = None, **query: str | None) -> str:
    """The URL with another path or other parameters; None takes one away."""
    parts = urlsplit(url)
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    pairs |= {name.replace("_", "-"): value or "" for name, value in query.items()}
    pairs = {name: value for name, value in pairs.items() if query.get(name.replace("-", "_"), "") is not None}
    return urlunsplit((parts.scheme, parts.netloc, path or parts.path, urlencode(pairs), ""))


def in_flight(url: str, data: bytes) -> tuple[threading.Thread, threading.Event]:
    """A part whose last bytes are held back until the event is set."""
    begun, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield data[:-1]
        begun.set()
        go_on.wait(20)
        yield data[-1:]

    def run() -> None:
        with suppress(httpx.HTTPError):
            headers = {"Content-Length": str(len(data))}
            httpx.put(url, content=body(), headers=headers, timeout=30, trust_env=False)
        begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(20)
    return thread, go_on


# -- after sealing --------------------------------------------------------------------------------------------------


def test_a_replay_after_sealing_changes_nothing(target):
    upload, file = target.sealed()
    for data in (EVIL, GOOD, EVIL):
        put(upload.urls[1], data)
    target.holds(file)
    assert target.uploads.confirm(target.owner, file.id) == file, "sealing again is not sealing anew"
    target.holds(file)


def test_fresh_urls_from_before_the_sealing_are_as_dead_as_the_first(target):
    upload = target.open()
    again = [target.uploads.sign_again(target.owner, upload.file.id, [1]).urls[1] for _ in range(3)]
    put(again[0], GOOD)
    file = target.uploads.confirm(target.owner, upload.file.id)
    for url in (upload.urls[1], *again):
        put(url, EVIL)
    target.holds(file)
    with pytest.raises(UploadError):
        target.uploads.sign_again(target.owner, file.id, [1])


def test_a_swap_after_the_review_reaches_no_trainer(target):
    upload, file = target.sealed()
    target.uploads.submit(target.owner, file.job_id)
    target.world.app.engine.drain(Effect.VERIFY)
    assert target.world.prober.judged[-1][0] == GOOD
    put(upload.urls[1], EVIL)
    target.world.app.review.approve(target.world.reviewer, file.job_id)
    put(upload.urls[1], EVIL)
    target.world.app.engine.drain(Effect.DISPATCH)
    [spec] = target.world.trainer.submitted.values()
    [source] = spec.inputs
    assert httpx.get(source.url, trust_env=False).content == GOOD
    target.holds(file)


def test_the_url_of_a_part_reads_and_deletes_nothing(target):
    upload, file = target.sealed()
    waiting = target.open()
    put(waiting.urls[1], GOOD)
    for url in (upload.urls[1], waiting.urls[1]):
        for method in ("GET", "HEAD", "DELETE", "POST", "PATCH"):
            answer = send(method, url)
            assert answer.status_code >= 400, method
            assert GOOD not in answer.content
    target.holds(file)
    assert target.uploads.confirm(target.owner, waiting.file.id).state is FileState.SEALED


def test_a_download_url_writes_and_deletes_nothing(target):
    _, file = target.sealed()
    url = target.uploads.download(target.owner, file)
    for method in ("PUT", "DELETE", "POST"):
        assert send(method, url, EVIL).status_code >= 400
    other = changed(url, urlsplit(url).path.replace(file.id, "0" * 32))
    assert send("GET", other).status_code >= 400
    target.holds(file)


def test_without_a_signature_nothing_is_read_or_written(target):
    if target.store.options.profile == "aws":
        pytest.skip("LocalStack lets unsigned requests in; the store check says so")
    upload, file = target.sealed()
    base = target.uploads.download(target.owner, file).split("?")[0]
    for method in ("GET", "PUT", "DELETE"):
        answer = send(method, base, EVIL)
        assert answer.status_code >= 400
        assert GOOD not in answer.content
    assert put(upload.urls[1].split("?")[0], EVIL) >= 400
    target.holds(file)


# -- while sealing --------------------------------------------------------------------------------------------------


def test_replays_during_sealing_give_one_whole_file_or_none(target):
    upload = target.open()
    put(upload.urls[1], GOOD)
    done = threading.Event()

    def attack() -> None:
        while not done.is_set():
            with suppress(httpx.HTTPError):
                put(upload.urls[1], EVIL)

    attackers = [threading.Thread(target=attack) for _ in range(2)]
    for thread in attackers:
        thread.start()
    try:
        file = sealed_in_the_end(target, upload.file)
    finally:
        done.set()
        for thread in attackers:
            thread.join()
    if file is None:
        return
    data = target.bytes_of(file)
    assert data in {GOOD, EVIL}
    put(upload.urls[1], EVIL if data == GOOD else GOOD)
    target.holds(file, data)


def sealed_in_the_end(target: Target, file: File) -> File | None:
    """Confirm, then let the sweeps finish; None when the upload was given up."""
    with suppress(UploadError, StorageUnavailable):
        target.uploads.confirm(target.owner, file.id)
    for _ in range(4):
        now = target.world.file(file)
        if now.state not in {FileState.OPEN, FileState.SEALING}:
            break
        target.world.sweep("seal_uploads", after=61)
    now = target.world.file(file)
    return now if now.state is FileState.SEALED else None


def test_a_part_in_flight_while_sealing_changes_nothing(target):
    upload = target.open(MIN_PART_BYTES)
    good, evil = b"g" * MIN_PART_BYTES, b"e" * MIN_PART_BYTES
    assert put(upload.urls[1], good) == 200
    thread, go_on = in_flight(upload.urls[1], evil)
    file = sealed_in_the_end(target, upload.file)
    go_on.set()
    thread.join()
    assert file is not None
    target.holds(file, good)


def test_of_many_who_seal_at_once_one_does_it(target):
    upload = target.open()
    put(upload.urls[1], GOOD)
    barrier, told = threading.Barrier(4), list[str]()

    def confirm() -> None:
        barrier.wait()
        try:
            told.append(target.uploads.confirm(target.owner, upload.file.id).state)
        except UploadError as exc:
            told.append(exc.code)

    threads = [threading.Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "sealed" in told
    assert set(told) <= {"sealed", "upload_not_open"}
    target.holds(target.world.file(upload.file))


@pytest.mark.parametrize("call", ["complete_upload", "copy", "delete"])
def test_a_call_that_succeeds_without_an_answer_is_looked_at_not_repeated(target, call):
    upload = target.open()
    put(upload.urls[1], GOOD)
    target.world.storage = LosesAnswers(target.store.storage, call)
    target.world.app = target.world.process()
    with suppress(StorageUnavailable):
        target.uploads.confirm(target.owner, upload.file.id)
    put(upload.urls[1], EVIL)  # on a careless store this breaks what was completed
    file = sealed_in_the_end(target, upload.file)
    if file is not None:
        target.holds(file)
    else:
        assert not target.store.part_urls_die
        target.until_aborted(upload.file)


class LosesAnswers:
    """The store, but the answer to the first call of a name is lost after the deed is done."""

    def __init__(self, storage, call):
        self._storage, self._call = storage, call

    def __getattr__(self, name):
        real = getattr(self._storage, name)
        if name != self._call:
            return real

        def loses(*args, **named):
            self._call = ""
            real(*args, **named)
            raise StorageUnavailable("the answer was lost")

        return loses


def test_a_file_too_large_for_one_copy_is_sealed_in_parts(target):
    target.world.storage = target.store.small_copies
    target.world.app = target.world.process()
    data = bytes(range(256)) * (2 * MIN_PART_BYTES // 256) + b"tail"
    upload = target.open(len(data), part_count=2)
    half = -(-len(data) // 2)
    assert [put(upload.urls[1], data[:half]), put(upload.urls[2], data[half:])] == [200, 200]
    file = target.uploads.confirm(target.owner, upload.file.id)
    put(upload.urls[1], data[half:].ljust(half))
    put(upload.urls[2], data[: len(data) - half])
    target.holds(file, data)


# -- URLs that were tampered with -----------------------------------------------------------------------------------


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


def test_a_copy_smuggled_into_a_part_brings_no_foreign_bytes(target):
    secret_key = f"files/{hashlib.sha256(target.open().file.id.encode()).hexdigest()[:32]}"
    target.world.storage.put(secret_key, SECRET, "video/mp4")
    source = f"/{target.store.options.bucket}/{secret_key}"
    for size, body in ((len(SECRET), EVIL + b"!"), (None, b"")):
        upload = target.open(size)
        for headers in ({}, {"x_amz_copy_source_range": f"bytes=0-{len(SECRET) - 1}"}):
            answer = send("PUT", upload.urls[1], body, x_amz_copy_source=source, **headers)
            assert SECRET not in answer.content
        for part in target.world.storage.list_parts(upload.file.staging_key, upload.file.upload_id):
            assert part.etag != hashlib.md5(SECRET, usedforsecurity=False).hexdigest()
        with suppress(UploadError):
            assert target.bytes_of(target.uploads.confirm(target.owner, upload.file.id)) != SECRET
    assert target.world.storage.read_range(secret_key, 0, 100) == SECRET


def test_a_project_gets_nowhere_with_what_belongs_to_another(target):
    upload = target.open()
    stranger = target.world.stranger
    for ask in (target.uploads.confirm, target.uploads.progress, target.uploads.sign_again, target.uploads.give_up):
        with pytest.raises(NotFound):
            ask(stranger, upload.file.id)
    theirs = target.world.app.jobs.create(stranger, "plain", "Eve")
    own = target.uploads.open(stranger, theirs.id, KIND, "x.mp4", size_bytes=len(GOOD))
    aimed = changed(own.urls[1], urlsplit(upload.urls[1]).path)
    assert put(aimed, EVIL) >= 400
    both = dict(parse_qsl(urlsplit(upload.urls[1]).query))["uploadId"]
    assert put(changed(aimed, uploadId=both), EVIL) >= 400
    target.took_nothing(upload)
    assert put(upload.urls[1], GOOD) == 200
    file = target.uploads.confirm(target.owner, upload.file.id)
    assert target.uploads.download(stranger, file) is None
    target.holds(file)


# -- several uploads ------------------------------------------------------------------------------------------------


def test_of_two_uploads_of_one_kind_the_second_counts(target):
    first = target.open()
    put(first.urls[1], EVIL)
    second = target.uploads.open(target.owner, first.file.job_id, KIND, "b.mp4", size_bytes=len(GOOD))
    target.until_aborted(first.file)
    assert put(first.urls[1], EVIL) >= 400
    put(second.urls[1], GOOD)
    file = target.uploads.confirm(target.owner, second.file.id)
    put(first.urls[1], EVIL)
    target.holds(file)
    with pytest.raises(UploadError):
        target.uploads.confirm(target.owner, first.file.id)


@pytest.mark.parametrize("how", ["replaced", "given up"])
def test_what_is_in_flight_when_an_upload_ends_leaves_nothing_behind(target, how):
    size = 1 << 20
    upload = target.open(size)
    thread, go_on = in_flight(upload.urls[1], b"e" * size)
    if how == "replaced":
        target.uploads.open(target.owner, upload.file.job_id, KIND, "b.mp4", size_bytes=len(GOOD))
    else:
        target.uploads.give_up(target.owner, upload.file.id)
    go_on.set()
    thread.join()
    target.until_aborted(upload.file)
    assert put(upload.urls[1], b"e" * size) >= 400
    assert target.world.storage.head(upload.file.staging_key) is None


# -- odd files ------------------------------------------------------------------------------------------------------


def test_a_file_of_one_byte_is_a_file(target):
    _, file = target.sealed(b"x")
    target.holds(file, b"x")


def test_a_file_of_no_bytes_is_none(target):
    with pytest.raises(Invalid):
        target.open(0)
    upload = target.open(None)
    put(upload.urls[1], b"")
    with pytest.raises(UploadIncomplete):
        target.uploads.confirm(target.owner, upload.file.id)
    assert put(upload.urls[1], GOOD) in {200, 501}  # rclone takes no other bytes for a part that it has


def test_a_thousand_parts_are_signed_and_signed_again(target):
    upload = target.open(MAX_PARTS * MIN_PART_BYTES, part_count=MAX_PARTS)
    assert len(set(upload.urls.values())) == MAX_PARTS
    assert put(upload.urls[MAX_PARTS], b"too short") >= 400
    again = target.uploads.sign_again(target.owner, upload.file.id)
    assert list(again.urls) == list(range(1, MAX_PARTS + 1))
    with pytest.raises(Invalid):
        target.open(None, part_count=MAX_PARTS + 1)
    with pytest.raises(Invalid):
        target.uploads.sign_again(target.owner, upload.file.id, [0])


def test_the_last_of_a_thousand_parts_alone_is_no_file(target):
    upload = target.open(None, part_count=MAX_PARTS)
    assert put(upload.urls[MAX_PARTS], b"the end") == 200
    assert len(target.uploads.progress(target.owner, upload.file.id).missing) == MAX_PARTS - 1
    with pytest.raises(UploadIncomplete):
        target.uploads.confirm(target.owner, upload.file.id)


def test_parts_too_small_to_join_are_told_before_anything_is_joined(target):
    upload = target.open(None, part_count=2)
    put(upload.urls[1], b"small")
    put(upload.urls[2], b"small")
    with pytest.raises(UploadIncomplete, match="at least"):
        target.uploads.confirm(target.owner, upload.file.id)
    assert target.world.file(upload.file).state is FileState.OPEN


@pytest.mark.parametrize(
    "name",
    ['a"\r\nX-Evil: 1\r\n\r\n<html>.mp4', "../../etc/passwd", "a;filename=b.exe", "\u202egpj.mp4", "日本 %0d%0a.mp4"],
)
def test_the_name_of_a_file_is_only_a_name(target, name):
    upload = target.open(name=name)
    put(upload.urls[1], GOOD)
    file = target.uploads.confirm(target.owner, upload.file.id)
    answer = httpx.get(target.uploads.download(target.owner, file), trust_env=False)
    assert answer.status_code == 200
    assert answer.content == GOOD
    assert "x-evil" not in answer.headers
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment")
    assert not set("\r\n\0") & set(disposition)
