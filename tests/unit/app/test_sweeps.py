"""Care for what nobody else looks after: each sweep does its work once, a dry run only tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain.assets import AssetCommand, Delivery
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import NotFound, StorageUnavailable
from orchestrator.domain.model import FileKind, FileState, RunOutcome
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from orchestrator.ports.trainer import RunState
from tests.fakes.app import World

DAY = 86400.0


def a_lost_lease(world: World) -> None:
    world.submitted("reviewed")
    now = world.clock()
    with world.database.begin() as tx:
        tx.jobs.claim(Effect.VERIFY, now=now, until=now, token="dead", limit=1)


def a_due_retry(world: World) -> None:
    _, run = world.training()
    world.fail(run, FailureClass.CODE)
    world.observe()
    world.clock.advance(60)


def a_run_that_ended(world: World) -> None:
    _, run = world.training()
    world.succeed(run)
    world.clock.advance(60)


def an_overdue_review(world: World) -> None:
    world.submitted("reviewed")
    world.tick()
    world.clock.advance(4 * DAY)


def an_abandoned_draft(world: World) -> None:
    world.draft()
    world.clock.advance(31 * DAY)


def an_arrived_upload(world: World) -> None:
    world.uploaded(world.draft())
    world.clock.advance(60)


def an_expired_upload(world: World) -> None:
    world.app.uploads.open(world.owner, world.draft().id, FileKind.COVER, "c.png", part_count=2)
    world.clock.advance(8 * DAY)


def an_upload_to_abort(world: World) -> None:
    upload = world.app.uploads.open(world.owner, world.draft().id, FileKind.COVER, "c.png")
    world.storage.breaks["abort_upload"].append("before")
    world.app.uploads.give_up(world.owner, upload.file.id)
    world.clock.advance(61)


def a_file_to_delete(world: World) -> None:
    job = world.draft()
    for data in (b"1", b"2"):
        world.app.uploads.confirm(world.owner, world.uploaded(job, data).id)


def an_orphan(world: World) -> None:
    world.storage.put("staging/x", b"x", "video/mp4")
    world.clock.advance(3 * DAY)


def a_deleted_job(world: World) -> None:
    job = world.published()
    world.app.jobs.delete(world.owner, job.id)
    world.sweep("delete_files")
    world.clock.advance(8 * DAY)


def an_asset_in_the_bin(world: World) -> None:
    asset = world.app.library.create(world.owner, "IMAGE", "Sea", attributes={})
    world.app.library.move(world.owner, asset.id, AssetCommand.RECYCLE)
    world.clock.advance(8 * DAY)


def an_old_nonce(world: World) -> None:
    assert world.app.nonces.is_first_use("key", "nonce", world.clock())
    world.clock.advance(120)


def a_wanted_thumbnail(world: World) -> None:
    asset = world.app.library.create(world.owner, "IMAGE", "Sea", attributes={})
    with world.database.begin() as tx:
        tx.deliveries.add(Delivery(asset.id, asset.project_id, "http://x/y", "models/x", "image/png", 0, world.clock()))


CASES: dict[str, list[Callable[[World], None]]] = {
    "observe_runs": [a_run_that_ended], "due_retries": [a_due_retry], "lost_leases": [a_lost_lease],
    "overdue": [an_overdue_review, an_abandoned_draft], "seal_uploads": [an_arrived_upload],
    "expire_uploads": [an_expired_upload], "abort_uploads": [an_upload_to_abort], "delete_files": [a_file_to_delete],
    "orphans": [an_orphan], "retention": [a_deleted_job],
    "assets": [an_asset_in_the_bin], "nonces": [an_old_nonce], "thumbnails": [a_wanted_thumbnail],
}  # fmt: skip


def test_every_sweep_is_tried() -> None:
    assert set(CASES) == {sweep.name for sweep in SWEEPS}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_a_sweep_tells_in_a_dry_run_does_it_once_and_then_has_nothing_to_do(
    world: World, name: str, case: Callable[[World], None]
) -> None:
    case(world)
    before, objects = world.snapshot(), len(list(world.storage.list("")))
    told = world.sweep(name, dry_run=True)
    assert len(told.done) == 1
    assert (world.snapshot(), len(list(world.storage.list("")))) == (before, objects)
    assert len(world.sweep(name).done) == 1
    after = world.snapshot()
    assert (after, list(world.storage.list(""))) != (before, objects)
    again = world.sweep(name)
    assert (again.done, again.failed, world.snapshot()) == ([], [], after)


def test_a_sweep_is_run_by_one_process_and_no_more_often_than_its_row_says(world: World) -> None:
    assert not world.app.sweeper.run("orphans").skipped
    assert world.process().sweeper.run("orphans").skipped, "just done"
    assert not world.process().sweeper.run("orphans", force=True).skipped
    world.clock.advance(3600)
    with world.database.begin() as tx:
        tx.leases.take("sweep:orphans", "somebody", world.clock(), world.clock() + world.timing.lease)
    assert world.app.sweeper.run("orphans", force=True).skipped, "somebody is at it"
    world.clock.advance(world.timing.lease)
    assert not world.app.sweeper.run("orphans").skipped, "who died at it is replaced"
    with pytest.raises(NotFound):
        world.app.sweeper.run("spring_cleaning")


def test_one_broken_sweep_does_not_stop_the_others(world: World) -> None:
    def broken(_limit: int) -> object:
        raise ValueError("a bug")

    world.app.runs.observe = broken  # type: ignore[method-assign,assignment]  # a bug
    told: list[str] = []
    reports = world.app.sweeper.run_due(on_error=lambda name, exc: told.append(f"{name}: {exc}"))
    assert told == ["observe_runs: a bug"]
    assert {report.name for report in reports} == {sweep.name for sweep in SWEEPS} - {"observe_runs"}


def test_a_draft_that_is_still_worked_on_is_not_abandoned(world: World) -> None:
    job = world.draft()
    world.clock.advance(29 * DAY)
    world.uploaded(job)
    world.sweep("overdue", after=2 * DAY)
    assert world.state(job) is JobState.WAIT_FILE_UPLOAD
    world.sweep("overdue", after=29 * DAY)
    with pytest.raises(NotFound):
        world.detail(job)
    world.sweep("abort_uploads")
    assert list(world.storage.list_uploads("")) == []


def test_who_takes_too_long_is_flagged_again_and_again(world: World) -> None:
    an_overdue_review(world)
    [summary] = world.app.review.next(world.reviewer)
    world.sweep("overdue")
    assert world.detail(summary.job).sheet.overdue_at == world.clock()
    world.sweep("overdue", after=4 * DAY)
    assert world.detail(summary.job).log[-1].command is Command.FLAG_OVERDUE
    world.app.review.approve(world.reviewer, summary.job.id)
    assert world.detail(summary.job).sheet.overdue_at is None


def test_a_run_beyond_all_limits_is_timed_out_and_asked_to_stop(world: World) -> None:
    job, run = world.training()
    world.say(run, RunState.RUNNING)
    world.sweep("overdue", after=73 * 3600)
    moved = world.job(job)
    assert (moved.state, moved.run_id, moved.failure) == (
        JobState.TRAINING_DATA_PREPROCESS_SUCCESS, None, FailureClass.TIMEOUT,
    )  # fmt: skip
    world.observe()
    assert world.run_of(job).outcome is RunOutcome.CANCELLED
    assert [handle for handle, _ in world.trainer.cancelled] == [run.handle]


def test_a_deleted_job_leaves_nothing(world: World) -> None:
    published = world.published("plain")
    world.app.jobs.delete(world.owner, published.id)
    for _ in range(3):
        world.sweep("delete_files", after=60)
    world.sweep("retention", after=8 * DAY)
    assert [info.key for info in world.storage.list("") if published.id in info.key] == []
    with world.database.read() as tx:
        assert tx.files.of_job(published.id) == tx.runs.of_job(published.id) == []


def test_leftovers_of_failed_runs_go_and_are_not_looked_for_again(world: World) -> None:
    _, run = world.training()
    world.storage.put(f"runs/{run.job_id}/{run.id}/half.npz", b"x", "y/z")
    world.fail(run, FailureClass.DATA)
    world.observe()
    assert world.sweep("retention", after=15 * DAY).done == [f"1 leftovers of run {run.id}"]
    world.storage.put(f"runs/{run.job_id}/{run.id}/late.npz", b"x", "y/z")
    assert world.sweep("retention", after=DAY).done == []


def test_what_a_sweep_cannot_do_does_not_stand_in_its_way(world: World) -> None:
    job, run = world.training("mending")
    world.fail(run, FailureClass.CODE)
    world.observe()
    other, run = world.training()
    world.fail(run, FailureClass.CODE)
    world.observe()
    world.profiles = {name: profile for name, profile in world.profiles.items() if name != "mending"}
    world.app = world.process()
    report = world.sweep("due_retries", after=60)
    assert (len(report.done), len(report.failed)) == (1, 1)
    assert world.state(other) is JobState.TRAINING_DATA_PREPROCESS_SUCCESS
    assert world.sweep("due_retries").failed == [], "not before some time has passed"
    assert world.state(job) is JobState.TRAINING_DATA_PREPROCESS_FAILED


def test_files_of_every_end_are_known(world: World) -> None:
    job = world.draft()
    world.app.uploads.confirm(world.owner, world.uploaded(job).id)
    world.app.jobs.delete(world.owner, job.id)
    world.sweep("delete_files")
    with world.database.read() as tx:
        assert [file.state for file in tx.files.of_job(job.id)] == [FileState.DELETED]


def test_a_step_that_comes_to_no_end_is_marked_and_told_of_once_until_it_moves_on(world: World) -> None:
    job = world.submitted()
    world.prober.trouble = [StorageUnavailable("the store does not answer")] * 3
    world.app.engine.drain(Effect.VERIFY)
    assert world.sweep("overdue", after=3000).alarms == []
    (alarm,) = world.sweep("overdue", after=1000).alarms
    assert job.id in alarm
    assert "verify" in alarm
    assert world.detail(job).sheet.overdue_at == world.clock()
    assert world.state(job) is JobState.AUTO_VERIFYING
    assert world.sweep("overdue", after=60).alarms == []
    world.prober.trouble.clear()
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS
    assert world.detail(job).sheet.overdue_at is None
