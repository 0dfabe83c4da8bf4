"""An upgrade while jobs live: the old version and the next one as real processes on one database and one broker.

UNDERSTUDY_OLD_REVISION=COMMIT ./run test tests/faults/test_two_versions.py    also from a commit to what is here
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from celery import Celery

from orchestrator.adapters.celery_options import broker_options
from orchestrator.adapters.db.migrate import upgrade
from orchestrator.adapters.db.tables import jobs
from orchestrator.bootstrap import refuse_other_schema
from orchestrator.domain.actors import Role
from orchestrator.domain.states import JobState
from orchestrator.settings import load
from tests.faults import next_version
from tests.faults.promises import bugs_in, check_whole
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

OLD = os.environ.get("UNDERSTUDY_OLD_REVISION", "")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Both:
    """One installation of this version, and what is needed to run another one on it.

    Attributes:
        source: what has to come first on PYTHONPATH for the other one.
        token: of an admin.
    """

    def __init__(self, directory: Path, database_url: str, redis_url: str, source: Path) -> None:
        settings = {**QUICK_TO_LOOK, "broker.prefix": f"{directory.name}:"}
        self.installation = Installation(directory, database_url, redis_url, settings)
        self.variables = {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}
        self.token = ""

    def add_profile(self, name: str, text: str) -> None:
        """One that only the other version has."""
        profiles = self.installation.directory / "profiles-of-the-other"
        shutil.copytree(self.installation.directory / "profiles", profiles)
        (profiles / f"{name}.toml").write_text(text, encoding="utf-8")
        self.variables["UNDERSTUDY_PROFILES__DIR"] = str(profiles)

    def run_other(self, *argv: str) -> str:
        """What a program of the other version says."""
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

    def share(self, workers: Sequence[OwnProcess], apis: Sequence[ApiProcess]) -> list[str]:
        """Bring jobs to an end until each of the workers has done something of it; gives their ids."""
        before, done = [moves_of(each) for each in workers], list[str]()
        while any(moves_of(each) == moves for each, moves in zip(workers, before, strict=True)):
            batch = [self.submit(api, "quick") for api in apis]
            self.installation.await_success(*batch)
            done += batch
        return done


def moves_of(process: OwnProcess) -> int:
    """How many moves a worker says that it wrote."""
    events = [json.loads(line) for line in process.log.splitlines() if line.startswith('{"')]
    return sum(event["moves"] for event in events if event["event"] == "drained")


@pytest.fixture
def both(tmp_path: Path, postgresql_url: str, redis_url: str) -> Iterator[Both]:
    both = Both(tmp_path, postgresql_url, redis_url, next_version.make(tmp_path / "next"))
    both.token = both.installation.app.keys.create(ME.project_id, Role.ADMIN, "tester").token
    yield both
    both.installation.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_rolling_upgrade_loses_and_doubles_nothing(both: Both, stack: ExitStack) -> None:
    told_to_end = both.installation.directory / "told"
    both.add_profile("polished", POLISHED.format(told=told_to_end))
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
    upgraded = threads.submit(both.run_other, "-m", "orchestrator.cli.main", "db", "upgrade")
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
    common += both.share((old, new), (old_api, new_api))
    listed = both.ask(old_api, "GET", "/jobs?limit=100")
    assert {job["id"] for job in listed.json()["items"]} == set(common)
    hidden = both.ask(old_api, "GET", f"/jobs/{novel}")
    assert (hidden.status_code, bool(hidden.headers["Retry-After"])) == (503, True)
    assert both.ask(new_api, "GET", f"/jobs/{novel}").json()["state"] == "polishing"

    # the old ones stop in order, in the middle of work
    common += [both.submit(api, "tiny") for api in (old_api, new_api)]
    told_to_end.touch()
    assert next(iter(threads.map(OwnProcess.end, (old, old_api)))) == 0
    both.installation.await_success(*common)
    wait_until(lambda: both.row(novel).state == JobState.JOB_SUCCESS, 30)

    both.run_other("-m", "tests.faults.next_version", str(both.installation.started), novel, *common)
    logs = {"old": old.log, "old API": old_api.log, "new": new.log, "new API": new_api.log}
    assert list(bugs_in(logs)) == []
    assert [name for name, log in logs.items() if "Traceback" in log] == []


@pytest.mark.skipif(not OLD, reason="UNDERSTUDY_OLD_REVISION names no commit of this repository")
def test_a_version_of_old_is_replaced_by_this_one(
    empty_database_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    source = tmp_path / "old"
    source.mkdir()
    git = shutil.which("git")
    assert git is not None, "git is not installed"
    packed = subprocess.run([git, "archive", OLD, "orchestrator", "tasks"], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(source, filter="data")
    both = Both(tmp_path, empty_database_url, redis_url, source)
    both.run_other("-m", "orchestrator.cli.main", "db", "upgrade")
    both.run_other("-m", "orchestrator.cli.main", "project", "create", ME.project_id)
    made = both.run_other(
        "-m", "orchestrator.cli.main", "key", "create", "--project", ME.project_id, "--role", "admin", "--json"
    )
    both.token = json.loads(made)["token"]
    stack.callback(both.installation.close)
    plain = ("--without-mingle", "--without-gossip", "--concurrency", "1")
    old = stack.enter_context(worker(both.installation, "-n", "old@test", *plain, variables=both.variables))
    old_api = stack.enter_context(ApiProcess(both.installation, variables=both.variables))
    job_ids = [both.submit(old_api, profile) for profile in ("tiny", "quick", "tiny")]

    upgrade(empty_database_url)

    job_ids += [both.submit(old_api, profile) for profile in ("quick", "tiny")]
    both.installation.await_success(*job_ids)
    new = stack.enter_context(worker(both.installation, "-n", "new@test", *plain))
    new_api = stack.enter_context(ApiProcess(both.installation))
    job_ids += both.share((old, new), (old_api, new_api))
    job_ids += [both.submit(api, "tiny") for api in (old_api, new_api)]
    assert old.end() == 0
    old_api.end()
    both.installation.await_success(*job_ids)
    check_whole(both.installation, job_ids)
    assert list(bugs_in({"old": old.log, "new": new.log, "old API": old_api.log, "new API": new_api.log})) == []
