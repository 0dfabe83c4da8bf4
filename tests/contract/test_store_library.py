"""Assets that people keep, thumbnails on their way, requests done once: SQLite, PostgreSQL and the store in memory."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.domain.assets import EVERYBODY, Asset, AssetFile, AssetFileState, AssetNotFound, AssetState, Delivery
from orchestrator.domain.errors import Conflict, NotFound, StaleJob
from orchestrator.ports.store import OnceKey, Store
from tests.builders import NOW
from tests.contract.stores import store

__all__ = ["store"]

SECOND = timedelta(seconds=1)
ASSET = Asset("a-1", "project-1", None, "IMAGE", AssetState.ACTIVED, "Ada", "", {"p": 1}, NOW, NOW, tags=[], due_at=NOW)


def test_an_asset_is_written_by_compare_and_set_and_due_until_it_is_not(store: Store) -> None:
    with store.begin() as tx:
        tx.library.add(ASSET)
        assert tx.library.due(NOW, 5) == [ASSET]
        assert tx.library.due(NOW - SECOND, 5) == []
        assert tx.library.name_taken("project-1", "IMAGE", "Ada")
        assert not tx.library.name_taken("project-1", "IMAGE", "Ada", but="a-1")
        assert not tx.library.name_taken("project-1", "VIDEO", "Ada")
        gone = tx.library.save(ASSET, state=AssetState.DELETING, due_at=NOW + SECOND)
        assert (gone.state, gone.version) == (AssetState.DELETING, 1)
        assert not tx.library.name_taken("project-1", "IMAGE", "Ada"), "what is thrown away frees its name"
    with pytest.raises(StaleJob), store.begin() as tx:
        tx.library.save(ASSET, state=AssetState.BLOCK)
    with store.begin() as tx:
        tx.library.save(gone, state=AssetState.DELETED, due_at=None, deleted_at=NOW)
        assert tx.library.due(NOW + SECOND, 5) == []
        with pytest.raises(AssetNotFound):
            tx.library.get("a-1", "project-1")


def test_an_asset_is_seen_by_those_it_is_shared_with_while_it_is(store: Store) -> None:
    def sees(project: str, at: datetime | None) -> bool:
        with store.read() as tx:
            try:
                return tx.library.get("a-1", project, shared_at=at).id == "a-1"
            except AssetNotFound:
                return False

    with store.begin() as tx:
        tx.library.add(ASSET)
        tx.library.share("a-1", ["project-2"], NOW + SECOND)
    assert [sees("project-2", at) for at in (NOW, NOW + SECOND, None)] == [True, False, False]
    assert sees("project-1", None)
    with store.begin() as tx:
        tx.library.share("a-1", [EVERYBODY], NOW + SECOND)
    assert sees("project-2", NOW)
    with store.begin() as tx:
        tx.library.save(ASSET, state=AssetState.UNACTIVED)
    assert not sees("project-2", NOW), "only what is in use is shared"
    with store.begin() as tx:
        tx.library.share("a-1", [], NOW + SECOND)
        tx.library.save(tx.library.get("a-1", None), state=AssetState.ACTIVED)
    assert not sees("project-2", NOW)


def test_a_file_of_an_asset_is_written_by_who_has_seen_its_state(store: Store) -> None:
    file = AssetFile("f-1", "MAIN", "f.png", "files/1", "image/png", 0, None, AssetFileState.CREATING)
    with store.begin() as tx:
        tx.library.add(ASSET)
        tx.library.add_file("a-1", file, NOW)
        tx.library.add_file("a-1", AssetFile("f-0", "OTHER", "g.png", "files/0", "image/png", 0, None), NOW)
        made = tx.library.save_file(file, state=AssetFileState.CREATED, size_bytes=5, facts={"w": 1})
        assert (made.state, made.size_bytes, made.facts) == (AssetFileState.CREATED, 5, {"w": 1})
        assert tx.library.file("f-1", "project-1") == (ASSET, made)
        assert [each.id for each in tx.library.files(["a-1", "a-2"])["a-1"]] == ["f-0", "f-1"]
    with pytest.raises(StaleJob), store.begin() as tx:
        tx.library.save_file(file, state=AssetFileState.FAILED)
    with store.begin() as tx:
        with pytest.raises(NotFound):
            tx.library.file("f-1", "project-2")
        tx.library.drop_file("f-1")
        assert [each.id for each in tx.library.files(["a-1"])["a-1"]] == ["f-0"]


def test_a_token_is_good_once_and_in_time(store: Store) -> None:
    with store.begin() as tx:
        for token in ("t", "u"):
            tx.library.add_token(token, "project-1", "j", NOW + SECOND)
        wrong = (("t", "project-2", "j", NOW), ("t", "project-1", "k", NOW), ("t", "project-1", "j", NOW + SECOND))
        assert not any(tx.library.use_token(*told) for told in wrong)
        assert [tx.library.use_token("t", "project-1", "j", NOW) for _ in range(2)] == [True, False]
        assert [tx.library.drop_expired_tokens(NOW + SECOND) for _ in range(2)] == [1, 0]


def test_a_thumbnail_on_its_way_gives_way_to_that_of_a_newer_model(store: Store) -> None:
    first = Delivery("a-1", "project-1", "http://x/y", "models/1", "image/png", 0, NOW)
    newer = first._replace(key="models/2")
    with store.begin() as tx:
        tx.library.add(ASSET)
        tx.deliveries.add(first)
        tx.deliveries.postpone(first, NOW + SECOND)
        assert tx.deliveries.due(NOW, 5) == []
        assert tx.deliveries.due(NOW + SECOND, 5) == [first._replace(tries=1, due_at=NOW + SECOND)]
        tx.deliveries.add(newer)
        tx.deliveries.postpone(first, NOW + SECOND)
        tx.deliveries.drop(first)
        assert tx.deliveries.due(NOW, 5) == [newer]
        tx.deliveries.drop(newer)
        assert tx.deliveries.due(NOW, 5) == []


def test_a_repeated_request_gets_the_first_answer(store: Store) -> None:
    with store.begin() as tx:
        keys = tx.idempotency

        def begin(project: str, fingerprint: str, token: str, now: datetime = NOW) -> OnceKey:
            return keys.begin(
                project, "k", fingerprint, made_id=f"id-{token}", token=token, now=now, until=now + SECOND,
                expires_at=NOW if project == "project-1" else NOW + SECOND,
            )  # fmt: skip

        assert begin("project-1", "f", "one") == ("id-one", True, None, None)
        assert begin("project-1", "f", "two") == ("id-one", False, None, None), "the first one is under way"
        assert begin("project-1", "f", "two", NOW + SECOND) == ("id-one", True, None, None), "the first one went silent"
        for tell in (
            lambda: keys.finish("project-1", "k", "one", 500, ""),
            lambda: keys.forget("project-1", "k", "one"),
        ):
            tell()  # nobody listens to it any more
        keys.release("project-1", "k", "two", NOW + SECOND)
        assert begin("project-1", "f", "three", NOW + SECOND).is_ours
        keys.finish("project-1", "k", "three", 201, "{}")
        assert begin("project-1", "f", "four", NOW + 9 * SECOND) == ("id-one", False, 201, "{}")
        assert begin("project-2", "g", "five").is_ours
        with pytest.raises(Conflict):
            begin("project-1", "other", "six")
        keys.forget("project-2", "k", "five")
        assert begin("project-2", "g", "seven") == ("id-seven", True, None, None)
        assert tx.idempotency.drop_expired(NOW + SECOND) == 1
