"""Moves of jobs in the database: one of two movers wins, and state, log and counts are written together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.adapters.db.database import Database
from orchestrator.adapters.db.tables import job_counts, jobs, operation_log
from orchestrator.app.context import new_id
from orchestrator.domain.errors import DatabaseUnavailable, Invalid, StaleJob
from orchestrator.domain.states import JobState
from tests.builders import NOW, a_change, a_job, a_move, a_sheet, added
from tests.databases import Factory

S = JobState


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.begin() as tx:
        for project in ("project-1", "project-2"):
            tx.keys.add_project(project, project, NOW, {})
    yield database
    database.dispose()


def everything(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        tables = (jobs, operation_log, job_counts)
        return [sorted(map(repr, connection.execute(table.select()))) for table in tables]


def test_a_stale_move_writes_nothing(database: Database) -> None:
    job = added(database)
    with database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
    before = everything(database)
    with pytest.raises(StaleJob), database.begin() as tx:
        tx.jobs.move(a_move(job, S.MANUAL_VERIFYING))
    assert everything(database) == before


def test_what_breaks_after_a_move_takes_the_move_along(database: Database) -> None:
    job, before = added(database), None
    before = everything(database)
    with suppress(ZeroDivisionError), database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
        _ = 1 / 0
    assert everything(database) == before


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([S.AUTO_VERIFYING, S.TRAINING, S.JOB_SUCCESS]), st.booleans()),
        max_size=25,
    )
)
@pytest.mark.parametrize("kind", ["sqlite_files", "postgres_databases"])
def test_counts_equal_the_rows_after_any_moves(
    request: pytest.FixtureRequest, kind: str, steps: list[tuple[int, S, bool]]
) -> None:
    factory: Factory = request.getfixturevalue(kind)
    with factory.migrated() as url:
        database = Database(url)
        with database.begin() as tx:
            for project in ("project-1", "project-2"):
                tx.keys.add_project(project, project, NOW, {})
        held = [added(database, project_id=f"project-{1 + n % 2}") for n in range(6)]
        for number, target, deletes in steps:
            job = held[number]
            with suppress(StaleJob), database.begin() as tx:
                tx.jobs.delete(a_move(job, job.state)) if deletes else tx.jobs.move(a_move(job, target))
                held[number] = job if deletes else job._replace(state=target, version=job.version + 1)
        with database.engine.connect() as connection:
            alive = connection.execute(sa.select(jobs.c.project_id, jobs.c.state).where(jobs.c.deleted_at.is_(None)))
            real = Counter((project, S(state)) for project, state in alive)
        with database.read() as tx:
            for project in ("project-1", "project-2"):
                counted = {(project, state): n for state, n in tx.reads.counts(project).items()}
                assert counted == {key: n for key, n in real.items() if key[0] == project}
        database.dispose()


def test_odd_words_of_trainers_and_files_are_stored_as_far_as_they_can_be(database: Database) -> None:
    job = added(database)
    move = a_move(job, S.AUTO_VERIFYING)
    odd = move.changes[0]._replace(description="a\0b\ud800", details={"loss": float("nan"), "c\0": ["\0"]})
    with database.begin() as tx:
        tx.jobs.move(move._replace(changes=(odd,)))
    with database.read() as tx:
        line = tx.reads.log(job.id)[-1]
    assert line.description == "a\N{REPLACEMENT CHARACTER}b?"
    assert line.details == {"loss": None, "c\N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}"]}


def test_a_value_that_the_database_cannot_hold_is_invalid(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite holds anything")
    with pytest.raises(Invalid), database.begin() as tx:
        tx.jobs.add(a_job(id="j"), a_sheet(name="a\0b"), a_change())


def test_a_database_that_is_not_there_is_unavailable() -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"):
        database = Database(url)
        with pytest.raises(DatabaseUnavailable):
            database.ping()
        with pytest.raises(DatabaseUnavailable), database.begin() as tx:
            tx.jobs.get("j")
        with pytest.raises(DatabaseUnavailable), database.read() as tx:
            tx.jobs.get("j")


def test_ids_sort_by_time() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_id(at + timedelta(milliseconds=n)) for n in range(50)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 50
    assert {len(each) for each in ids} == {32}
