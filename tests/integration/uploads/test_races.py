"""What happens while a file is being sealed: replays, parts in flight, several who seal, answers that are lost."""

from __future__ import annotations

import threading
from contextlib import suppress

import httpx
import pytest

from orchestrator.domain.errors import StorageUnavailable, UploadError
from orchestrator.domain.uploads import MIN_PART_BYTES
from tests.integration.uploads.attacker import EVIL, GOOD, in_flight, put, sealed_in_the_end

pytestmark = pytest.mark.timeout(120)


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
