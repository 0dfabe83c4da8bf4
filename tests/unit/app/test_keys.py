"""Keys: replaced with an overlap, and every act on them in the audit log with who did it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.audit import Act
from orchestrator.domain.errors import Forbidden, Invalid, NotFound, Unauthenticated
from tests.fakes.app import World

ANNA = Caller("people", Role.OPERATOR, "anna", key_id="AKANNA")


def comes_in(world: World, key) -> bool:
    keys = world.app.keys
    try:
        by_token, signing = keys.caller_of_token(key.token), keys.signing_key(key.id)
    except Unauthenticated:
        with pytest.raises(Unauthenticated):
            keys.signing_key(key.id)
        return False
    assert by_token == signing.caller == Caller(key.project_id, key.role, key.name, key_id=key.id)
    assert signing.secret == key.secret
    assert signing.admits(key.token)
    assert not signing.admits("another")
    return True


def test_a_key_and_its_replacement_are_both_let_in_until_the_overlap_is_over(world: World):
    old = world.app.keys.create("project-1", Role.REVIEWER, "ada")
    new = world.app.keys.replace(old.id, timedelta(hours=1))
    assert (new.project_id, new.role, new.name) == (old.project_id, old.role, old.name)
    assert {new.id, new.secret, new.token}.isdisjoint({old.id, old.secret, old.token})
    world.clock.advance(timedelta(minutes=59))
    assert [comes_in(world, old), comes_in(world, new)] == [True, True]
    world.clock.advance(timedelta(minutes=1))
    assert [comes_in(world, old), comes_in(world, new)] == [False, True]


def test_without_an_overlap_the_old_key_is_refused_at_once(world: World):
    old = world.app.keys.create("project-1", Role.USER, "ada")
    new = world.app.keys.replace(old.id)
    assert [comes_in(world, old), comes_in(world, new)] == [False, True]
    with pytest.raises(NotFound):
        world.app.keys.replace(old.id)


def test_an_overlap_can_be_cut_short_but_not_drawn_out(world: World):
    old = world.app.keys.create("project-1", Role.USER, "ada")
    world.app.keys.replace(old.id, timedelta(hours=1))
    with pytest.raises(NotFound):
        world.app.keys.replace(old.id, timedelta(days=1))
    world.app.keys.disable(old.id)
    assert not comes_in(world, old)
    for overlap in (timedelta(seconds=-1), timedelta(days=91)):
        with pytest.raises(Invalid, match="0 to 90 days"):
            world.app.keys.replace(old.id, overlap)


def test_every_act_is_in_the_audit_log_with_who_did_it(world: World):
    keys = world.app.keys
    before = world.app.audit.list(limit=1)[0].id
    keys.add_project("acme", by=ANNA)
    keys.add_project("acme", by=ANNA)  # changes nothing
    made = keys.create("acme", Role.ADMIN, "bob", by=ANNA)
    new = keys.replace(made.id, timedelta(hours=1), by=ANNA)
    keys.disable(new.id, by=ANNA)
    with pytest.raises(NotFound):
        keys.disable(new.id, by=ANNA)
    world.app.sweeper.run("overdue", force=True, by=ANNA)
    world.app.sweeper.run("overdue", dry_run=True, by=ANNA)
    world.app.sweeper.run("overdue", force=True)

    lines = [line for line in reversed(world.app.audit.list()) if line.id > before]
    assert [(line.act, line.subject) for line in lines] == [
        (Act.CREATE_PROJECT, "acme"), (Act.CREATE_KEY, made.id), (Act.REPLACE_KEY, made.id), (Act.DISABLE_KEY, new.id),
        (Act.RUN_SWEEP, "overdue"),
    ]  # fmt: skip
    assert {(line.key_id, line.operator) for line in lines} == {("AKANNA", "anna")}
    assert lines[1].details == {"project_id": "acme", "role": "admin", "name": "bob"}
    assert lines[2].details["replaced_by"] == new.id
    told = repr(lines)
    assert not any(secret in told for key in (made, new) for secret in (key.secret, key.token))


def test_the_audit_log_comes_in_pages(world: World):
    for number in range(5):
        world.app.keys.add_project(f"p{number}")
    newest = world.app.audit.list(limit=2)
    older = world.app.audit.list(before=newest[-1].id, limit=2)
    assert [line.subject for line in (*newest, *older)] == ["p4", "p3", "p2", "p1"]
    with pytest.raises(Invalid):
        world.app.audit.list(limit=0)


def test_a_temporary_key_signs_beside_its_token_until_it_ends(world: World):
    key = world.app.keys.create("project-1", Role.USER, "ada", lifetime=timedelta(minutes=15))
    assert not world.app.keys.signing_key(key.id).admits(None)
    world.clock.advance(timedelta(minutes=14))
    assert comes_in(world, key)
    with pytest.raises(Invalid, match="is temporary"):
        world.app.keys.replace(key.id)
    world.clock.advance(timedelta(minutes=1))
    assert not comes_in(world, key)
    for lifetime in (timedelta(minutes=14), timedelta(hours=25)):
        with pytest.raises(Invalid, match="the lifetime is"):
            world.app.keys.create("project-1", Role.USER, "ada", lifetime=lifetime)


@pytest.mark.parametrize("role", [Role.USER, Role.REVIEWER, Role.ADMIN])
def test_projects_keys_sweeps_and_the_audit_log_are_for_operators_whoever_asks_for_them(world: World, role: Role):
    made = world.app.keys.create("project-1", Role.USER, "ada")
    by, before = world.caller("people", role), world.snapshot()
    for ask in (
        lambda: world.app.keys.add_project("new", by=by),
        lambda: world.app.keys.create("people", Role.OPERATOR, "eve", by=by),
        lambda: world.app.keys.replace(made.id, by=by),
        lambda: world.app.keys.disable(made.id, by=by),
        lambda: world.app.keys.all(by=by),
        lambda: world.app.audit.list(by=by),
        lambda: world.app.sweeper.last_runs(by=by),
        lambda: world.app.sweeper.run("retention", by=by),
    ):
        with pytest.raises(Forbidden, match=f"needs the role operator, this key has {role}"):
            ask()
    assert world.snapshot() == before
