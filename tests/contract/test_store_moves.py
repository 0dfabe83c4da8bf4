"""Moves of jobs: one contract for SQLite, PostgreSQL and the store in memory."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import NotFound, StaleJob
from orchestrator.domain.model import Job
from orchestrator.domain.states import JobState
from orchestrator.ports.store import Store
from tests.builders import NOW, a_move, a_run, added
from tests.contract.stores import store

__all__ = ["store"]


S = JobState


def test_a_job_reads_as_it_was_written(store: Store) -> None:
    job = added(
        store, S.TRAINING, lease_token="t", lease_until=NOW, due_at=NOW + timedelta(microseconds=1), run_id="r",
        retry_limit=3, approved=True, suspended_from=S.JOB_REJECT, pool="gpu", takeovers=2,
    )  # fmt: skip
    with store.read() as tx:
        assert tx.jobs.get(job.id) == job
        assert tx.jobs.get_many([job.id, "another"]) == {job.id: job}
        due_at = tx.jobs.get(job.id).due_at
    assert due_at is not None
    assert due_at.utcoffset() == timedelta(0)


def test_a_job_of_another_project_is_not_there(store: Store) -> None:
    job = added(store)
    with store.read() as tx:
        assert tx.jobs.get(job.id, "project-1") == job
        with pytest.raises(NotFound):
            tx.jobs.get(job.id, "project-2")


def test_a_move_writes_job_log_and_counts(store: Store) -> None:
    job = added(store)
    later = NOW + timedelta(hours=1)
    with store.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=later, at=later), message="checked")
    with store.read() as tx:
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


def test_of_many_moves_the_stale_ones_are_left_out(store: Store) -> None:
    one, two, three = (added(store) for _ in range(3))
    with store.begin() as tx:
        tx.jobs.move(a_move(two, S.AUTO_VERIFYING))
    with store.begin() as tx:
        won = tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING) for job in (one, two, three)])
    assert won == {one.id, three.id}
    with store.read() as tx:
        assert tx.reads.counts(None) == {S.AUTO_VERIFYING: 1, S.MANUAL_VERIFYING: 2}
        assert [entry.target for entry in tx.reads.log(two.id)] == [S.WAIT_FILE_UPLOAD, S.AUTO_VERIFYING]


def test_a_run_is_in_the_ledger_only_if_the_move_that_starts_it_is_won(store: Store) -> None:
    one, late = added(store), added(store)
    with store.begin() as tx:
        tx.jobs.move(a_move(late, S.AUTO_VERIFYING))
    starts = [
        a_move(job, S.TRAINING)._replace(starts=(a_run(id=f"run of {job.id}", key=job.id, job_id=job.id), NOW))
        for job in (one, late)
    ]
    with store.begin() as tx:
        assert tx.jobs.move_many(starts) == {one.id}
    with store.read() as tx:
        assert [run.id for run in tx.runs.of_job(one.id)] == [f"run of {one.id}"]
        assert [run.job_id for run in tx.runs.due(NOW, 5)] == [one.id]
        assert tx.runs.of_job(late.id) == []


def test_a_fence_keeps_out_whoever_lost_the_lease(store: Store) -> None:
    job = added(store, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=NOW, lease_token="mine", lease_until=NOW)
    with store.begin() as tx:
        assert tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING, fence="theirs")]) == set()
        assert tx.jobs.move_many([a_move(job, S.MANUAL_VERIFYING, fence="mine")]) == {job.id}


def test_a_move_that_stays_leaves_a_claim_made_meanwhile_alone(store: Store) -> None:
    job = added(store, S.AUTO_VERIFYING, effect=Effect.VERIFY, due_at=NOW)
    with store.begin() as tx:
        [claimed] = tx.jobs.claim(Effect.VERIFY, now=NOW, until=NOW + timedelta(seconds=30), token="w", limit=1)
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING, priority=7))
        assert tx.jobs.get(job.id) == claimed._replace(version=1, priority=7)


def test_callbacks_run_after_the_commit_and_never_break_it(store: Store) -> None:
    seen: list[int] = []
    job = added(store)

    def look() -> None:
        with store.read() as other:
            seen.append(other.jobs.get(job.id).version)
        raise ValueError

    with store.begin() as tx:
        tx.jobs.move(a_move(job, S.AUTO_VERIFYING))
        tx.after_commit(look)
    assert seen == [1]


def test_a_deleted_job_is_gone_for_everybody_and_erased_later(store: Store) -> None:
    job = added(store)
    with store.begin() as tx:
        tx.jobs.delete(a_move(job, S.WAIT_FILE_UPLOAD))
    with store.begin() as tx:
        with pytest.raises(NotFound):
            tx.jobs.get(job.id)
        assert tx.reads.counts(None) == {}
        assert tx.jobs.deleted_before(NOW, 10) == []
        assert tx.jobs.deleted_before(NOW + timedelta(seconds=1), 10) == [(job.id, "project-1")]
        tx.jobs.erase(job.id)
        assert tx.jobs.deleted_before(NOW + timedelta(seconds=1), 10) == []
        assert tx.reads.log(job.id) == []


def test_two_movers_of_one_version_at_once_one_wins(store: Store) -> None:
    for _ in range(5):
        job = added(store)
        barrier, results = threading.Barrier(2), list[str]()

        def mover(
            target: S, job: Job = job, barrier: threading.Barrier = barrier, results: list[str] = results
        ) -> None:
            barrier.wait()
            try:
                with store.begin() as tx:
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
        with store.read() as tx:
            assert len(tx.reads.log(job.id)) == 2
