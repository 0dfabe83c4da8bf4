"""Slots are never exceeded by dispatchers of several processes on one PostgreSQL."""

from __future__ import annotations

import threading

from orchestrator.adapters.db.database import Database
from orchestrator.domain.commands import Effect
from tests.fakes.app import World, a_world


def test_dispatchers_of_several_processes_never_exceed_the_slots(postgresql_url: str) -> None:
    with a_world(postgresql_url, slots=3) as world:
        for _ in range(9):
            world.waiting()
        others = [World(Database(postgresql_url), slots=3) for _ in range(3)]
        barrier = threading.Barrier(len(others))

        def dispatch(other: World) -> None:
            other.storage = world.storage
            app = other.process(world.trainer)
            barrier.wait()
            app.engine.drain(Effect.DISPATCH)

        threads = [threading.Thread(target=dispatch, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for other in others:
            other.database.dispose()
        assert len(world.live_runs()) == len(world.trainer.submitted) == 3
