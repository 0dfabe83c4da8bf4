"""Who gets a free slot: priority, then fair share, then age; and never more runs than slots."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.dispatch import pick
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import Job, JobId
from orchestrator.domain.states import JobState
from tests.builders import NOW, a_job
from tests.fakes.app import World


def waiting(number: int, project: str = "a", priority: int = 0, age_s: int = 0) -> Job:
    due_at = NOW - timedelta(seconds=age_s)
    return a_job(
        JobState.TRAINING_DATA_PREPROCESS_SUCCESS, id=JobId(f"{project}-{number}"), project_id=project,
        priority=priority, effect=Effect.DISPATCH, due_at=due_at,
    )  # fmt: skip


queues = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 2), st.integers(0, 100)), max_size=25).map(
    lambda rows: [waiting(n, *row) for n, row in enumerate(rows)]
)
holdings = st.dictionaries(st.sampled_from("abc"), st.integers(0, 5))
shares = st.dictionaries(st.sampled_from("abc"), st.integers(1, 4))


@given(queues, holdings, shares, st.integers(0, 30))
def test_as_many_as_there_are_slots_and_nobody_twice(
    jobs: list[Job], live: dict[str, int], weights: dict[str, int], free: int
) -> None:
    chosen = pick(jobs, live, weights, free)
    assert len(chosen) == min(free, len(jobs))
    assert len({job.id for job in chosen}) == len(chosen)


@given(queues, holdings, shares, st.integers(0, 30))
def test_nobody_is_passed_by_somebody_of_less_priority(
    jobs: list[Job], live: dict[str, int], weights: dict[str, int], free: int
) -> None:
    chosen = {job.id for job in pick(jobs, live, weights, free)}
    left = [job.priority for job in jobs if job.id not in chosen]
    taken = [job.priority for job in jobs if job.id in chosen]
    assert not left or not taken or max(left) <= min(taken)


@given(queues, holdings, st.integers(0, 30))
def test_within_a_project_and_a_priority_the_older_comes_first(
    jobs: list[Job], live: dict[str, int], free: int
) -> None:
    chosen = {job.id for job in pick(jobs, live, {}, free)}
    for left in (job for job in jobs if job.id not in chosen):
        for taken in (job for job in jobs if job.id in chosen):
            if (left.project_id, left.priority) == (taken.project_id, taken.priority):
                assert left.due_at is not None
                assert taken.due_at is not None
                assert taken.due_at <= left.due_at


@given(st.integers(1, 12), shares)
def test_slots_are_shared_by_weight(free: int, weights: dict[str, int]) -> None:
    jobs = [waiting(n, project) for project in "abc" for n in range(12)]
    held = Counter(job.project_id for job in pick(jobs, {}, weights, free))
    for one in "abc":
        for other in "abc":
            # nobody was served while another held less for its share
            assert (held[one] - 1) / weights.get(one, 1) <= held[other] / weights.get(other, 1)


def test_who_holds_little_is_served_before_a_burst_of_another() -> None:
    burst = [waiting(n, "a", age_s=100) for n in range(5)]
    assert [job.project_id for job in pick([*burst, waiting(9, "b")], {"a": 3}, {}, 2)] == ["b", "a"]


def test_no_capacity_means_waiting(world: World) -> None:
    jobs = [world.waiting() for _ in range(4)]
    world.app.engine.drain(Effect.DISPATCH)
    assert [world.state(job) for job in jobs].count(JobState.TRAINING) == world.slots == 2
    assert {world.state(job) for job in jobs} == {JobState.TRAINING, JobState.TRAINING_DATA_PREPROCESS_SUCCESS}


def test_two_dispatchers_at_once_never_exceed_the_slots(world: World) -> None:
    jobs = [world.waiting() for _ in range(6)]
    barrier = threading.Barrier(2)

    def dispatch() -> None:
        barrier.wait()
        world.process().engine.drain(Effect.DISPATCH)

    threads = [threading.Thread(target=dispatch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.live_runs()) == world.slots
    assert [world.state(job) for job in jobs].count(JobState.TRAINING) == world.slots
