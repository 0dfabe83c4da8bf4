"""Runs as people look at them, and what their trainers wrote."""

from __future__ import annotations

import pytest

from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Forbidden, NotFound
from orchestrator.ports.trainer import RunState
from tests.fakes.app import World


def test_who_sees_a_run_and_who_sees_what_its_trainer_wrote(world: World) -> None:
    _, run = world.training()
    world.say(run, RunState.RUNNING, log="epoch 1\n")
    logs, admin = world.app.run_logs, world.caller("people", Role.ADMIN)
    assert [logs.show(each, run.id).id for each in (world.owner, world.reviewer, admin)] == [run.id] * 3
    with pytest.raises(NotFound, match=run.id):
        logs.show(world.stranger, run.id)
    for each in (world.owner, world.stranger, world.reviewer):
        with pytest.raises(Forbidden, match=f"needs the role admin, this key has {each.role}"):
            logs.read(each, run.id)
    assert logs.read(admin, run.id) == ("epoch 1\n", 8)


def test_a_run_that_is_not_submitted_yet_has_written_nothing(world: World) -> None:
    job = world.waiting()
    world.dying_dispatcher()
    assert world.app.run_logs.read(world.caller("people", Role.ADMIN), world.run_of(job).id, 7) == ("", 7)
