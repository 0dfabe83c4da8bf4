"""What a job costs the database, counted: numbers that do not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.adapters.trainers.instant import InstantBackend
from orchestrator.app.app import App
from orchestrator.domain.commands import Effect
from orchestrator.domain.machine import replay
from orchestrator.domain.model import Job
from orchestrator.domain.states import JobState
from tests.fakes.app import World, a_profile, a_world, asked_of

MOVES = 8  # of a job with two stages, from its submit to its end
BACKLOG = 24
PROFILE = a_profile("instant", "training", "inference_preprocess", materials=())


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with a_world(database_url, profiles={PROFILE.name: PROFILE}, slots=100) as world:
        yield world


def submitted(world: World) -> Job:
    return world.app.uploads.submit(world.owner, world.draft(PROFILE.name).id)


def worker(world: World) -> App:
    """A process that has worked before: its batches have grown."""
    app = world.process(InstantBackend())
    for _ in range(4):
        submitted(world)
    assert app.engine.drain(Effect.VERIFY) == 4 * MOVES
    return app


def has_lived(world: World, job: Job) -> bool:
    log = world.detail(job).log
    return replay(log) is JobState.JOB_SUCCESS and log[-1].version == MOVES + 1


def test_a_job_of_a_backlog_costs_less_than_a_commit_and_its_moves_less_than_a_statement(world: World) -> None:
    app, jobs = worker(world), [submitted(world) for _ in range(BACKLOG)]
    with asked_of(world.database) as asked:
        assert app.engine.drain(Effect.VERIFY) == BACKLOG * MOVES
    assert all(has_lived(world, job) for job in jobs)
    assert asked.commits < BACKLOG
    assert len(asked.statements) < BACKLOG * MOVES


def test_a_single_job_is_written_three_times_after_its_submit(world: World) -> None:
    app, job = worker(world), submitted(world)
    with asked_of(world.database) as asked:
        assert app.engine.drain(Effect.VERIFY) == MOVES
    assert has_lived(world, job)
    on_postgresql = world.database.engine.dialect.name == "postgresql"
    # started, ended and started again, ended and published; on SQLite the claim is a transaction too, and a write of
    # moves is three statements
    assert asked.commits == (3 if on_postgresql else 4)
    assert len(asked.statements) <= (12 if on_postgresql else 18), asked.statements
