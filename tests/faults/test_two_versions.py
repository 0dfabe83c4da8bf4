"""An upgrade while jobs live: the old version and the next one as real processes on one database and one broker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from celery import Celery

from orchestrator.adapters.celery_options import broker_options
from orchestrator.adapters.db.tables import jobs
from orchestrator.bootstrap import refuse_other_schema
from orchestrator.domain.actors import Role
from orchestrator.domain.states import JobState
from orchestrator.settings import load
from tests.faults import next_version
from tests.faults.promises import bugs_in
from tests.workers import ME, ROOT, ApiProcess, CeleryProcess, Installation, OwnProcess, wait_until, worker

PREFIX = "/api/v1"
QUICK_TO_LOOK = {"worker.tick": "500ms", "timing.poll_first": "300ms", "api.shutdown_grace": "2s"}
# A stage of which the old version has not heard, and that ends when it is told to.
POLISHED = """
name = "polished"
title = "What only the next version can do"
materials = {{}}
[stages.training]
command = ["none"]
pool = "instant"
[stages.polish]
command = ["/bin/sh", "-c", "while [ ! -e {told} ]; do sleep 0.1; done"]
pool = "local"
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Both:
    """One installation, and what is needed to run the next version on it."""

    def __init__(self, directory: Path, database_url: str, redis_url: str) -> None:
        settings = {**QUICK_TO_LOOK, "broker.prefix": f"{directory.name}:"}
        self.installation = Installation(directory, database_url, redis_url, settings)
        self.told_to_end = directory / "told"
        profiles = directory / "profiles-next"
        shutil.copytree(directory / "profiles", profiles)
        (profiles / "polished.toml").write_text(POLISHED.format(told=self.told_to_end), encoding="utf-8")
        source = next_version.make(directory / "next")
        self.variables = {
            "PYTHONPATH": os.pathsep.join([str(source), str(ROOT)]),
            "UNDERSTUDY_PROFILES__DIR": str(profiles),
        }
        self.token = self.installation.app.keys.create(ME.project_id, Role.ADMIN, "tester").token

    def run_next(self, *argv: str) -> str:
        """What the next version's program says. Raises CalledProcessError."""
        env = {**os.environ, **self.installation.environ, **self.variables}
        done = subprocess.run([sys.executable, *argv], env=env, cwd=self.installation.directory, check=False,
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, api: ApiProcess, profile: str) -> str:
        """A new job, submitted over the API; gives its id."""
        made = self.ask(api, "POST", "/jobs", {"profile": profile, "name": profile})
        assert made.status_code == httpx.codes.CREATED, made.text
        job_id = str(made.json()["id"])
        submitted = self.ask(api, "POST", f"/jobs/{job_id}/submit")
        assert submitted.status_code == httpx.codes.OK, submitted.text
        return job_id

    def ask(self, api: ApiProcess, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{api.url}{PREFIX}{path}", json=body, headers=headers, timeout=20)

    def wake(self, task: str) -> None:
        """Send what the next version's beat sends."""
        settings = load(environ=self.installation.environ).broker
        with Celery("next", set_as_current=False) as app:
            app.conf.update(broker_options(settings.url.get_secret_value(), settings.prefix))
            app.send_task(task)

    def row(self, job_id: str) -> sa.Row[tuple[str, int, str | None]]:
        """Its state, takeovers and lease, also where the state is no word of ours."""
        query = sa.select(jobs.c.state, jobs.c.takeovers, jobs.c.lease_token).where(jobs.c.id == job_id)
        with self.installation.app.context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # SQL
            return connection.execute(query).one()


def moves_of(process: OwnProcess) -> int:
    """How many moves a worker says that it wrote."""
    events = [json.loads(line) for line in process.log.splitlines() if line.startswith('{"')]
    return sum(event["moves"] for event in events if event["event"] == "drained")


@pytest.fixture
def both(tmp_path: Path, postgresql_url: str, redis_url: str) -> Iterator[Both]:
    both = Both(tmp_path, postgresql_url, redis_url)
    yield both
    both.installation.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_rolling_upgrade_loses_and_doubles_nothing(both: Both, stack: ExitStack) -> None:
    plain = ("--without-mingle", "--without-gossip", "--concurrency", "1")
    old, old_api = worker(both.installation, "-n", "old@test", *plain), ApiProcess(both.installation)
    new = worker(both.installation, "-n", "new@test", *plain, variables=both.variables)
    new_api = ApiProcess(both.installation, variables=both.variables)
    too_early = CeleryProcess(both.installation, "worker", ready="run `understudy db upgrade` first",
                              variables=both.variables)  # fmt: skip
    threads = stack.enter_context(ThreadPoolExecutor())

    def start(*processes: OwnProcess) -> None:
        for process in processes:
            stack.callback(process.close)
        list(threads.map(OwnProcess.start, processes))

    # the next version does not begin on the schema of the old one
    start(old, old_api, too_early)
    wait_until(lambda: too_early.exit_code is not None, 20)
    assert too_early.exit_code != 0
    assert "Traceback" not in too_early.log

    # its migration comes while the old one is at work
    upgraded = threads.submit(both.run_next, "-m", "orchestrator.cli.main", "db", "upgrade")
    common = [both.submit(old_api, "tiny")]
    while not upgraded.done():
        common.append(both.submit(old_api, "quick"))
        both.installation.await_success(common[-1])
    assert f"the schema is {next_version.REVISION}" in upgraded.result()
    refuse_other_schema(load(environ=both.installation.environ))  # the old one may be started again, too

    # what the next version alone can do the old worker leaves alone: a wake-up, a job
    start(new_api)
    both.wake(f"sweeps.{next_version.SWEEP}")
    wait_until(lambda: "unknown_wake_up" in old.log, 20)
    novel = both.submit(new_api, "polished")
    common += [both.submit(api, "quick") for api in (old_api, new_api)]
    both.installation.await_success(*common)
    assert tuple(both.row(novel)) == ("auto_verifying", 0, None)
    assert moves_of(old) > 0

    # both at work; the old API bears what it cannot read
    start(new)
    wait_until(lambda: both.row(novel).state == "polishing", 30)
    shares = moves_of(old), moves_of(new)
    while not (moves_of(old) > shares[0] and moves_of(new) > shares[1]):
        batch = [both.submit(api, "quick") for api in (old_api, new_api)]
        both.installation.await_success(*batch)
        common += batch
    listed = both.ask(old_api, "GET", "/jobs?limit=100")
    assert {job["id"] for job in listed.json()["items"]} == set(common)
    hidden = both.ask(old_api, "GET", f"/jobs/{novel}")
    assert (hidden.status_code, bool(hidden.headers["Retry-After"])) == (503, True)
    assert both.ask(new_api, "GET", f"/jobs/{novel}").json()["state"] == "polishing"

    # the old ones stop in order, in the middle of work
    common += [both.submit(api, "tiny") for api in (old_api, new_api)]
    both.told_to_end.touch()
    assert next(iter(threads.map(OwnProcess.end, (old, old_api)))) == 0
    both.installation.await_success(*common)
    wait_until(lambda: both.row(novel).state == JobState.JOB_SUCCESS, 30)

    both.run_next("-m", "tests.faults.next_version", str(both.installation.started), novel, *common)
    logs = {"old": old.log, "old API": old_api.log, "new": new.log, "new API": new_api.log}
    assert list(bugs_in(logs)) == []
    assert [name for name, log in logs.items() if "Traceback" in log] == []
