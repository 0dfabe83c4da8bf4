"""A backup of a living installation, restored into the other kind of database, goes on to the end."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.backup import TABLES, BackupDamaged, sha256_of
from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.tables import files, jobs, leases, media
from orchestrator.adapters.db.types import to_text
from orchestrator.cli import main
from orchestrator.cli.backup import MANIFEST, OBJECTS, OtherSchema, compare, look, put_back, take
from orchestrator.cli.failures import CliError
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Conflict
from orchestrator.domain.model import FileKind, Job, Run
from orchestrator.domain.states import JobState
from orchestrator.ports.trainer import Artefact
from tests.databases import PostgresDatabases, SQLiteFiles
from tests.fakes.app import VIDEO, World, a_database, a_world
from tests.fakes.storage import MemoryStorage
from tests.servers import StoreServer
from tests.workers import ME, Installation

OTHER_VIDEO = b"another video"
LEASED = ("lease_token", "lease_until")


@dataclass
class Living:
    """A world with jobs at every kind of place, and what their ends are to be."""

    world: World
    ends: dict[str, JobState]
    uploaded: Job
    reviewed: Job


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(
    request: pytest.FixtureRequest, sqlite_files: SQLiteFiles, postgres_databases: PostgresDatabases
) -> Iterator[tuple[str, str]]:
    """A database of one kind, and an empty one of the other."""
    with sqlite_files.migrated() as one, postgres_databases.migrated() as other:
        yield (one, other) if request.param == "sqlite" else (other, one)


class Honest(World):
    """Its trainer tells the true SHA-256 of what it made."""

    def succeed(self, run: Run) -> None:
        assert run.handle is not None
        data = run.id.encode()
        key = f"{self.trainer.submitted[run.handle].output_prefix}model.npz"
        info = self.storage.put(key, data, "application/octet-stream")
        sha256 = hashlib.sha256(data).hexdigest()
        self.say(run, artefacts=(Artefact("model.npz", key, info.size_bytes, sha256, "application/octet-stream"),))


def living(url: str, stack: ExitStack) -> Living:
    database = a_database(url)
    stack.callback(database.dispose)
    world = Honest(database)
    draft, uploaded = world.draft(), world.draft()
    world.uploaded(uploaded)
    done = world.published()
    reviewed = world.submitted("reviewed")
    training, _ = world.training()
    assert world.state(reviewed) is JobState.MANUAL_VERIFYING
    claimed, waiting = world.submitted(data=OTHER_VIDEO), world.submitted()
    operator = world.caller("people", Role.OPERATOR)
    world.app.keys.create("project-1", world.owner.role, "ada", by=operator)
    with world.database.begin() as tx:
        now = world.clock()
        until = now + timedelta(days=1)
        assert tx.jobs.claim(Effect.VERIFY, now=now, until=until, token="dead worker", limit=1)
        tx.leases.take("sweep:observe_runs", "dead worker", now, until)
    odd = {"size": 1.0, "naïve": [None, {"b": 1, "a": "ü\n", "big": 2**53 + 1}]}
    with database.engine.begin() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == draft.id).values(attributes=odd, message=" 'quoted'\t"))
        connection.execute(sa.update(files).where(files.c.job_id == uploaded.id).values(facts=sa.JSON.NULL))
        connection.execute(sa.update(files).where(files.c.job_id == done.id).values(facts=sa.null()))
    ends = {
        draft.id: JobState.WAIT_FILE_UPLOAD, uploaded.id: JobState.JOB_SUCCESS, done.id: JobState.JOB_SUCCESS,
        reviewed.id: JobState.JOB_SUCCESS, training.id: JobState.JOB_SUCCESS,
        claimed.id: JobState.JOB_SUCCESS, waiting.id: JobState.JOB_SUCCESS,
    }  # fmt: skip
    return Living(world, ends, uploaded, reviewed)


def rows(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row, with JSON as text, so that NULL and the JSON null differ."""
    engine = make_engine(url)
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        with engine.connect() as connection:
            for table in TABLES:
                columns = [
                    sa.cast(each, sa.Text).label(each.name) if isinstance(each.type, sa.JSON) else each
                    for each in table.columns
                ]
                query = sa.select(*columns).order_by(*table.primary_key)
                found[table.name] = [
                    {
                        each.name: json.dumps(json.loads(value), sort_keys=True)
                        if isinstance(each.type, sa.JSON) and value is not None
                        else value
                        for each, value in zip(table.columns, row, strict=True)
                    }
                    for row in connection.execute(query)
                ]
    finally:
        engine.dispose()
    return found


def without_leases(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{column: value for column, value in row.items() if column not in LEASED} for row in of_table]
        for name, of_table in found.items()
    }


