"""A worker dies between every two steps of its work, once each; another finishes it, and nothing happens twice."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import httpx
import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.tables import files
from orchestrator.app.app import App
from orchestrator.app.context import new_token
from orchestrator.app.media_prepare import ADOPTED_WITHIN
from orchestrator.app.sweeps import Sweeper
from orchestrator.app.thumbnails import WRITTEN_AT
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.media_items import MediaQuery, MediaStatus, inbox_of
from orchestrator.domain.model import FileKind, FileState, RunOutcome
from orchestrator.domain.states import JobState
from orchestrator.ports.storage import UploadGone
from tests.faults.mortal import AGAIN_AFTER, LEASE, POINTS, SEALING
from tests.faults.promises import Expected, check_whole, promises, raise_broken
from tests.faults.stories import small_film
from tests.servers import StoreServer
from tests.workers import ME, ApiProcess, Installation, OwnProcess, wait_until

IMPATIENT = {
    "worker.tick": "100ms",
    "timing.lease": f"{LEASE.total_seconds()}s",
    "timing.step_retry": "50ms",
    "timing.start_grace": "1s",
    "timing.poll_first": "300ms",
    "timing.single_part_poll": "200ms",
    "timing.abort_retry": "200ms",
    "timing.max_takeovers": 40,
}


UNCOMMITTED = {point for point in POINTS if "not committed" in point}


class Owner(ThreadingHTTPServer):
    """The address where an owner wants its thumbnails. A context manager.

    Attributes:
        taken: path and bytes of each that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Taker)
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Taker(BaseHTTPRequestHandler):
    server: Owner

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, content))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_worker_that_dies_at_every_point_loses_and_doubles_nothing(
    database_url: str, store_server: StoreServer, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    survived = POINTS.keys() - UNCOMMITTED if database_url.startswith("postgresql") else set()
    for point in survived:  # this database differs in transactions alone
        (deaths / point).touch()
    with ExitStack() as stack:
        owner = stack.enter_context(Owner())
        settings = {**IMPATIENT, "storage.thumbnail_stores": owner.url}
        installation = Installation(tmp_path, database_url, "", settings, store=store_server)
        installation.environ["UNDERSTUDY_TEST_DEATHS"] = str(deaths)
        stack.callback(installation.close)
        job_ids = [
            _with_film(installation, thumbnail=f"{owner.url}thumbnail.png"),
            *(_with_film(installation) for _ in range(2)),
        ]
        dropped = _with_film(installation, sent=False)
        installation.app.jobs.delete(ME, dropped)
        media_id = _registered(installation)
        mortal = OwnProcess("worker", installation, ["-m", "tests.faults.mortal", "worker"])
        stack.enter_context(mortal)

        def ended() -> bool:
            assert mortal.exit_code is None, mortal.log
            published = [_one_step_on(installation, job_id) for job_id in job_ids]
            return all(published) and not _in_transit(installation)

        def told() -> str:
            states = [installation.state(job_id) for job_id in job_ids]
            return f"{states}; never died: {set(POINTS) - _names(deaths)}"

        wait_until(ended, 280, told, every_s=0.2)
        assert _names(deaths) == set(POINTS)
        sha256 = hashlib.sha256(small_film()).hexdigest()
        expected = [Expected(job_id, JobState.JOB_SUCCESS, sha256) for job_id in job_ids]
        raise_broken(promises(installation, [*expected, Expected(dropped, None)], ahead=AGAIN_AFTER * len(POINTS)))
        _sweep_days_later(installation)
        _check_objects(installation, {**dict.fromkeys(job_ids, 2), dropped: None}, sha256)
        _check_media(installation, media_id, tries=2 if survived else 3)
        # sent again by whoever did not know; never anything else, and nobody is to send it any more
        assert set(owner.taken) == {("/thumbnail.png", sha256.encode() + b"\n")}
        with installation.app.context.store.read() as tx:
            assert not tx.deliveries.due(datetime.max.replace(tzinfo=UTC), 9)
            asset, _ = tx.assets.get(str(tx.jobs.get(job_ids[0]).asset_id))
        assert WRITTEN_AT in asset.attributes


@pytest.mark.slow
def test_an_api_that_dies_at_every_point_of_sealing_seals_each_file_once(
    postgresql_url: str, store_server: StoreServer, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    installation = Installation(tmp_path, postgresql_url, "", IMPATIENT, store=store_server)
    token = installation.app.keys.create(ME.project_id, Role.USER, "user").token
    variables = {"UNDERSTUDY_TEST_DEATHS": str(deaths)}
    with ExitStack() as stack:
        stack.callback(installation.close)
        api = stack.enter_context(ApiProcess(installation, module="tests.faults.mortal api", variables=variables))
        context = installation.app.context
        ahead = AGAIN_AFTER * len(SEALING)
        successor = App(replace(context, clock=lambda: context.clock() + ahead)).sweeper
        http = stack.enter_context(httpx.Client(trust_env=False, timeout=20))
        http.headers["Authorization"] = f"Bearer {token}"
        job_ids = []
        while _names(deaths) != set(SEALING):
            assert len(job_ids) < len(SEALING), f"never died: {set(SEALING) - _names(deaths)}"
            job_ids.append(_with_film(installation))
            wait_until(partial(_completes, installation, successor, api, http, job_ids[-1]), 30, every_s=0.1)
        sha256 = hashlib.sha256(small_film()).hexdigest()
        expected = [Expected(job_id, JobState.WAIT_FILE_UPLOAD) for job_id in job_ids]
        raise_broken(promises(installation, expected, ahead=ahead))
        _sweep_days_later(installation)
        _check_objects(installation, dict.fromkeys(job_ids, 0), sha256)
        with installation.app.context.store.read() as tx:
            for job_id in job_ids:
                assert [entry.command for entry in tx.reads.log(job_id)].count(Command.CONFIRM_VIDEO) == 1


def _completes(
    installation: Installation, successor: Sweeper, api: ApiProcess, http: httpx.Client, job_id: str
) -> bool:
    """An owner says that the file is there, again and again; a sweep goes on where the API died."""
    (file,) = installation.app.jobs.show(ME, job_id).files
    if file.state is FileState.SEALING:
        successor.run("seal_uploads", force=True)
    try:
        answer = http.post(f"{api.url}/api/v1/files/{file.id}/complete", headers={"Idempotency-Key": file.id})
    except httpx.HTTPError:
        return False
    assert answer.status_code in {200, 409}, answer.text
    return answer.is_success


def _names(deaths: Path) -> set[str]:
    return {mark.name for mark in deaths.iterdir()}


def _registered(installation: Installation) -> str:
    """Media whose bytes lie in the project's inbox: a worker copies and reads them."""
    context = installation.app.context
    film = context.storage.put(f"{inbox_of(ME.project_id)}{new_token()}.mp4", small_film(), "video/mp4")
    return installation.app.media.register(ME, context.storage.address_of(film.key)).id


def _with_film(installation: Installation, *, sent: bool = True, **attributes: object) -> str:
    """A draft with a film that is sent, or only begun; a sweep seals it if nobody else does."""
    app, film = installation.app, small_film()
    job = app.jobs.create(ME, "whole", "A job", sheet={"attributes": attributes})
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
    """Work that is due soon. A copy that nobody adopted is not: it is deleted a day later."""
    ways = [FileState.OPEN, FileState.SEALING, FileState.ABORTING, FileState.DELETING]
    soon = installation.app.context.clock() + timedelta(hours=1)
    with installation.app.context.store.read() as tx:
        is_moving = bool(tx.files.due(ways, soon, 9)) or bool(tx.runs.live("local")) or bool(tx.deliveries.due(soon, 9))
        (item, *_) = [*tx.media.page(MediaQuery(ME.project_id)), None]
        return is_moving or (item is not None and item.status is not MediaStatus.NORMAL)


def _sweep_days_later(installation: Installation) -> None:
    """What a process left that died before it was done with an object is found by sweeps that wait for good reasons."""
    context = installation.app.context
    later = replace(context, clock=lambda: context.clock() + ADOPTED_WITHIN * 3)
    sweeper = App(later).sweeper
    for name in ("orphans", "delete_files"):
        sweeper.run(name, force=True)


def _check_media(installation: Installation, media_id: str, tries: int) -> None:
    """One copy of what was registered, and nothing of the tries before it.

    Args:
        tries: how often it was copied, at least.
    """
    context = installation.app.context
    with context.store.read() as tx:
        item = tx.media.get(media_id, ME.project_id)
        file = tx.files.get(str(item.file_id))
    assert (file.state, item.tries) == (FileState.SEALED, 0)
    assert context.storage.read_range(str(file.final_key), 0, len(small_film())) == small_film()
    with context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # the SQL adapter's
        of_media = sa.select(files.c.final_key, files.c.state).where(files.c.kind == FileKind.MEDIA.value)
        copies = {row.final_key: row.state for row in connection.execute(of_media)}
    assert len(copies) >= tries, "who died after the row was written left a try"
    for key, state in copies.items():
        assert (state == "sealed") == (context.storage.head(key) is not None) == (key == file.final_key)


def _check_objects(installation: Installation, models: Mapping[str, int | None], sha256: str) -> None:
    """Nothing staged is left of these jobs, and whatever was made says that it was made of the validated bytes.

    Args:
        models: how many objects each job's trainings have left; None: its only file was given up.
    """
    context = installation.app.context
    with context.store.read() as tx:
        found = tx.files.of_jobs(list(models), *FileState)
    assert set(found) == set(models)
    for job_id, (file,) in found.items():
        assert context.storage.head(file.staging_key) is None
        with pytest.raises(UploadGone):
            context.storage.list_parts(file.staging_key, file.upload_id)
        assert file.state is (FileState.ABORTED if models[job_id] is None else FileState.SEALED)
        assert file.sha256 in {None, sha256}
        made = list(context.storage.list(f"models/{job_id}/"))
        assert len(made) == (models[job_id] or 0)
        assert all(context.storage.read_range(each.key, 0, 64).decode() == sha256 for each in made)


def test_a_training_that_ends_after_its_job_was_stopped_publishes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, sqlite_url, "", IMPATIENT)
    app = installation.app
    job_id = installation.submit("tiny")
    app.engine.drain(Effect.VERIFY)
    with app.context.store.read() as tx:
        (run,) = tx.runs.of_job(job_id)
    backend = app.context.pools["local"].backend
    wait_until(lambda: backend.observe([run.key])[0].state == "succeeded", 60, every_s=0.1)

    app.jobs.stop(ME, job_id)  # nobody has looked at the run since it ended

    wait_until(
        lambda: bool(app.sweeper.run("observe_runs", force=True)) and _outcome(app, run.id).ended_at, 30, every_s=0.1
    )
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

    wait_until(ended, 60, lambda: installation.state(job_id), every_s=0.1)
    assert installation.runs_started() == [f"{job_id}-training-1", f"{job_id}-training-2"]
    check_whole(installation, [job_id])
    installation.close()


def _outcome(app, run_id):
    with app.context.store.read() as tx:
        return tx.runs.get(run_id)
