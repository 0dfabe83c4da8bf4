"""Stored secrets are encrypted, and one command encrypts them all anew, however often it is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.secrets import SEALED
from orchestrator.adapters.db.tables import access_keys, metadata
from orchestrator.adapters.secret_box import FernetBox, new_key
from orchestrator.app.app import App
from orchestrator.app.keys import NewKey
from orchestrator.domain.actors import Role
from orchestrator.domain.audit import Act
from orchestrator.domain.errors import Invalid
from orchestrator.ports.store import OnceKey, Tx
from tests.builders import NOW
from tests.fakes.app import World, a_world

OLD, NEW, LOST = new_key(), new_key(), new_key()


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with a_world(database_url) as world:
        yield world


def app_with(world: World, *keys: str) -> App:
    return App(replace(world.app.context, secret_box=FernetBox(keys)))


def begun(tx: Tx, name: str) -> OnceKey:
    return tx.idempotency.begin(
        "project-1", name, "f", made_id=name, token="token", now=NOW, until=NOW, expires_at=NOW
    )  # fmt: skip


def made_with(world: World, *keys: str, count: int = 7) -> list[NewKey]:
    """Keys and a kept answer whose secrets are sealed with the first of `keys`."""
    app = app_with(world, *keys)
    made = [app.keys.create("project-1", Role.USER, f"key {number}") for number in range(count)]
    for name in ("a", "b"):
        with world.database.begin() as tx:
            begun(tx, name)
            tx.idempotency.finish("project-1", name, "token", 201, app.context.secret_box.seal(f"answer {name}"))
    return made


def all_open_with(world: World, key: str, made: list[NewKey]) -> bool:
    app = app_with(world, key)
    try:
        for each in made:
            assert app.keys.signing_key(each.id).secret == each.secret
        for name in ("a", "b"):
            with world.database.begin() as tx:
                kept = begun(tx, name)
            assert app.context.secret_box.open(str(kept.body)) == f"answer {name}"
    except Invalid:
        return False
    return True


def test_secrets_are_nowhere_in_the_database_as_they_are(world: World):
    made = made_with(world, OLD)
    rows = repr(world.snapshot())
    assert not any(secret in rows for key in made for secret in (key.secret, key.token))
    assert "answer a" not in rows


def test_every_secret_is_sealed_anew_and_the_old_key_may_go(world: World):
    made = made_with(world, OLD)
    told = {each.place: each for each in app_with(world, NEW, OLD).secrets.reseal(batch=3)}
    assert {place: (each.seen, each.resealed) for place, each in told.items()} == {
        "access_keys": (7, 7), "idempotency_keys": (2, 2),
    }  # fmt: skip
    assert all(each.done and not each.unreadable for each in told.values())
    assert all_open_with(world, NEW, made)
    assert not all_open_with(world, OLD, made)
    audit = world.app.audit.list(limit=1)[0]
    assert (audit.act, audit.details) == (Act.RESEAL_SECRETS, {"access_keys": 7, "idempotency_keys": 2})


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
def test_broken_off_it_goes_on_where_it_stopped(world: World, batches: int):
    made = made_with(world, OLD)
    app = app_with(world, NEW, OLD)
    assert len(list(islice(app.secrets.reseal(batch=3), batches))) == batches
    done = sum(_sealed_with(world, NEW, place) for place in SEALED)
    rest = {each.place: each.resealed for each in app.secrets.reseal(batch=3)}
    assert done > 0
    assert done + sum(rest.values()) == 9
    assert all_open_with(world, NEW, made)
    assert sum(each.resealed for each in app.secrets.reseal()) == 0


def _sealed_with(world: World, key: str, place: str) -> int:
    box = FernetBox([key])
    with world.database.read() as tx:
        sealed = [each for _, each in tx.secrets.page(place, None, 100)]
    return sum(box.reseal(each) is None for each in sealed if _opens(box, each))


def _opens(box: FernetBox, sealed: str) -> bool:
    try:
        box.open(sealed)
    except Invalid:
        return False
    return True


def test_a_secret_that_no_key_opens_is_named_and_stops_nothing(world: World):
    lost = app_with(world, LOST).keys.create("project-1", Role.USER, "lost")
    made = made_with(world, OLD)
    told = {each.place: each for each in app_with(world, NEW, OLD).secrets.reseal(batch=3)}
    assert told["access_keys"].unreadable == [lost.id]
    assert (told["access_keys"].seen, told["access_keys"].resealed) == (8, 7)
    assert all_open_with(world, NEW, made)


def test_what_somebody_else_wrote_meanwhile_is_left_alone(world: World):
    [key] = made_with(world, OLD, count=1)
    with world.database.begin() as tx:
        [(secret_id, sealed)] = tx.secrets.page("access_keys", None, 10)
        tx.secrets.replace("access_keys", secret_id, sealed, FernetBox([OLD]).seal("newer"))
        assert not tx.secrets.replace("access_keys", secret_id, sealed, "x")
    assert app_with(world, OLD).keys.signing_key(key.id).secret == "newer"


def test_every_column_of_sealed_secrets_is_known():
    named = {
        column for table in metadata.sorted_tables for column in table.columns if column.name.endswith("_encrypted")
    }
    assert named <= set(SEALED.values())
    assert isinstance(access_keys.c.secret_encrypted.type, sa.Text)
