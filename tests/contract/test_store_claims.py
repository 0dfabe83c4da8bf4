"""Claims, leases and the queue for slots: one contract for SQLite, PostgreSQL and the store in memory."""

from __future__ import annotations

import threading
from datetime import timedelta

from orchestrator.app.context import new_id
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import Job, JobId
from orchestrator.domain.states import JobState
from orchestrator.ports.store import Store
from tests.builders import NOW, a_change, a_job, a_run, a_sheet
from tests.contract.stores import store

__all__ = ["store"]


SECOND = timedelta(seconds=1)
UNTIL = NOW + 30 * SECOND


def add(store: Store, *made: Job) -> list[Job]:
    with store.begin() as tx:
        for job in made:
            tx.jobs.add(job, a_sheet(), a_change())
    return list(made)


def due(number: int = 0, /, **fields: object) -> Job:
    values = {"id": JobId(f"job-{number:03}"), "effect": Effect.VERIFY, "due_at": NOW - number * SECOND}
    return a_job(JobState.AUTO_VERIFYING, **(values | fields))


def queued(number: int, project: str = "project-1", /, **fields: object) -> Job:
    values = {"id": JobId(f"{project}-{number:03}"), "project_id": project, "effect": Effect.DISPATCH, "pool": "gpu",
              "due_at": NOW - number * SECOND}  # fmt: skip
    return a_job(JobState.TRAINING_DATA_PREPROCESS_SUCCESS, **(values | fields))


def claim(store: Store, limit: int = 10, token: str = "worker", effect: Effect = Effect.VERIFY) -> list[Job]:
    with store.begin() as tx:
        return tx.jobs.claim(effect, now=NOW, until=UNTIL, token=token, limit=limit)


def test_a_claim_leases_the_oldest_due_jobs_of_its_effect(store: Store) -> None:
    add(store, *(due(n) for n in range(4)), due(9, due_at=NOW + SECOND), due(10, effect=Effect.PUBLISH))
    claimed = claim(store, 3)
    assert {job.id for job in claimed} == {"job-003", "job-002", "job-001"}
    assert {(job.lease_token, job.lease_until) for job in claimed} == {("worker", UNTIL)}
    assert [job.id for job in claim(store)] == ["job-000"]
    assert claim(store) == []


