"""Media: one contract for SQLite, PostgreSQL and the store in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Conflict, StaleJob
from orchestrator.domain.media_items import Media, MediaNotFound, MediaStatus, MediaType
from orchestrator.domain.model import FileKind, FileState
from orchestrator.domain.states import JobState
from orchestrator.ports.store import Store
from tests.builders import NOW, a_change, a_file, a_job, a_sheet
from tests.contract.stores import store

__all__ = ["store"]

LEASE = timedelta(seconds=30)


def an_item(number: int, **fields: object) -> Media:
    values: dict[str, object] = {"place": f"inbox/project-1/{number}.mp4"}
    return Media(
        f"{number:032x}", "project-1", MediaType.VIDEO, MediaStatus.INIT, "film", "oss://b/x",
        created_at=NOW, updated_at=NOW, **(values | fields),  # type: ignore[arg-type]  # fields by name
    )  # fmt: skip


def test_a_claim_takes_what_nobody_holds_and_what_was_let_go_of_silently(store: Store) -> None:
    with store.begin() as tx:
        for number in range(3):
            tx.media.add(an_item(number), NOW)
    with store.begin() as first:
        mine = first.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=2)
    with store.begin() as second:
        theirs = second.media.claim(now=NOW, until=NOW + LEASE, token="b", limit=5)
    assert [len(mine), len(theirs)] == [2, 1]
    assert {item.tries for item in mine} == {1}

    with store.begin() as tx:
        tx.media.settle(mine[0].id, "a", None, status=MediaStatus.NORMAL)
        again = tx.media.claim(now=NOW + LEASE, until=NOW + 2 * LEASE, token="c", limit=5)
    assert {item.id for item in again} == {mine[1].id, theirs[0].id}
    with pytest.raises(StaleJob), store.begin() as tx:
        tx.media.settle(mine[1].id, "a", None, status=MediaStatus.NORMAL)


def test_a_place_and_a_reference_are_held_once_and_free_after_deletion(store: Store) -> None:
    with store.begin() as tx:
        tx.media.add(an_item(1, reference_id="ref-1"), NOW)
    for clash in (an_item(2, place="inbox/project-1/1.mp4"), an_item(2, reference_id="ref-1")):
        with pytest.raises(Conflict), store.begin() as tx:
            tx.media.add(clash, NOW)
    with store.begin() as tx:
        tx.media.delete(tx.media.get(f"{1:032x}", "project-1"), NOW)
        tx.media.add(an_item(2, place="inbox/project-1/1.mp4", reference_id="ref-1"), NOW)
        assert tx.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=5)[0].id == f"{2:032x}"
    with store.read() as tx:
        assert tx.media.deleted_before(NOW + LEASE, 5) == [(f"{1:032x}", None)]


def test_media_are_written_by_compare_and_set_and_by_who_holds_the_claim(store: Store) -> None:
    with store.begin() as tx:
        tx.media.add(an_item(1, file_id=None), NOW)
        item = tx.media.get(f"{1:032x}", "project-1")
        saved = tx.media.save(item, title="another", reference_id="ref-1")
        assert (saved.title, saved.version) == ("another", 1)
        assert tx.media.referred("ref-1", "project-1") == tx.media.at("inbox/project-1/1.mp4", "project-1") == saved
        assert tx.media.get_many([saved.id, "none"], None) == [saved]
        assert tx.media.get_many([saved.id], "project-2") == []
    for write in (lambda tx: tx.media.save(item, title="late"), lambda tx: tx.media.delete(item, NOW),
                  lambda tx: tx.media.hold(item.id, "a", reason="x")):  # fmt: skip
        with pytest.raises(StaleJob), store.begin() as tx:
            write(tx)
    with pytest.raises(MediaNotFound), store.read() as tx:
        tx.media.get(item.id, "project-2")

    with store.begin() as tx:
        assert tx.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=5, media_id="none") == []
        (mine,) = tx.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=5, media_id=item.id)
        tx.media.renew("a", NOW + 2 * LEASE)
        assert tx.media.claim(now=NOW + LEASE, until=NOW + 2 * LEASE, token="b", limit=5) == []
        tx.media.hold(mine.id, "a", reason="being copied")
        anew = tx.media.begin_anew(tx.media.get(mine.id, None), NOW + LEASE, reason="")
        assert (anew.reason, anew.tries) == ("", 0)
    with pytest.raises(StaleJob), store.begin() as tx:
        tx.media.settle(mine.id, "a", None)
    with store.begin() as tx:
        tx.media.erase(item.id)
        assert tx.media.get(item.id, None).id == item.id, "only what is deleted is erased"
        tx.media.delete(tx.media.get(item.id, None), NOW)
        tx.media.erase(item.id)
        assert tx.media.deleted_before(NOW + LEASE, 5) == []


def test_media_are_in_use_while_a_job_with_their_bytes_waits_or_trains(store: Store) -> None:
    sealed = {"final_key": "files/1", "etag": "e"}
    with store.begin() as tx:
        tx.files.add(a_file(FileKind.MEDIA, FileState.SEALED, id="1" * 32, job_id=None, **sealed), None)
        tx.media.add(an_item(1, file_id="1" * 32), NOW)
        assert tx.media.arrived("1" * 32, NOW)
        assert not tx.media.arrived("none", NOW)
        assert tx.media.get(f"{1:032x}", None).status is MediaStatus.PREPARING
        for number, (state, effect) in enumerate((
            (JobState.WAIT_FILE_UPLOAD, Effect.OVERDUE), (JobState.TRAINING, Effect.OVERDUE),
            (JobState.TRAIN_FAILED, None), (JobState.TRAIN_FAILED, Effect.RETRY),
        )):  # fmt: skip
            job = a_job(state, id=f"{number:032x}", effect=effect, due_at=None if effect is None else NOW)
            tx.jobs.add(job, a_sheet(), a_change())
            own = a_file(FileKind.TRAINING_VIDEO, FileState.SEALED, id=f"{number + 2:032x}", job_id=job.id,
                         staging_key=f"media/{number}", **sealed)  # fmt: skip
            tx.files.add(own, None)
            assert tx.media.is_in_use("1" * 32) is (number in {1, 3})
            tx.files.move(own, FileState.DELETING, due_at=NOW)
        assert not tx.media.is_in_use("1" * 32)
