"""A claim takes no more than it is told to, whatever plan PostgreSQL makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.database import Database
from orchestrator.domain.commands import Effect
from orchestrator.domain.media_items import Media, MediaStatus, MediaType
from orchestrator.domain.states import JobState
from tests.builders import NOW, a_run, added

UNTIL = NOW + timedelta(seconds=30)
# What is left is a loop over the table that asks for the due rows anew at each row. Small tables get it by themselves.
OTHER_PLANS = ("hashjoin", "mergejoin", "hashagg", "sort", "material")


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url)

    @sa.event.listens_for(database.engine, "connect")
    def plan_as_loop(connection: psycopg.Connection, _record: object) -> None:
        for each in OTHER_PLANS:
            connection.execute(f"SET enable_{each} = off")
        connection.commit()

    with database.begin() as tx:
        tx.keys.add_project("project-1", "project-1", NOW, {})
    yield database
    database.dispose()


def test_jobs(database: Database) -> None:
    for _ in range(4):
        added(database, JobState.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=NOW)
    with database.begin() as tx:
        assert len(tx.jobs.claim(Effect.VERIFY, now=NOW, until=UNTIL, token="t", limit=1)) == 1
    with database.begin() as tx:
        assert len(tx.jobs.claim(Effect.VERIFY, now=NOW, until=UNTIL, token="u", limit=2)) == 2


def test_runs(database: Database) -> None:
    jobs = [added(database, JobState.TRAINING) for _ in range(4)]
    with database.begin() as tx:
        tx.runs.add_many([(a_run(id=job.id, key=job.id, job_id=job.id), NOW) for job in jobs])
    with database.begin() as tx:
        assert len(tx.runs.claim(NOW, UNTIL, 1)) == 1


def test_media(database: Database) -> None:
    with database.begin() as tx:
        for number in range(4):
            place = f"inbox/project-1/{number}.mp4"
            tx.media.add(
                Media(
                    f"{number:032x}", "project-1", MediaType.VIDEO, MediaStatus.INIT, "film", "oss://b/x", place, NOW,
                    NOW,
                ),
                NOW,
            )  # fmt: skip
    with database.begin() as tx:
        assert len(tx.media.claim(now=NOW, until=UNTIL, token="t", limit=1)) == 1