def test_two_claimers_never_get_one_job(store: Store) -> None:
    add(store, *(due(n) for n in range(60)))
    barrier, got = threading.Barrier(3), list[list[str]]()

    def worker(token: str) -> None:
        mine: list[str] = []
        barrier.wait()
        while jobs := claim(store, 4, token):
            mine += [job.id for job in jobs]
        got.append(mine)

    threads = [threading.Thread(target=worker, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [job_id for mine in got for job_id in mine]
    assert sorted(everything) == [f"job-{n:03}" for n in range(60)]


def test_a_lease_that_ran_out_is_taken_back_once_and_counted(store: Store) -> None:
    add(store, due())
    [claimed] = claim(store)
    with store.begin() as tx:
        assert tx.jobs.lost(UNTIL - SECOND, 10) == []
        assert tx.jobs.lost(UNTIL, 10) == [claimed]
        assert tx.jobs.take_back(claimed, UNTIL)
        assert not tx.jobs.take_back(claimed, UNTIL)
        back = tx.jobs.get(claimed.id)
    assert (back.lease_token, back.takeovers, back.due_at, back.version) == (None, 1, UNTIL, claimed.version)


def test_a_worker_that_renews_keeps_its_jobs(store: Store) -> None:
    add(store, due())
    [claimed] = claim(store)
    with store.begin() as tx:
        tx.jobs.renew("worker", UNTIL + 30 * SECOND)
        assert tx.jobs.lost(UNTIL, 10) == []
        assert not tx.jobs.take_back(claimed, UNTIL), "it was there after all"


def test_jobs_given_back_are_due_when_told(store: Store) -> None:
    add(store, due(0), due(1))
    claim(store)
    later = NOW + 5 * SECOND
    with store.begin() as tx:
        tx.jobs.give_back("worker", ["job-000"], later)
        tx.jobs.give_back("worker", ["job-001"], later, crashed=True)
        tx.jobs.give_back("somebody", ["job-000"], NOW)
        assert [(j.id, j.takeovers, j.due_at) for j in tx.jobs.due(Effect.VERIFY, later, 10)] in (
            [("job-000", 0, later), ("job-001", 1, later)], [("job-001", 1, later), ("job-000", 0, later)],
        )  # fmt: skip
        assert tx.jobs.due(Effect.VERIFY, NOW, 10) == []


def test_a_job_is_put_off_unless_somebody_has_it(store: Store) -> None:
    one, two = add(store, due(0), due(1))
    with store.begin() as tx:
        tx.jobs.postpone(one, UNTIL)
        tx.jobs.postpone(two._replace(version=7), UNTIL)
        assert [job.id for job in tx.jobs.due(Effect.VERIFY, NOW, 10)] == ["job-001"]
    claim(store)
    with store.begin() as tx:
        tx.jobs.postpone(two, UNTIL)
        assert tx.jobs.get(two.id).due_at == two.due_at


def test_the_queue_gives_of_every_project_its_first_by_priority_then_age(store: Store) -> None:
    add(
        store,
        *(queued(n) for n in range(5)), queued(7, priority=5), queued(8, due_at=NOW + SECOND),
        queued(1, "project-2", priority=-1), queued(9, "project-2", pool="other"),
        queued(6, lease_token="x", lease_until=UNTIL), due(50),
    )  # fmt: skip
    with store.read() as tx:
        held, first = tx.jobs.queue("gpu", NOW, 3, 9)
        assert held == {}
        assert {(job.project_id, job.id) for job in first} == {
            ("project-1", "project-1-007"), ("project-1", "project-1-004"), ("project-1", "project-1-003"),
            ("project-2", "project-2-001"),
        }  # fmt: skip
        assert tx.jobs.waiting_pools() == ["gpu", "other"]
        assert tx.jobs.queue("none", NOW, 3, 9) == ({}, [])


def test_a_job_whose_former_run_still_lives_waits_on(store: Store) -> None:
    [job] = add(store, queued(1))
    with store.begin() as tx:
        tx.runs.add_many([(a_run(id="r", job_id=job.id), NOW)])
        assert tx.jobs.queue("gpu", NOW, 3, 9) == ({"project-1": 1}, [])
        tx.runs.save_many([(tx.runs.get("r"), None)])
        assert tx.jobs.queue("gpu", NOW, 3, 9) == ({}, [job])


def test_no_more_wait_in_the_queue_than_there_are_slots_to_give_out(store: Store) -> None:
    one, two, three = add(store, *(queued(n, priority=-n) for n in range(3)))
    with store.begin() as tx:
        tx.runs.add_many([(a_run(id="r", job_id=three.id), NOW)])
        assert tx.jobs.queue("gpu", NOW, 3, 9).waiting == [one, two]
        assert tx.jobs.queue("gpu", NOW, 2, 9).waiting == [one]
        assert tx.jobs.queue("gpu", NOW, 3, 1).waiting == [one]
        assert tx.jobs.queue("gpu", NOW, 1, 9) == ({"project-1": 1}, [])
        assert tx.jobs.queue("gpu", NOW, 0, 9) == ({"project-1": 1}, [])


def test_a_lease_is_for_one_until_it_ends_or_runs_out(store: Store) -> None:
    with store.begin() as tx:
        assert tx.leases.take("sweep", "a", NOW, UNTIL)
        assert not tx.leases.take("sweep", "b", NOW, UNTIL)
        assert tx.leases.take("another", "b", NOW, UNTIL)
        assert tx.leases.take("sweep", "b", UNTIL, UNTIL + SECOND), "it ran out"
        tx.leases.end("sweep", "a", NOW)  # too late: it is another's
        assert not tx.leases.take("sweep", "a", NOW, UNTIL)
        tx.leases.end("sweep", "b", NOW)
        assert not tx.leases.take("sweep", "a", NOW + SECOND, UNTIL, not_since=NOW - SECOND), "it was just done"
        assert tx.leases.take("sweep", "a", NOW + SECOND, UNTIL, not_since=NOW)
        assert tx.leases.last_runs() == {"sweep": NOW, "another": None}


def test_a_lease_that_was_ended_is_not_renewed(store: Store) -> None:
    with store.begin() as tx:
        assert tx.leases.take("sweep", "a", NOW, UNTIL)
        tx.leases.end("sweep", "a", NOW)
        tx.leases.renew("sweep", "a", UNTIL)  # by a thread that had looked before
        assert tx.leases.take("sweep", "b", NOW, UNTIL)


def test_ids_that_are_made_in_one_instant_differ() -> None:
    assert len({new_id(NOW) for _ in range(1000)}) == 1000
