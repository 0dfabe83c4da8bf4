"""An upgrade while jobs live: the old version and the next one as real processes on one database and one broker.

UNDERSTUDY_OLD_REVISION=COMMIT ./run test tests/faults/test_two_versions.py    also from a commit to what is here
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from tests.faults.people import Patience, Person, Tale
from tests.faults.promises import bugs_in, check_whole
from tests.faults.stories import Teller
from tests.servers import StoreServer
from tests.workers import ME, ROOT, ApiProcess, Installation, OwnProcess, wait_until, worker

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

PLAIN = ("--without-mingle", "--without-gossip", "--concurrency", "1")
OLD = os.environ.get("UNDERSTUDY_OLD_REVISION", "")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Both:
    """One installation of this version, and what is needed to run another one on it.

    Attributes:
        source: what has to come first on PYTHONPATH for the other one.
        token: of an admin.
    """

    def __init__(
        self, directory: Path, database_url: str, redis_url: str, source: Path, store: StoreServer | None = None
    ) -> None:
        settings = {**QUICK_TO_LOOK, "broker.prefix": f"{directory.name}:"}
        self.installation = Installation(directory, database_url, redis_url, settings, store=store)
        self.variables = {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}
        self.token = ""
        self.endpoints: list[str] = []  # that people know of
        self.tales: list[Tale] = []
        self.bugs: Counter[str] = Counter()

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

    def live(self) -> None:
        """A whole life of a job with a film and a reviewer, over whatever API is known at the time."""
        number = len(self.tales)
        self.tales.append(Tale(number, "published"))
        with httpx.Client(timeout=15, trust_env=False) as http:
            person = Person(self.endpoints, self.token, http, Patience(60, 120), self.bugs)
            Teller(self.tales[number], person, person, person, lambda *_: "", random.Random(number)).tell()

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
    with StoreServer() as store:
        both = Both(tmp_path, postgresql_url, redis_url, next_version.make(tmp_path / "next"), store)
        both.token = both.installation.app.keys.create(ME.project_id, Role.ADMIN, "tester").token
        yield both
        both.installation.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Rolling:
    """The upgrade of an installation to the next version, in its phases."""

    def __init__(self, both: Both, stack: ExitStack) -> None:
        self.told_to_end = both.installation.directory / "told"
        both.add_profile("polished", POLISHED.format(told=self.told_to_end))
        own, other = both.installation, both.variables
        self.both, self._stack = both, stack
        self._threads = stack.enter_context(ThreadPoolExecutor())
        self._lives: list[Future[None]] = []
        self.old, self.old_api = worker(own, "-n", "old@test", *PLAIN), ApiProcess(own)
        self.too_early = worker(own, *PLAIN, ready="run `understudy db upgrade` first", variables=other)
        self.new, self.new_api = (
            worker(own, "-n", "new@test", *PLAIN, variables=other),
            ApiProcess(own, variables=other),
        )
        self.job_ids: list[str] = []
        self.novel = ""

    def _start(self, *processes: OwnProcess) -> None:
        for process in processes:
            self._stack.callback(process.close)
        list(self._threads.map(OwnProcess.start, processes))

    def _live(self) -> None:
        self._lives.append(self._threads.submit(self.both.live))

    def the_next_version_is_refused_on_the_old_schema(self) -> None:
        self._start(self.old, self.old_api, self.too_early)
        self.both.endpoints.append(self.old_api.url)
        self._live()
        wait_until(lambda: self.too_early.exit_code is not None, 20)
        assert self.too_early.exit_code != 0
        assert "Traceback" not in self.too_early.log

    def the_schema_is_brought_forward_while_the_old_one_works(self) -> None:
        both = self.both
        upgraded = self._threads.submit(both.run_other, "-m", "orchestrator.cli.main", "db", "upgrade")
        while not upgraded.done():
            self.job_ids.append(both.submit(self.old_api, "quick"))
            both.installation.await_success(self.job_ids[-1])
        assert f"the schema is {next_version.REVISION}" in upgraded.result()
        assert moves_of(self.old) > 0
        refuse_other_schema(load(environ=both.installation.environ))  # the old one may be started again, too

    def what_only_the_next_version_can_do_the_old_worker_leaves_alone(self) -> None:
        both = self.both
        self._start(self.new_api)
        both.endpoints.append(self.new_api.url)
        both.wake(f"sweeps.{next_version.SWEEP}")
        wait_until(lambda: "unknown_wake_up" in self.old.log, 20)
        self.novel = both.submit(self.new_api, "polished")
        self.job_ids += (batch := [both.submit(api, "quick") for api in (self.old_api, self.new_api)])
        both.installation.await_success(*batch)
        assert tuple(both.row(self.novel)) == ("auto_verifying", 0, None)

    def both_work_and_the_old_api_bears_what_it_cannot_read(self) -> None:
        both = self.both
        self._start(self.new)
        wait_until(lambda: both.row(self.novel).state == "polishing", 30)
        self.job_ids += both.share((self.old, self.new), (self.old_api, self.new_api))
        listed = {job["id"] for job in both.ask(self.old_api, "GET", "/jobs?limit=100").json()["items"]}
        assert set(self.job_ids) < listed
        assert self.novel not in listed
        hidden = both.ask(self.old_api, "GET", f"/jobs/{self.novel}")
        assert (hidden.status_code, bool(hidden.headers["Retry-After"])) == (503, True)
        assert both.ask(self.new_api, "GET", f"/jobs/{self.novel}").json()["state"] == "polishing"

    def the_old_ones_stop_in_order_in_the_middle_of_work(self) -> None:
        self.job_ids += [self.both.submit(api, "quick") for api in (self.old_api, self.new_api)]
        self._live()
        self.told_to_end.touch()
        self.both.endpoints.remove(self.old_api.url)
        assert next(self._threads.map(OwnProcess.end, (self.old, self.old_api))) == 0

    def everything_comes_to_its_end(self) -> None:
        both = self.both
        both.installation.await_success(*self.job_ids)
        wait_until(lambda: both.row(self.novel).state == JobState.JOB_SUCCESS, 30)
        for life in self._lives:
            life.result()
        assert [tale.trouble for tale in both.tales if tale.trouble] == []
        assert not both.bugs
        whole = [f"{tale.job_id}={tale.sha256}" for tale in both.tales]
        started = str(both.installation.started)
        both.run_other("-m", "tests.faults.next_version", started, self.novel, *self.job_ids, *whole)
        logs = {"old": self.old.log, "old API": self.old_api.log, "new": self.new.log, "new API": self.new_api.log}
        assert list(bugs_in(logs)) == []
        assert [name for name, log in logs.items() if "Traceback" in log] == []


def test_a_rolling_upgrade_loses_and_doubles_nothing(both: Both, stack: ExitStack) -> None:
    rolling = Rolling(both, stack)
    rolling.the_next_version_is_refused_on_the_old_schema()
    rolling.the_schema_is_brought_forward_while_the_old_one_works()
    rolling.what_only_the_next_version_can_do_the_old_worker_leaves_alone()
    rolling.both_work_and_the_old_api_bears_what_it_cannot_read()
    rolling.the_old_ones_stop_in_order_in_the_middle_of_work()
    rolling.everything_comes_to_its_end()


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
    old = stack.enter_context(worker(both.installation, "-n", "old@test", *PLAIN, variables=both.variables))
    old_api = stack.enter_context(ApiProcess(both.installation, variables=both.variables))
    job_ids = [both.submit(old_api, profile) for profile in ("tiny", "quick", "tiny")]

    upgrade(empty_database_url)

    job_ids += [both.submit(old_api, profile) for profile in ("quick", "tiny")]
    both.installation.await_success(*job_ids)
    new = stack.enter_context(worker(both.installation, "-n", "new@test", *PLAIN))
    new_api = stack.enter_context(ApiProcess(both.installation))
    job_ids += both.share((old, new), (old_api, new_api))
    job_ids += [both.submit(api, "tiny") for api in (old_api, new_api)]
    assert old.end() == 0
    old_api.end()
    both.installation.await_success(*job_ids)
    check_whole(both.installation, job_ids)
    assert list(bugs_in({"old": old.log, "new": new.log, "old API": old_api.log, "new API": new_api.log})) == []
