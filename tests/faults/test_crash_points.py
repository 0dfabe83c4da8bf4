"""A worker dies between every two steps of its work, once each; another finishes it, and nothing happens twice."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.domain.commands import Effect
from orchestrator.domain.model import RunOutcome
from orchestrator.domain.states import JobState
from tests.faults.fire import Fire, await_quiet, check_whole
from tests.faults.mortal import POINTS
from tests.workers import ME, Installation, wait_until, worker

IMPATIENT = {
    "worker.tick": "300ms",
    "timing.lease": "1s",
    "timing.step_retry": "200ms",
    "timing.start_grace": "1s",
    "timing.poll_first": "300ms",
    "timing.max_takeovers": 30,
}


@pytest.mark.slow
def test_a_worker_that_dies_at_every_point_loses_and_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    installation = Installation(tmp_path, database_url, "", IMPATIENT)
    installation.environ["UNDERSTUDY_TEST_DEATHS"] = str(deaths)
    with ExitStack() as stack:
        stack.callback(installation.close)
        mortal = stack.enter_context(worker(installation, "--concurrency", "1", module="tests.faults.mortal", ready=""))
        fire = Fire(installation, [mortal], seed=0, longer_than_lease_s=0)
        job_ids = [installation.submit("tiny") for _ in range(3)]
        await_quiet(fire, job_ids, 90)
        assert {mark.name for mark in deaths.iterdir()} == set(POINTS)
        check_whole(installation, job_ids)


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
