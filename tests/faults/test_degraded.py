"""One part is away, and the rest goes on: what people and jobs see of it, and that nothing is half done."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import FileKind, FileState, Run, RunOutcome
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from tests.faults.proxy import Line, Network, StoreLine
from tests.faults.stories import small_film
from tests.servers import Postgres, RedisServer, StoreServer
from tests.workers import ME, ApiProcess, Installation, wait_until, worker

IMPATIENT = {
    "worker.tick": "300ms", "timing.lease": "2s", "timing.step_retry": "300ms", "timing.poll_first": "300ms",
    "timing.single_part_poll": "300ms", "timing.abort_retry": "300ms",
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_without_the_database_the_api_says_503_and_when_to_come_again_and_writes_nothing_by_halves(
    stack: ExitStack, tmp_path: Path, postgresql_url: str, postgres: Postgres
) -> None:
    line = Line(stack.enter_context(Network()), postgres.port)
    url = postgresql_url.replace(f":{postgres.port}/", f":{line.port}/")
    installation = Installation(tmp_path, url, "", IMPATIENT)
    stack.callback(installation.close)
    token = installation.app.keys.create(ME.project_id, Role.USER, "user").token
    api = stack.enter_context(ApiProcess(installation))

    def create(key: str) -> httpx.Response:
        return httpx.post(
            f"{api.url}/api/v1/jobs", json={"profile": "tiny", "name": "Ada"}, timeout=60, trust_env=False,
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )  # fmt: skip

    assert create("k-1").status_code == 201
    with line.away():
        refused = create("k-2")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert httpx.get(f"{api.url}/readyz", trust_env=False).status_code == 503
        assert httpx.get(f"{api.url}/livez", trust_env=False).status_code == 200
    assert create("k-2").status_code == 201
    with installation.app.context.store.engine.connect() as connection:
        for table, expected in {"jobs": 2, "operation_log": 2, "idempotency_keys": 2}.items():
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == expected, table  # noqa: S608


def test_without_the_broker_jobs_are_taken_and_done_and_messages_work_again_after_it(
    stack: ExitStack, tmp_path: Path, sqlite_url: str, redis_server: RedisServer
) -> None:
    line = Line(stack.enter_context(Network()), redis_server.port)
    broker = redis_server.url.replace(f":{redis_server.port}/", f":{line.port}/")
    installation = Installation(tmp_path, sqlite_url, broker, IMPATIENT)
    stack.callback(installation.close)
    stack.enter_context(worker(installation))
    with line.away():
        began_s = time.monotonic()
        job_id = installation.submit("tiny")
        assert time.monotonic() - began_s < 5, "a submit waited for the broker"
        installation.await_success(job_id, limit_s=60)
    installation.await_success(installation.submit("tiny"), limit_s=60)


def test_without_the_store_jobs_wait_and_none_fails_and_uploads_are_taken_up_where_they_were(
    stack: ExitStack, tmp_path: Path, sqlite_url: str, store_server: StoreServer
) -> None:
    line = StoreLine(stack.enter_context(Network()), store_server.url)
    installation = Installation(
        tmp_path, sqlite_url, "", IMPATIENT, store=store_server, store_url=line.endpoint
    )  # fmt: skip
    stack.callback(installation.close)
    app, film = installation.app, small_film()
    sent, unsent = (app.jobs.create(ME, "whole", "Ada").id for _ in range(2))
    first, second = (
        app.uploads.open(ME, job_id, FileKind.TRAINING_VIDEO, "film.mp4", size_bytes=len(film))
        for job_id in (sent, unsent)
    )
    assert httpx.put(first.urls[1], content=film, trust_env=False).is_success
    app.uploads.submit(ME, sent)
    with line.away():
        with pytest.raises(httpx.HTTPError):
            httpx.put(second.urls[1], content=film, trust_env=False)
        stack.enter_context(worker(installation))
        wait_until(lambda: "verify" in repr(_due(installation, sent)), 20)
        assert installation.state(sent) is JobState.AUTO_VERIFYING
    assert httpx.put(second.urls[1], content=film, trust_env=False).is_success
    app.uploads.submit(ME, unsent)
    for job_id in (sent, unsent):
        wait_until(lambda job_id=job_id: installation.state(job_id) is JobState.MANUAL_VERIFYING, 60)
        (file,) = app.jobs.show(ME, job_id).files
        assert file.state is FileState.SEALED


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run([str(shutil.which("umount")), "--lazy", str(place)], check=True)


def test_a_trainer_whose_disk_is_full_says_so_and_its_job_ends_well_once_there_is_room(
    stack: ExitStack, tmp_path: Path, sqlite_url: str, store_server: StoreServer, disk: Path
) -> None:
    installation = Installation(
        tmp_path, sqlite_url, "", {**IMPATIENT, "pools.local.runs_dir": disk}, store=store_server
    )  # fmt: skip
    stack.callback(installation.close)
    app, filler = installation.app, disk / "of somebody else"
    filler.write_bytes(bytes(800 * 1024))
    film = small_film() + struct.pack(">I4s", 300 * 1024, b"free") + bytes(300 * 1024 - 8)
    job_id = app.jobs.create(ME, "whole", "Ada").id
    upload = app.uploads.open(ME, job_id, FileKind.TRAINING_VIDEO, "film.mp4", size_bytes=len(film))
    assert httpx.put(upload.urls[1], content=film, trust_env=False).is_success
    app.uploads.submit(ME, job_id)
    app.engine.drain(Effect.VERIFY)
    app.review.approve(ME, job_id)

    def runs() -> list[Run]:
        for sweep in ("observe_runs", "due_retries"):
            app.sweeper.run(sweep, force=True)
        for effect in app.engine.effects:
            app.engine.drain(effect)
        with app.context.store.read() as tx:
            return tx.runs.of_job(job_id)

    wait_until(lambda: (found := runs()) and found[0].ended_at, 60, lambda: str(runs()), every_s=0.2)
    first = runs()[0]
    assert (first.outcome, first.failure) == (RunOutcome.FAILED, FailureClass.INFRASTRUCTURE)
    assert "disk full" in str(first.message)
    filler.unlink()
    wait_until(
        lambda: runs() and installation.state(job_id) is JobState.JOB_SUCCESS, 60, lambda: str(runs()), every_s=0.2
    )
    assert {run.failure for run in runs()[:-1]} == {FailureClass.INFRASTRUCTURE}
    assert runs()[-1].outcome is RunOutcome.SUCCEEDED


def _due(installation: Installation, job_id: str) -> object:
    with installation.app.context.store.read() as tx:
        return tx.jobs.get(job_id).effect
