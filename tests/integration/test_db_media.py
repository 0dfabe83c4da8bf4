"""Media rows on both databases: claims do not overlap, places and references are held once, a shared object is seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from orchestrator.adapters.db.database import Database
from orchestrator.domain.errors import Conflict, StaleJob
from orchestrator.domain.media_items import Media, MediaStatus, MediaType
from tests.builders import NOW
from tests.fakes.app import a_database

LEASE = timedelta(seconds=30)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = a_database(database_url)
    with database.begin() as tx:
        tx.keys.add_project("p", "p", NOW, {})
    yield database
    database.dispose()


def an_item(number: int, **fields: object) -> Media:
    values: dict[str, object] = {"place": f"inbox/p/{number}.mp4"}
    return Media(
        f"{number:032x}", "p", MediaType.VIDEO, MediaStatus.INIT, "film", "oss://b/x", created_at=NOW, updated_at=NOW,
        **(values | fields),  # type: ignore[arg-type]  # fields by name
    )  # fmt: skip


def test_a_claim_takes_what_nobody_holds_and_what_was_let_go_of_silently(database: Database) -> None:
    with database.begin() as tx:
        for number in range(3):
            tx.media.add(an_item(number), NOW)
    with database.begin() as first:
        mine = first.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=2)
    with database.begin() as second:
        theirs = second.media.claim(now=NOW, until=NOW + LEASE, token="b", limit=5)
    assert [len(mine), len(theirs)] == [2, 1]
    assert {item.tries for item in mine} == {1}

    with database.begin() as tx:
        tx.media.settle(mine[0].id, "a", None, status=MediaStatus.NORMAL)
        again = tx.media.claim(now=NOW + LEASE, until=NOW + 2 * LEASE, token="c", limit=5)
    assert {item.id for item in again} == {mine[1].id, theirs[0].id}
    with pytest.raises(StaleJob), database.begin() as tx:
        tx.media.settle(mine[1].id, "a", None, status=MediaStatus.NORMAL)


def test_a_place_and_a_reference_are_held_once_and_free_after_deletion(database: Database) -> None:
    with database.begin() as tx:
        tx.media.add(an_item(1, reference_id="ref-1"), NOW)
    for clash in (an_item(2, place="inbox/p/1.mp4"), an_item(2, reference_id="ref-1")):
        with pytest.raises(Conflict), database.begin() as tx:
            tx.media.add(clash, NOW)
    with database.begin() as tx:
        tx.media.delete(tx.media.get(f"{1:032x}", "p"), NOW)
        tx.media.add(an_item(2, place="inbox/p/1.mp4", reference_id="ref-1"), NOW)
        assert tx.media.claim(now=NOW, until=NOW + LEASE, token="a", limit=5)[0].id == f"{2:032x}"
    with database.read() as tx:
        assert tx.media.deleted_before(NOW + LEASE, 5) == [(f"{1:032x}", None)]
