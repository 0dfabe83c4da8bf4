"""Runs: written before they are submitted, looked at until they end, tried again by policy; late words are void."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import GuardRefused, TrainerUnavailable
from orchestrator.domain.model import FileKind, Run, RunOutcome
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from orchestrator.ports.trainer import RunState
from tests.fakes.app import PROFILES, SlowTrainer, World, a_world, with_policy
from tests.fakes.trainer import a_spec

PLAIN = PROFILES[0]


def test_a_run_is_in_the_ledger_before_the_backend_is_asked_and_found_before_it_is_asked_again(world: World) -> None:
    job = world.waiting()
    world.dying_dispatcher()
    run = world.run_of(job)
    assert (run.outcome, run.handle, world.trainer.submitted) == (RunOutcome.STARTING, None, {})
    handle = world.trainer.submit(a_spec(run_id=run.id), run.key)  # the dead process did, and could not say so
    world.observe(after=31)
    assert world.run_of(job).handle == handle
    assert len(world.trainer.submitted) == 1


def test_a_run_that_was_never_submitted_is_submitted_by_the_sweep(world: World) -> None:
    job = world.waiting()
    world.dying_dispatcher()
    world.observe(after=29)
    assert world.trainer.submitted == {}, "the dispatcher may still be about to"
    world.observe(after=2)
    assert world.run_of(job).outcome is RunOutcome.RUNNING


def test_a_backend_that_is_down_loses_nothing(world: World) -> None:
    job = world.waiting()
    world.trainer.is_down = True
    world.app.engine.drain(Effect.DISPATCH)
    world.observe(after=3600)
    assert world.state(job) is JobState.TRAINING
    world.trainer.is_down = False
    world.observe(after=60)
    world.succeed(world.run_of(job))
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS


def test_progress_is_kept_while_it_runs(world: World) -> None:
    job, run = world.training()
    world.say(run, RunState.RUNNING, progress=0.4, message="epoch 4", metrics={"loss": 0.5}, heartbeat_at=world.clock())
    world.observe()
    run = world.run_of(job)
    assert (run.progress, run.message, run.metrics, run.heartbeat_at) == (0.4, "epoch 4", {"loss": 0.5}, run.created_at)


def test_gone_is_believed_when_time_says_so_too(world: World) -> None:
    job, run = world.training()
    world.say(run, RunState.RUNNING, heartbeat_at=world.clock())
    world.observe(after=1)
    world.trainer._statuses.clear()
    world.observe(after=20)
    assert world.run_of(job).outcome is RunOutcome.RUNNING, "one signal is not enough"
    world.observe(after=60)
    assert (world.run_of(job).outcome, world.run_of(job).failure) == (RunOutcome.FAILED, FailureClass.LOST)
    moved = world.job(job)
    assert (moved.state, moved.infra_retries, moved.run_id) == (JobState.TRAINING_DATA_PREPROCESS_SUCCESS, 1, None)


@pytest.mark.parametrize(
    ("failure", "limit", "state", "effect"),
    [
        (FailureClass.DATA, 0, JobState.TRAIN_FAILED, Effect.OVERDUE),
        (FailureClass.CODE, 0, JobState.TRAIN_FAILED, Effect.OVERDUE),
        (FailureClass.CODE, 1, JobState.TRAIN_FAILED, Effect.RETRY),
        (FailureClass.OUT_OF_MEMORY, 1, JobState.TRAIN_FAILED, Effect.RETRY),
        (FailureClass.CANCELLED, 0, JobState.TRAIN_FAILED, Effect.OVERDUE),
        (FailureClass.TIMEOUT, 0, JobState.TRAIN_FAILED, Effect.OVERDUE),
        (FailureClass.TIMEOUT, 1, JobState.TRAINING_DATA_PREPROCESS_SUCCESS, Effect.DISPATCH),
        (FailureClass.INFRASTRUCTURE, 1, JobState.TRAINING_DATA_PREPROCESS_SUCCESS, Effect.DISPATCH),
        (FailureClass.INFRASTRUCTURE, 0, JobState.TRAIN_FAILED, Effect.OVERDUE),
    ],
)
def test_the_policy_decides_by_failure_class(
    sqlite_url: str, failure: FailureClass, limit: int, state: JobState, effect: Effect
) -> None:
    profile = with_policy(PLAIN, {failure: limit})
    with a_world(sqlite_url, profiles={"plain": profile}) as world:
        job, run = world.training()
        world.fail(run, failure, message="broken")
        world.observe()
        moved = world.job(job)
        assert (moved.state, moved.effect) == (state, effect)
        assert "broken" in world.detail(job).sheet.message
        if limit:
            world.clock.advance(31)
            world.tick()
            assert (world.state(job), len(world.runs_of(job))) == (JobState.TRAINING, 2)
            world.fail(world.run_of(job), failure)
            world.observe()
            assert (world.state(job), world.job(job).effect) == (JobState.TRAIN_FAILED, Effect.OVERDUE), "used up"


def test_a_stopped_run_keeps_its_slot_until_it_has_ended(sqlite_url: str) -> None:
    with a_world(sqlite_url, slots=1) as world:
        job, run = world.training()
        other = world.waiting()
        world.trainer.cancel = lambda *_: None  # type: ignore[method-assign]  # it takes its time
        world.app.jobs.stop(world.admin, job.id)
        world.observe()
        world.app.engine.drain(Effect.DISPATCH)
        assert (world.state(job), world.state(other)) == (
            JobState.MANUAL_STOP_TRAIN, JobState.TRAINING_DATA_PREPROCESS_SUCCESS,
        )  # fmt: skip
        world.say(run, RunState.CANCELLED)
        world.observe()
        world.app.engine.drain(Effect.DISPATCH)
        assert world.run_of(job).outcome is RunOutcome.CANCELLED
        assert world.state(other) is JobState.TRAINING


def test_a_job_that_is_redone_waits_for_its_stopped_run_to_end(world: World) -> None:
    job, run = world.training()
    world.trainer.cancel = lambda *_: None  # type: ignore[method-assign]  # it takes its time
    world.app.jobs.stop(world.admin, job.id)
    world.app.jobs.retrain(world.admin, job.id, "training")
    world.tick()
    assert len(world.runs_of(job)) == 1
    world.say(run, RunState.CANCELLED)
    world.observe()
    world.tick()
    assert len(world.runs_of(job)) == 2


def test_a_zombie_that_succeeds_late_publishes_nothing(world: World) -> None:
    job, run = world.training()
    world.app.jobs.stop(world.admin, job.id)
    world.trainer.cancel = lambda *_: None  # type: ignore[method-assign]  # it does not hear
    world.succeed(run)
    world.observe()
    assert world.run_of(job).outcome is RunOutcome.CANCELLED
    assert world.state(job) is JobState.MANUAL_STOP_TRAIN
    with world.database.read() as tx:
        assert tx.runs.succeeded([job.id]) == {job.id: {}}


def test_a_run_that_its_dispatcher_submits_after_the_stop_is_cancelled(world: World) -> None:
    job = world.waiting()

    def meanwhile() -> None:
        world.app.jobs.stop(world.admin, job.id)
        world.observe(after=1)
        assert world.run_of(job).ended_at is None, "unknown to the backend, but it may be on its way"
        world.observe(after=60)
        assert world.run_of(job).outcome is RunOutcome.CANCELLED

    world.process(SlowTrainer(world.trainer, meanwhile)).engine.drain(Effect.DISPATCH)
    [handle] = world.trainer.submitted
    assert [cancelled for cancelled, _ in world.trainer.cancelled] == [handle]


def test_another_file_than_the_one_read_first_fails_as_data(world: World) -> None:
    job, run = world.training("mending")
    world.say(run, RunState.SUCCEEDED, input_hashes={"training_video.mp4": "a" * 64, "unknown": "c" * 64})
    world.observe()
    world.tick()
    run = world.run_of(job)
    assert run.stage == "training"
    world.say(run, RunState.SUCCEEDED, input_hashes={"training_video.mp4": "b" * 64})
    world.observe()
    assert (world.run_of(job).outcome, world.run_of(job).failure) == (RunOutcome.FAILED, FailureClass.DATA)
    assert world.state(job) is JobState.TRAIN_FAILED
    with world.database.read() as tx:
        assert set(tx.runs.succeeded([job.id])[job.id]) == {"training_preprocess"}


def test_one_run_that_its_backend_cannot_take_does_not_hold_up_the_others(world: World) -> None:
    bad, good = world.waiting(), world.waiting()
    real = world.trainer.submit

    def submit(spec, key):
        if spec.job_id == bad.id:
            raise ValueError("no such program")
        return real(spec, key)

    world.trainer.submit = submit  # type: ignore[method-assign]  # one of two is broken
    world.app.engine.drain(Effect.DISPATCH)
    assert world.state(good) is JobState.TRAINING
    assert world.job(bad).infra_retries == 1
    assert "no such program" in world.detail(bad).sheet.message


def test_a_profile_that_lost_a_stage_fails_its_runs_and_nobody_elses(world: World) -> None:
    job, other = world.waiting("mending"), world.waiting()
    world.profiles = {"plain": PLAIN, "mending": replace(PROFILES[3], stages=PLAIN.stages)}
    app = world.process()
    app.engine.drain(Effect.DISPATCH)
    assert world.state(other) is JobState.TRAINING
    assert "does not say any more" in world.detail(job).sheet.message or world.reports


def test_a_stage_gets_the_material_and_what_earlier_stages_made(world: World) -> None:
    job, run = world.training("full")
    for stage in ("beauty", "training_preprocess", "training"):
        run = world.run_of(job)
        assert run.stage == stage
        names = [given.name for given in world.trainer.submitted[str(run.handle)].inputs]
        assert names[0] == "training_video.mp4"
        assert names[1:] == [f"{earlier}.npz" for earlier in ("beauty", "training_preprocess")][: len(names) - 1]
        world.succeed(run)
        world.observe()
        world.tick()


def test_of_artefacts_with_one_name_the_later_stages_own_goes_on() -> None:
    from orchestrator.app.specs import artefacts_of
    from tests.builders import a_run

    def made(stage: str, attempt: int) -> Run:
        return replace(a_run(stage), attempt=attempt, artefacts=[{"name": "frames.npz", "key": stage}])

    found = artefacts_of([made("training_preprocess", 1), made("beauty", 2)])
    assert found["frames.npz"]["key"] == "training_preprocess"


def test_new_material_takes_the_worth_from_what_was_learned_of_the_old(world: World) -> None:
    job, run = world.training("mending")
    world.succeed(run)
    world.observe()
    world.tick()
    world.fail(world.run_of(job), FailureClass.DATA)
    world.observe()
    world.uploaded(job, b"another video")
    world.app.uploads.submit(world.owner, job.id)
    world.tick()
    world.app.jobs.stop(world.admin, job.id)
    with pytest.raises(GuardRefused, match="have to be run first: training_preprocess"):
        world.app.jobs.retrain(world.admin, job.id, "training")


def test_nothing_is_learned_again_from_a_video_that_was_deleted(world: World) -> None:
    job = world.published("reviewed")
    world.app.jobs.delete_video(world.owner, job.id)
    before = world.snapshot()
    for ask in (
        lambda: world.app.jobs.retrain(world.admin, job.id, "training"),
        lambda: world.app.jobs.reset(world.admin, job.id),
    ):
        with pytest.raises(GuardRefused, match="training video is missing"):
            ask()
    assert world.snapshot() == before
    assert Command.REDO_TRAINING not in world.app.jobs.open_commands(world.admin, world.detail(job))


def test_a_model_that_is_not_where_its_run_put_it_is_made_again_by_policy(world: World) -> None:
    job, run = world.training()
    world.succeed(run)
    for info in list(world.storage.list("runs/")):
        world.storage.delete(info.key)
    world.observe()
    world.app.engine.drain(Effect.STORE_MODEL)
    failed = world.job(job)
    assert (failed.state, failed.effect) == (JobState.INFERENCE_DATA_PREPROCESS_FAILED, Effect.RETRY)
    world.storage.put(f"runs/{job.id}/{run.id}/training.npz", run.id.encode(), "application/octet-stream")
    world.clock.advance(timedelta(minutes=2))
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS


def test_a_published_model_has_its_files_under_keys_of_their_own(world: World) -> None:
    job = world.published("full")
    asset, held = world.app.assets.get(world.owner, str(world.job(job).asset_id))
    assert {file.name for file in held} == {
        f"{stage}.npz"
        for stage in ("beauty", "training_preprocess", "training", "inference_preprocess", "compile", "test_video")
    }  # fmt: skip
    assert all(file.key.startswith(f"models/{job.id}/") and world.storage.head(file.key) for file in held)
    assert asset.project_id == "project-1"


def test_looking_again_at_what_has_ended_changes_nothing(world: World) -> None:
    job, run = world.training()
    world.succeed(run)
    world.observe()
    before = world.snapshot()
    assert world.app.runs.observe() == (0, [])
    assert world.snapshot() == before
    assert world.state(job) is not JobState.TRAINING


def test_an_unreachable_backend_is_no_reason_to_fail(world: World) -> None:
    _, run = world.training()
    world.trainer.is_down = True
    with pytest.raises(TrainerUnavailable):
        world.trainer.observe([str(run.handle)])
    world.observe(after=3600)
    assert len(world.live_runs()) == 1


def test_talk_and_papers_are_no_input_of_training(world: World) -> None:
    job = world.draft()
    upload = world.app.uploads.open(world.owner, job.id, FileKind.ATTACHMENT, "note.txt")
    world.put(upload, b"note")
    world.app.uploads.confirm(world.owner, upload.file.id)
    world.uploaded(job)
    world.app.uploads.submit(world.owner, job.id)
    world.tick()
    [spec] = world.trainer.submitted.values()
    assert [given.name for given in spec.inputs] == ["training_video.mp4"]
