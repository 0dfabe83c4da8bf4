"""What the in-memory store offers beyond the port: lost answers and careless stores, on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.errors import StorageUnavailable
from tests.fakes.storage import FORBIDDEN, NO_SUCH_UPLOAD, OK, MemoryStorage

KEY = "staging/film"
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def test_a_lost_answer_before_the_work_leaves_everything_as_it_was():
    storage = MemoryStorage()
    upload_id = storage.create_upload(KEY, "video/mp4")
    storage.put_part(KEY, upload_id, 1, b"data")
    storage.breaks["complete_upload"] = ["before"]
    with pytest.raises(StorageUnavailable):
        storage.complete_upload(KEY, upload_id, storage.list_parts(KEY, upload_id))
    assert storage.head(KEY) is None


def test_a_lost_answer_after_the_work_has_done_it():
    storage = MemoryStorage()
    upload_id = storage.create_upload(KEY, "video/mp4")
    storage.put_part(KEY, upload_id, 1, b"data")
    storage.breaks["complete_upload"] = ["after"]
    with pytest.raises(StorageUnavailable):
        storage.complete_upload(KEY, upload_id, storage.list_parts(KEY, upload_id))
    assert storage.head(KEY) is not None


def test_only_the_planned_calls_break():
    storage = MemoryStorage()
    storage.breaks["head"] = ["", "before"]
    assert storage.head(KEY) is None
    with pytest.raises(StorageUnavailable):
        storage.head(KEY)
    assert storage.head(KEY) is None


def test_urls_live_by_the_clock_of_the_store():
    now = [NOW]
    storage = MemoryStorage(lambda: now[0])
    upload_id = storage.create_upload(KEY, "video/mp4")
    [url] = storage.presign_parts(KEY, upload_id, [1], sizes={1: 4}, now=NOW, expires_in=timedelta(minutes=5))
    assert storage.put_url(url, b"data") == OK
    assert storage.put_url(url, b"other") == FORBIDDEN
    now[0] = NOW + timedelta(minutes=5)
    assert storage.put_url(url, b"data") == FORBIDDEN


@pytest.mark.parametrize(("careless", "status"), [(True, OK), (False, NO_SUCH_UPLOAD)])
def test_a_careless_store_lets_a_late_part_damage_what_is_finished(careless, status):
    storage = MemoryStorage(careless=careless)
    upload_id = storage.create_upload(KEY, "video/mp4")
    storage.put_part(KEY, upload_id, 1, b"data")
    storage.complete_upload(KEY, upload_id, storage.list_parts(KEY, upload_id))
    before = storage.head(KEY)
    assert storage.put_part(KEY, upload_id, 1, b"late") == status
    assert (storage.head(KEY) != before) is careless
