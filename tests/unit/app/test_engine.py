"""The worker's loop and the steps of verification: batches, lost leases, crashes, people in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.app.context import Timing, new_token
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import CheckBrokenOff, StorageUnavailable
from orchestrator.domain.model import FileKind
from orchestrator.domain.states import JobState
from tests.fakes.app import REFUSED, VIDEO, World

BAD = b"bad"


def verify(world: World) -> int:
    return world.app.engine.drain(Effect.VERIFY)


def test_all_due_jobs_are_worked_off_in_batches(world: World) -> None:
    jobs = [world.submitted("reviewed") for _ in range(11)]
    assert verify(world) == 11
    assert {world.state(job) for job in jobs} == {JobState.MANUAL_VERIFYING}
    assert verify(world) == 0


def test_a_refused_video_says_why_and_may_be_replaced(world: World) -> None:
    world.prober.refuse[BAD] = (REFUSED,)
    job = world.submitted("reviewed", BAD)
    verify(world)
    detail = world.detail(job)
    assert detail.job.state is JobState.AUTO_VERIFY_FAILED
    assert (detail.log[-1].error_code, REFUSED.message in detail.sheet.message) == ("too_short", True)
    assert detail.log[-1].details is not None
    assert detail.log[-1].details["files"]["training_video"]["reasons"][0]["measured"] == 1.0  # type: ignore[index]  # JSON
    assert detail.files[0].facts == {"kind": "video", "size_bytes": 3, "duration_s": 200.0}
    world.uploaded(job)
    world.app.uploads.submit(world.owner, job.id)
    verify(world)
    assert world.state(job) is JobState.MANUAL_VERIFYING


def test_a_store_that_does_not_answer_is_no_verdict(world: World) -> None:
    job = world.submitted("reviewed")
    world.prober.trouble.append(StorageUnavailable("no answer"))
    verify(world)
    waiting = world.job(job)
    assert (waiting.state, waiting.takeovers, waiting.lease_token) == (JobState.AUTO_VERIFYING, 0, None)
    assert waiting.due_at == world.clock() + world.timing.step_retry
    world.clock.advance(16)
    verify(world)
    assert world.state(job) is JobState.MANUAL_VERIFYING


@pytest.mark.parametrize("broken", ["missing", "changed"])
def test_bytes_that_are_not_the_sealed_ones_are_refused(world: World, broken: str) -> None:
    job = world.submitted("reviewed")
    [file] = world.detail(job).files
    if broken == "missing":
        world.storage.delete(str(file.final_key))
    else:
        world.storage.put(str(file.final_key), b"another", "video/mp4")
    verify(world)
    assert world.state(job) is JobState.AUTO_VERIFY_FAILED
    assert "Upload the file again" in world.detail(job).sheet.message


def test_one_job_that_breaks_the_step_does_not_take_its_batch_along(world: World) -> None:
    jobs = [world.submitted("reviewed", f"video {n}".encode()) for n in range(4)]
    real = world.prober.judge

    def judge(source, kind, rules):
        if source.read_range(0, 99) == b"video 2":
            raise ValueError("a bug")
        return real(source, kind, rules)

    world.prober.judge = judge  # type: ignore[method-assign]  # breaks for one
    for _ in range(world.timing.max_takeovers + 1):
        verify(world)
        world.clock.advance(16)
    states = [world.state(job) for job in jobs]
    assert states[2] is JobState.AUTO_VERIFY_FAILED, "given up after so many crashes"
    assert "broke off 5 times" in world.detail(jobs[2]).sheet.message
    assert {*states[:2], states[3]} == {JobState.MANUAL_VERIFYING}
    assert {event for event, _ in world.reports} == {"step_crashed"}


def test_a_check_that_is_killed_says_nothing_of_the_film_and_is_not_tried_for_ever(world: World) -> None:
    once = world.submitted("reviewed")
    world.prober.trouble.append(CheckBrokenOff("killed"))
    verify(world)
    assert world.state(once) is JobState.AUTO_VERIFYING
    world.clock.advance(16)
    verify(world)
    assert world.state(once) is JobState.MANUAL_VERIFYING
    lost = world.submitted("reviewed", b"a film that gets its readers killed")
    world.prober.trouble += [CheckBrokenOff("killed")] * world.timing.max_takeovers
    for _ in range(world.timing.max_takeovers):
        verify(world)
        assert world.state(lost) is JobState.AUTO_VERIFYING
        world.clock.advance(16)
    verify(world)
    assert world.state(lost) is JobState.AUTO_VERIFY_FAILED
    assert "an operator has to look at it" in world.detail(lost).sheet.message
    assert not world.reports


def test_a_job_that_keeps_losing_its_workers_is_looked_at_every_few_minutes_for_ever() -> None:
    timing = Timing(step_retry=timedelta(seconds=15))
    delays = [timing.takeover_delay(number).total_seconds() for number in (0, 1, 2, 5, 6, 1000)]
    assert delays == [0, 15, 45, 465, 465, 465]


def test_the_job_of_a_dead_worker_is_taken_up_by_another(world: World) -> None:
    job = world.submitted("reviewed")
    now = world.clock()
    with world.database.begin() as tx:
        tx.jobs.claim(Effect.VERIFY, now=now, until=now + world.timing.lease, token=new_token(), limit=1)
    verify(world)
    assert world.state(job) is JobState.AUTO_VERIFYING
    assert world.sweep("lost_leases", after=29).done == []
    before = world.snapshot()
    assert len(world.sweep("lost_leases", after=2, dry_run=True).done) == 1
    assert world.snapshot() == before
    world.sweep("lost_leases")
    assert world.sweep("lost_leases").done == [], "once"
    assert world.job(job).takeovers == 1
    verify(world)
    assert world.state(job) is JobState.MANUAL_VERIFYING


def test_a_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    job = world.submitted("reviewed")
    other = world.process()

    def sleep_too_long() -> None:
        world.prober.before = lambda: None
        world.clock.advance(timedelta(minutes=2))
        world.sweep("lost_leases")
        other.engine.drain(Effect.VERIFY)

    world.prober.before = sleep_too_long
    verify(world)
    assert len({entry.version for entry in world.detail(job).log if entry.command is Command.AUTO_ACCEPT}) == 1
    assert world.state(job) is JobState.MANUAL_VERIFYING


def test_a_job_that_a_person_touches_meanwhile_is_looked_at_again(world: World) -> None:
    job = world.submitted("reviewed")

    def touch() -> None:
        world.prober.before = lambda: None
        world.app.jobs.set_priority(world.admin, job.id, 7)

    world.prober.before = touch
    verify(world)
    verify(world)
    moved = world.job(job)
    assert (moved.state, moved.priority, moved.lease_token) == (JobState.MANUAL_VERIFYING, 7, None)
    assert len(world.prober.judged) == 2


def test_optional_material_is_judged_and_required_material_is_missed(world: World) -> None:
    job = world.draft("reviewed")
    world.uploaded(job)
    world.uploaded(job, BAD, FileKind.COVER)
    world.prober.refuse[BAD] = (REFUSED,)
    world.app.uploads.submit(world.owner, job.id)
    verify(world)
    assert world.state(job) is JobState.AUTO_VERIFY_FAILED
    assert world.detail(job).sheet.message.startswith("cover: ")
    assert {data for data, _, _ in world.prober.judged} == {VIDEO, BAD}


def test_storing_and_publishing_wait_for_a_store_that_does_not_answer(world: World) -> None:
    job, run = world.training("plain")
    world.succeed(run)
    world.storage.breaks["head"].append("before")
    world.observe()
    world.app.engine.drain(Effect.STORE_MODEL)
    assert world.state(job) is JobState.WAIT_MAIN_FILE_UPLOAD
    world.clock.advance(16)
    world.app.engine.drain(Effect.STORE_MODEL)
    assert world.state(job) is JobState.JOB_SUCCESS
