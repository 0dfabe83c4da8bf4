"""A worker dies between every two steps of its work, once each; another finishes it, and nothing happens twice."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from orchestrator.app.app import App
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import FileKind, FileState, RunOutcome
from orchestrator.domain.states import JobState
from orchestrator.ports.storage import UploadGone
from tests.faults.crowd import small_film
from tests.faults.fire import supervise
from tests.faults.mortal import POINTS
from tests.faults.promises import Expected, check_whole, promises, raise_broken
from tests.servers import StoreServer
from tests.workers import ME, Installation, wait_until, worker

IMPATIENT = {
    "worker.tick": "200ms",
    "timing.lease": "1s",
    "timing.step_retry": "200ms",
    "timing.start_grace": "1s",
    "timing.poll_first": "300ms",
    "timing.single_part_poll": "200ms",
    "timing.abort_retry": "200ms",
    "timing.max_takeovers": 40,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worker_that_dies_at_every_point_loses_and_doubles_nothing(
    database_url: str, store_server: StoreServer, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    installation = Installation(tmp_path, database_url, "", IMPATIENT, store=store_server)
    installation.environ["UNDERSTUDY_TEST_DEATHS"] = str(deaths)
    with ExitStack() as stack:
        stack.callback(installation.close)
        mortal = stack.enter_context(worker(installation, "--concurrency", "2", module="tests.faults.mortal", ready=""))
        job_ids = [_with_film(installation) for _ in range(3)]
        dropped = _with_film(installation, sent=False)
        installation.app.jobs.delete(ME, dropped)

        def ended() -> bool:
            supervise([mortal])
            return all(_one_step_on(installation, job_id) for job_id in job_ids) and not _in_transit(installation)

        states = lambda: str([installation.state(job_id) for job_id in job_ids])  # noqa: E731  said once
        wait_until(ended, 220, lambda: f"{states()}; never died: {set(POINTS) - {m.name for m in deaths.iterdir()}}")
        assert {mark.name for mark in deaths.iterdir()} == set(POINTS)
        sha256 = hashlib.sha256(small_film()).hexdigest()
        expected = [Expected(job_id, JobState.JOB_SUCCESS, sha256) for job_id in job_ids]
        raise_broken(promises(installation, [*expected, Expected(dropped, None)]))
        _check_objects(installation, [*job_ids, dropped], sha256)


def _with_film(installation: Installation, *, sent: bool = True) -> str:
    """A draft with a film that is sent, or only begun; the worker seals it."""
    app, film = installation.app, small_film()
    job = app.jobs.create(ME, "whole", "A job")
    upload = app.uploads.open(ME, job.id, FileKind.TRAINING_VIDEO, "film.mp4", size_bytes=len(film))
    if sent:
        assert httpx.put(upload.urls[1], content=film, trust_env=False).is_success
    return job.id


def _one_step_on(installation: Installation, job_id: str) -> bool:
    """What people do for the job; true once it is published."""
    detail = installation.app.jobs.show(ME, job_id)
    if detail.job.state is JobState.WAIT_FILE_UPLOAD and detail.files[0].state is FileState.SEALED:
        installation.app.uploads.submit(ME, job_id)
    if detail.job.state is JobState.MANUAL_VERIFYING:
        installation.app.review.approve(ME, job_id)
    return detail.job.state is JobState.JOB_SUCCESS


def _in_transit(installation: Installation) -> bool:
    ways = [FileState.OPEN, FileState.SEALING, FileState.ABORTING, FileState.DELETING]
    now = installation.app.context.clock()
    with installation.app.context.store.read() as tx:
        return bool(tx.files.due(ways, now.replace(year=now.year + 1), 9)) or bool(tx.runs.live("local"))


def _check_objects(installation: Installation, job_ids: list[str], sha256: str) -> None:
    """Nothing staged is left of these jobs, and every model says that it was made of the validated bytes."""
    context = installation.app.context
    # what died before its staged object was deleted left it to this sweep, which waits two days for good reasons
    App(replace(context, timing=replace(context.timing, orphan_age=timedelta(0)))).sweeper.run("orphans", force=True)
    with context.store.read() as tx:
        found = tx.files.of_jobs(job_ids, *FileState)
    for job_id, held in found.items():
        (file,) = held
        assert context.storage.head(file.staging_key) is None
        with pytest.raises(UploadGone):
            context.storage.list_parts(file.staging_key, file.upload_id)
        if file.state is FileState.SEALED:
            assert file.sha256 in {None, sha256}
            (model,) = context.storage.list(f"models/{job_id}/")
            assert context.storage.read_range(model.key, 0, 64).decode() == sha256
    assert sorted(file.state for held in found.values() for file in held) == ["aborted", "sealed", "sealed", "sealed"]


def test_a_training_that_ends_after_its_job_was_stopped_publishes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, sqlite_url, "", IMPATIENT)
    app = installation.app
    job_id = installation.submit("tiny")
    app.engine.drain(Effect.VERIFY)
    with app.context.store.read() as tx:
        (run,) = tx.runs.of_job(job_id)
    backend = app.context.pools["local"].backend
    wait_until(lambda: backend.observe([run.key])[0].state == "succeeded", 20)

    app.jobs.stop(ME, job_id)  # nobody has looked at the run since it ended

    wait_until(lambda: bool(app.sweeper.run("observe_runs", force=True)) and _outcome(app, run.id).ended_at, 10)
    assert _outcome(app, run.id).outcome is RunOutcome.CANCELLED
    app.engine.drain(Effect.STORE_MODEL)
    app.engine.drain(Effect.PUBLISH)
    assert installation.state(job_id) is not JobState.JOB_SUCCESS
    assert app.jobs.show(ME, job_id).job.asset_id is None

    app.jobs.retrain(ME, job_id, "training")
    app.engine.drain(Effect.DISPATCH)

    def ended() -> bool:
        app.sweeper.run("observe_runs", force=True)
        app.engine.drain(Effect.STORE_MODEL)
        return installation.state(job_id) is JobState.JOB_SUCCESS

    wait_until(ended, 30, lambda: installation.state(job_id))
    assert installation.runs_started() == [f"{job_id}-training-1", f"{job_id}-training-2"]
    check_whole(installation, [job_id])
    installation.close()


def _outcome(app, run_id):
    with app.context.store.read() as tx:
        return tx.runs.get(run_id)
