"""Moves of jobs in the database: one of two movers wins, and state, log and counts are written together."""

from __future__ import annotations

import threading
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
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import DatabaseUnavailable, Invalid, NotFound, StaleJob
from orchestrator.domain.model import Change, Job, JobId, Move
from orchestrator.domain.states import JobState
from tests.builders import NOW, a_change, a_job, a_sheet
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


def added(database: Database, state: S = S.WAIT_FILE_UPLOAD, /, **fields: object) -> Job:
    job = a_job(state, **({"id": JobId(new_id(NOW))} | fields))
    with database.begin() as tx:
        tx.jobs.add(job, a_sheet(), a_change(target=state))
    return job


def a_move(job: Job, target: S, /, *, fence: str | None = None, at: datetime = NOW, **fields: object) -> Move:
    after = job._replace(state=target, version=job.version + 1, **fields)  # type: ignore[arg-type]  # fields by name
    change = Change(Command.SUBMIT, Actor.USER, "key-1", job.state, target, (None,), job.version + 1, at)
    return Move(job, after, (change,), fence)


def everything(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        tables = (jobs, operation_log, job_counts)
        return [sorted(map(repr, connection.execute(table.select()))) for table in tables]


def test_a_job_reads_as_it_was_written(database: Database) -> None:
    job = added(
        database, S.TRAINING, lease_token="t", lease_until=NOW, due_at=NOW + timedelta(microseconds=1), run_id="r",
        retry_limit=3, approved=True, suspended_from=S.JOB_REJECT, pool="gpu", takeovers=2,
    )  # fmt: skip
    with database.read() as tx:
        assert tx.jobs.get(job.id) == job
        assert tx.jobs.get_many([job.id, "another"]) == {job.id: job}
        due_at = tx.jobs.get(job.id).due_at
    assert due_at is not None
    assert due_at.utcoffset() == timedelta(0)


def test_a_job_of_another_project_is_not_there(database: Database) -> None:
    job = added(database)
    with database.read() as tx:
        assert tx.jobs.get(job.id, "project-1") == job
        with pytest.raises(NotFound):
            tx.jobs.get(job.id, "project-2")


def test_a_move_writes_job_log_and_counts(database: Database) -> None:
    job = added(database)
    later = NOW + timedelta(hours=1)
    with database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=later, at=later), message="checked")
    with database.read() as tx:
        moved, sheet, log = tx.jobs.get(job.id), tx.reads.sheet(job.id), tx.reads.log(job.id)
        assert tx.reads.counts("project-1") == {S.AUTO_VERIFYING: 1}
    assert (moved.state, moved.version, moved.effect, moved.due_at) == (S.AUTO_VERIFYING, 1, Effect.VERIFY, later)
    assert (sheet.message, sheet.state_since, sheet.first_submitted_at, sheet.created_at) == (
        "checked",
        later,
        later,
        NOW,
    )
    assert [(e.version, e.source, e.target, e.at) for e in log] == [
        (0, None, S.WAIT_FILE_UPLOAD, NOW), (1, S.WAIT_FILE_UPLOAD, S.AUTO_VERIFYING, later),
    ]  # fmt: skip


def test_a_stale_move_writes_nothing(database: Database) -> None:
    job = added(database)
    with database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
    before = everything(database)
    with pytest.raises(StaleJob), database.begin() as tx:
        tx.jobs.move(a_move(job, S.MANUAL_VERIFYING))
    assert everything(database) == before


def test_of_many_moves_the_stale_ones_are_left_out(database: Database) -> None:
    one, two, three = (added(database) for _ in range(3))
    with database.begin() as tx:
        tx.jobs.move(a_move(two, S.AUTO_VERIFYING))
    with database.begin() as tx:
        won = tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING) for job in (one, two, three)])
    assert won == {one.id, three.id}
    with database.read() as tx:
        assert tx.reads.counts(None) == {S.AUTO_VERIFYING: 1, S.MANUAL_VERIFYING: 2}
        assert [entry.target for entry in tx.reads.log(two.id)] == [S.WAIT_FILE_UPLOAD, S.AUTO_VERIFYING]


def test_a_fence_keeps_out_whoever_lost_the_lease(database: Database) -> None:
    job = added(database, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=NOW, lease_token="mine", lease_until=NOW)
    with database.begin() as tx:
        assert tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING, fence="theirs")]) == set()
        assert tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING, fence="mine")]) == {job.id}


def test_a_move_that_stays_leaves_a_claim_made_meanwhile_alone(database: Database) -> None:
    job = added(database, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=NOW)
    with database.begin() as tx:
        [claimed] = tx.jobs.claim(Effect.VERIFY, now=NOW, until=NOW + timedelta(seconds=30), token="w", limit=1)
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING, priority=7))
        assert tx.jobs.get(job.id) == claimed._replace(version=1, priority=7)


def test_what_breaks_after_a_move_takes_the_move_along(database: Database) -> None:
    job, before = added(database), None
    before = everything(database)
    with suppress(ZeroDivisionError), database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
        _ = 1 / 0
    assert everything(database) == before


def test_callbacks_run_after_the_commit_and_never_break_it(database: Database) -> None:
    seen: list[int] = []
    job = added(database)

    def look() -> None:
        with database.read() as other:
            seen.append(other.jobs.get(job.id).version)
        raise ValueError

    with database.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
        tx.after_commit(look)
    assert seen == [1]


def test_a_deleted_job_is_gone_for_everybody_and_erased_later(database: Database) -> None:
    job = added(database)
    with database.begin() as tx:
        tx.jobs.delete(a_move(job, S.WAIT_FILE_UPLOAD))
    with database.begin() as tx:
        with pytest.raises(NotFound):
            tx.jobs.get(job.id)
        assert tx.reads.counts(None) == {}
        assert tx.jobs.deleted_before(NOW, 10) == []
        assert tx.jobs.deleted_before(NOW + timedelta(seconds=1), 10) == [(job.id, "project-1")]
        tx.jobs.erase(job.id)
        assert tx.jobs.deleted_before(NOW + timedelta(seconds=1), 10) == []
        assert tx.reads.log(job.id) == []


def test_two_movers_of_one_version_at_once_one_wins(database: Database) -> None:
    for _ in range(5):
        job = added(database)
        barrier, results = threading.Barrier(2), list[str]()

        def mover(
            target: S, job: Job = job, barrier: threading.Barrier = barrier, results: list[str] = results
        ) -> None:
            barrier.wait()
            try:
                with database.begin() as tx:
                    tx.jobs.move(a_move(job, target))
                results.append("won")
            except StaleJob:
                results.append("stale")

        threads = [threading.Thread(target=mover, args=(state,)) for state in (S.AUTO_VERIFYING, S.MANUAL_VERIFYING)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == ["stale", "won"]
        with database.read() as tx:
            assert len(tx.reads.log(job.id)) == 2


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