def test_what_lives_is_restored_row_for_row_and_goes_on_to_the_end(urls: tuple[str, str], tmp_path: Path) -> None:
    source, target = urls
    with ExitStack() as stack:
        before = living(source, stack)
        manifest, outcome = take(source, tmp_path / "backup", None)
        assert (outcome.wrong, manifest.has_objects) == (0, False)
        assert manifest.rows == sum(map(len, rows(source).values())) > 40
        assert [each.name for each in tmp_path.iterdir()] == ["backup"]

        freed, _ = put_back(target, tmp_path / "backup", look(tmp_path / "backup"), None)
        restored = rows(target)
        assert without_leases(restored) == without_leases(rows(source))
        assert freed == 1
        for table in (jobs, files, media):
            assert {row["lease_until"] for row in restored[table.name]} <= {None}
        assert {to_text(row["lease_until"])[:4] for row in restored[leases.name]} == {"2000"}

        database = a_database(target)
        stack.callback(database.dispose)
        world = World(database, clock=before.world.clock, trainer=before.world.trainer, prober=before.world.prober)
        world.storage = before.world.storage
        world.app = world.process()
        runs_before = len(world.live_runs())
        world.app.review.approve(world.reviewer, before.reviewed.id)
        world.app.uploads.submit(world.owner, before.uploaded.id)
        world.settle()
        assert runs_before == 1
        assert {job_id: world.app.jobs.show(world.admin, job_id).job.state for job_id in before.ends} == before.ends
        submitted = [each.job_id for each in world.trainer.submitted.values()]
        assert len(submitted) == len(set(submitted)) == 6, "one training each, also of what was under way"


def test_objects_are_copied_and_put_into_another_store_under_its_own_etags(
    urls: tuple[str, str], tmp_path: Path
) -> None:
    source, target = urls
    with ExitStack() as stack:
        before = living(source, stack)
        manifest, outcome = take(source, tmp_path / "backup", before.world.storage)
        assert manifest.objects == outcome.done > 6
        assert (outcome.wrong, outcome.troubles) == (0, [])
        assert compare(tmp_path / "backup", before.world.storage).same == manifest.objects

        elsewhere = OtherStore(before.world.clock)
        lacking = compare(tmp_path / "backup", elsewhere)
        assert lacking.wrong == manifest.objects
        assert all("is not in the store" in trouble for trouble in lacking.troubles)
        _, outcome = put_back(target, tmp_path / "backup", look(tmp_path / "backup"), elsewhere)
        assert (outcome.done, outcome.wrong) == (manifest.objects, 0)
        assert compare(tmp_path / "backup", elsewhere).same == manifest.objects

        database = a_database(target)
        stack.callback(database.dispose)
        world = World(database, clock=before.world.clock, trainer=before.world.trainer)
        world.storage = elsewhere
        world.app = world.process()
        world.settle()
        sealed = [job_id for job_id, end in before.ends.items() if end is JobState.JOB_SUCCESS]
        states = [world.app.jobs.show(world.admin, job_id).job.state for job_id in sealed]
        assert states.count(JobState.JOB_SUCCESS) == 4, "checked and trained from the bytes of the new store"
        assert {data for data, _, _ in world.prober.judged} == {VIDEO, OTHER_VIDEO}


class OtherStore(MemoryStorage):
    """Gives ETags of its own kind, as another make of store does."""

    def upload(self, path: Path, key: str, content_type: str) -> Any:
        self.put(key, path.read_bytes(), content_type)
        kept = self._objects[key]
        kept.info = replace(kept.info, etag=f"other-{kept.info.etag}")
        return kept.info


