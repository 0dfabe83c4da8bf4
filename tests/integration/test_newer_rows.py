"""Rows that a newer version wrote beside this one, with words that this one does not know: it leaves them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.database import Database
from orchestrator.adapters.db.tables import files, jobs, media, operation_log, runs
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import WrittenByNewer
from orchestrator.domain.media_items import MediaQuery
from orchestrator.domain.model import Job, RunOutcome
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from orchestrator.domain.views import JobQuery
from tests.fakes.app import PROFILES, VIDEO, World

CHECKED = ("jobs_state", "jobs_effect", "files_kind", "files_state", "runs_outcome")


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    database = Database(database_url, profiles=[profile.name for profile in PROFILES])
    engine = database.engine
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA ignore_check_constraints=ON"))
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    else:
        with engine.begin() as connection:
            for name in CHECKED:
                connection.execute(sa.text(f"ALTER TABLE {name.partition('_')[0]} DROP CONSTRAINT ck_{name}"))
    yield World(database, slots=10)
    database.dispose()


def written(world: World, table: sa.Table, row_id: str, **values: object) -> Callable[[], object]:
    """Write what a newer version would; gives how to look at the row."""
    with world.database.engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.id == row_id).values(**values))

    def look() -> object:
        with world.database.engine.connect() as connection:
            return tuple(connection.execute(sa.select(table).where(table.c.id == row_id)).one())

    return look


def failed(world: World) -> Job:
    """A job whose training failed for a reason that is tried again."""
    job, run = world.training()
    world.fail(run, FailureClass.CODE)
    world.observe()
    assert world.job(job).effect is Effect.RETRY
    return job


def a_medium(world: World, name: str) -> str:
    key = f"inbox/project-1/{name}"
    world.storage.put(key, VIDEO, "video/mp4")
    return world.app.media.register(world.owner, world.storage.address_of(key)).id


def test_what_it_has_no_words_for_is_left_alone_and_holds_up_nobody(world: World) -> None:
    of_state, of_profile, held, tired = world.waiting(), world.submitted(), world.waiting(), failed(world)
    at_work, run = world.training()
    upload = world.uploaded(world.draft())
    past = world.clock() - timedelta(hours=1)
    left_alone = [
        written(world, jobs, of_state.id, state="wait_polish", due_at=past),
        written(world, jobs, of_profile.id, profile="unheard of", due_at=past),
        written(world, jobs, held.id, state="polishing", lease_token="theirs", lease_until=past),
        written(world, jobs, tired.id, failure="boredom", due_at=past),
        written(world, jobs, at_work.id, state="polishing"),
        written(world, runs, run.id, due_at=past),
        written(world, files, upload.id, kind="hologram", due_at=past),
    ]
    before = [look() for look in left_alone]
    ours = [world.waiting(), world.submitted(), failed(world), world.training()[0]]
    world.clock.advance(timedelta(minutes=2))
    for _ in range(6):
        world.tick()
        for each in world.live_runs():
            if each.outcome is RunOutcome.RUNNING and each.job_id != at_work.id:
                world.succeed(each)
        world.clock.advance(timedelta(seconds=30))
    assert [look() for look in left_alone] == before
    assert [world.state(job) for job in ours] == [JobState.JOB_SUCCESS] * len(ours)
    assert world.reports == []


def test_lists_are_shown_without_it_and_whoever_asks_for_it_is_told_to_ask_again(world: World) -> None:
    strange, known, logged = world.draft(), world.draft(), world.draft()
    written(world, jobs, strange.id, state="wait_polish")
    with world.database.engine.begin() as connection:
        connection.execute(sa.update(operation_log).where(operation_log.c.job_id == logged.id).values(log_type="waved"))
        connection.execute(sa.text("UPDATE job_counts SET state = 'wait_polish' WHERE project_id = 'project-1'"))
    page, _ = world.app.jobs.list(world.owner, JobQuery("project-1", limit=10))
    assert {summary.job.id for summary in page} == {known.id, logged.id}
    with world.database.read() as tx:
        assert tx.reads.counts("project-1") == {}
    for job in (strange, logged):
        with pytest.raises(WrittenByNewer, match="a newer one wrote it"):
            world.detail(job)
    assert world.state(known) is JobState.WAIT_FILE_UPLOAD


def test_media_of_another_kind_are_left_to_who_knows_it(world: World) -> None:
    strange, known = a_medium(world, "a.mp4"), a_medium(world, "b.mp4")
    look = written(world, media, strange, type="hologram")
    before = look()
    world.tick()
    assert look() == before
    with world.database.read() as tx:
        assert [item.id for item in tx.media.page(MediaQuery("project-1", limit=10))] == [known]