def test_an_object_that_the_store_lost_is_told_of_and_the_rest_is_saved(sqlite_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = living(sqlite_url, stack).world
        job = world.draft()
        file = world.uploaded(job, b"soon gone", FileKind.TRAINING_VIDEO)
        world.app.uploads.submit(world.owner, job.id)
        key = str(world.file(file).final_key)
        world.storage.delete(key)
        manifest, outcome = take(sqlite_url, tmp_path / "backup", world.storage)
        assert (outcome.wrong, outcome.done) == (1, manifest.objects - 1)
        assert key in outcome.troubles[0]
        assert compare(tmp_path / "backup", world.storage).wrong == 1


@pytest.fixture
def taken(sqlite_url: str, tmp_path: Path) -> Path:
    with a_world(sqlite_url):
        take(sqlite_url, tmp_path / "backup", None)
    return tmp_path / "backup"


@pytest.mark.parametrize("name", ["tables/projects.jsonl.gz", OBJECTS])
def test_a_damaged_or_missing_file_is_named(taken: Path, name: str) -> None:
    data = bytearray((taken / name).read_bytes())
    data[len(data) // 2] ^= 1
    (taken / name).write_bytes(data)
    with pytest.raises(BackupDamaged, match=f"{name} is damaged"):
        look(taken)
    (taken / name).unlink()
    with pytest.raises(BackupDamaged, match=f"{name} is missing"):
        look(taken)


def test_a_manifest_that_is_none_is_told(taken: Path, tmp_path: Path) -> None:
    with pytest.raises(CliError, match="there is no backup in"):
        look(tmp_path)
    told = json.loads((taken / MANIFEST).read_text())
    for broken in ("{", "[]", json.dumps(told | {"files": {}}), json.dumps({"files": told["files"]})):
        (taken / MANIFEST).write_text(broken)
        with pytest.raises(BackupDamaged, match="manifest"):
            look(taken)


def test_rows_that_do_not_fit_leave_the_database_empty(taken: Path, urls: tuple[str, str]) -> None:
    path = taken / "tables/projects.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a"}\n'))
    told = json.loads((taken / MANIFEST).read_text())
    told["files"]["tables/projects.jsonl.gz"] = {"count": 1, "sha256": sha256_of(path)}
    (taken / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(BackupDamaged, match="a row does not fit its table"):
        put_back(urls[1], taken, look(taken), None)
    assert not any(rows(urls[1]).values())


def test_another_schema_is_refused_with_what_to_do(taken: Path, sqlite_files: SQLiteFiles) -> None:
    told = json.loads((taken / MANIFEST).read_text())
    (taken / MANIFEST).write_text(json.dumps(told | {"schema": "0001", "version": "0.0.9"}))
    with sqlite_files.migrated() as target, pytest.raises(OtherSchema, match=r"restore it with Understudy 0\.0\.9"):
        put_back(target, taken, look(taken), None)
    with sqlite_files.empty() as old, pytest.raises(OtherSchema, match="run `understudy db upgrade`"):
        take(old, taken.with_name("another"), None)


def test_a_database_with_rows_and_a_directory_that_exists_are_refused(
    taken: Path, urls: tuple[str, str], sqlite_url: str
) -> None:
    with a_world(urls[1]):
        pass
    with pytest.raises(Conflict, match=r"there are rows in .*projects"):
        put_back(urls[1], taken, look(taken), None)
    with pytest.raises(CliError, match="exists already"):
        take(sqlite_url, taken, None)


def test_a_database_without_tables_gets_them(taken: Path, sqlite_files: SQLiteFiles, sqlite_url: str) -> None:
    with sqlite_files.empty() as target:
        put_back(target, taken, look(taken), None)
        assert rows(target) == rows(sqlite_url)


def test_a_backup_that_fails_leaves_nothing(sqlite_url: str, tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    def step() -> None:
        raise Broken

    with pytest.raises(Broken):
        take(sqlite_url, tmp_path / "backup", None, step)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_with_a_real_store(
    sqlite_files: SQLiteFiles, store_server: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def told(*arguments: str, code: int) -> dict[str, Any]:
        assert main.run([*arguments, "--json"]) == code
        said = capsys.readouterr().out
        return json.loads(said) if said else {}

    with sqlite_files.migrated() as source, sqlite_files.empty() as target:
        installation = Installation(tmp_path, source, store=store_server)
        for name, value in installation.environ.items():
            monkeypatch.setenv(name, value)
        storage, kept = installation.app.context.storage, str(tmp_path / "kept")
        job = installation.app.jobs.create(ME, "whole", "A job")
        upload = installation.app.uploads.open(ME, job.id, FileKind.TRAINING_VIDEO, "a.mp4", size_bytes=len(VIDEO))
        assert httpx.put(upload.urls[1], content=VIDEO).status_code == 200
        installation.app.uploads.submit(ME, job.id)
        with installation.app.context.store.read() as tx:
            key = str(tx.files.get(upload.file.id).final_key)

        assert told("backup", kept, "--objects", code=0)["objects_copied"] == 1
        assert told("restore", kept, "--check", code=0)["objects_present"] == 1
        storage.delete(key)
        assert key in told("restore", kept, "--check", code=1)["troubles"][0]
        assert told("restore", kept, code=1) == {}, "there is a database already"
        monkeypatch.setenv("UNDERSTUDY_DATABASE__URL", target)
        assert told("restore", kept, code=0)["objects_sent"] == 1
        assert storage.read_range(key, 0, 100) == VIDEO
        assert told("restore", kept, "--check", code=0)["objects_present"] == 1
        assert told("restore", str(tmp_path / "nowhere"), code=5) == {}
        assert main.run(["backup", str(tmp_path / "second")]) == 0
        said = capsys.readouterr()
        assert "objects listed, not copied" in said.out
        assert "encryption_key" in said.err
        installation.close()
