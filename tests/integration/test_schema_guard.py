"""Which version may work on which schema: a newer one never on an older schema, an older one until its own is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db import schema
from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.migrate import current, head, upgrade
from orchestrator.bootstrap import refuse_other_schema
from orchestrator.cli.doctor import Level, examine
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.domain.states import JobState
from orchestrator.http.server import create_asgi
from orchestrator.settings import load
from tasks.process import Process
from tests.databases import Factory
from tests.fakes.client import AsgiClient
from tests.faults.next_version import CONTRACT, REVISION, migration
from tests.workers import Installation

pytestmark = pytest.mark.slow


@contextmanager
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *revisions: str) -> Iterator[None]:
    """Within it, this is a version with further migrations."""
    with monkeypatch.context() as patch:
        directory = tmp_path / "migrations"
        shutil.copytree(schema.MIGRATIONS, directory)
        for before, revision in zip((head(), *revisions), revisions, strict=False):
            migration(directory / "versions", revision, before)
        patch.setattr(schema, "MIGRATIONS", directory)
        schema.revisions.cache_clear()
        yield
    schema.revisions.cache_clear()


@pytest.fixture
def installation(tmp_path: Path, sqlite_url: str) -> Iterator[Installation]:
    installation = Installation(tmp_path, sqlite_url)
    yield installation
    installation.close()


def refuse(installation: Installation, database_url: str = "") -> None:
    environ = installation.environ | ({"UNDERSTUDY_DATABASE__URL": database_url} if database_url else {})
    refuse_other_schema(load(environ=environ))


def test_a_version_does_not_begin_on_a_schema_before_its_own(installation: Installation, sqlite_files: Factory) -> None:
    refuse(installation)
    with sqlite_files.empty() as url:
        with pytest.raises(schema.OtherSchema, match="the database is empty: run `understudy db upgrade` first"):
            refuse(installation, url)
        upgrade(url, "0008")
        with pytest.raises(schema.OtherSchema, match=f"has schema 0008, this version wants {head()}: run"):
            refuse(installation, url)
        env = {**os.environ, **installation.environ, "UNDERSTUDY_DATABASE__URL": url}
        api = subprocess.run([sys.executable, "-m", "orchestrator.http"], env=env, check=False, capture_output=True,
                             text=True, timeout=60)  # fmt: skip
    assert api.returncode == 1
    assert api.stderr.strip().startswith("the database has schema 0008")
    assert "Traceback" not in api.stderr


def test_a_database_that_is_away_keeps_nobody_from_beginning(installation: Installation, tmp_path: Path) -> None:
    refuse(installation, f"sqlite:///{tmp_path}/none/none.db")


def test_a_version_goes_on_while_a_newer_one_has_only_added(
    empty_database_url: str, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_database_url)
    with next_version(tmp_path, monkeypatch, REVISION):
        upgrade(empty_database_url)
        refuse(installation, empty_database_url)
    assert current(empty_database_url) == REVISION
    refuse(installation, empty_database_url)
    settings = load(environ=installation.environ | {"UNDERSTUDY_DATABASE__URL": empty_database_url})
    [found] = [each for each in examine(settings, deep=False) if each.check == "database" and "schema" in each.message]
    assert (found.level, REVISION in found.message) == (Level.WARNING, True)
    with pytest.raises(schema.OtherSchema, match="newer than this version's"):
        upgrade(empty_database_url)


def test_a_version_that_needs_what_was_taken_away_does_not_begin(
    empty_database_url: str, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty_database_url)
    with next_version(tmp_path, monkeypatch, REVISION, CONTRACT):
        upgrade(empty_database_url)
        refuse(installation, empty_database_url)
    with pytest.raises(schema.OtherSchema, match=f"has schema {CONTRACT}, for versions that know {REVISION}"):
        refuse(installation, empty_database_url)


def test_work_and_readiness_end_when_the_schema_is_none_for_a_process_any_more(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.process.SCHEMA_LOOK_S", 0.0)
    monkeypatch.setattr("orchestrator.http.health.KEPT_S", 0.0)
    job_id = installation.submit("quick")
    process = Process(load(environ=installation.environ))
    api = AsgiClient(create_asgi(load(environ=installation.environ), app=process.app))
    engine = make_engine(installation.environ["UNDERSTUDY_DATABASE__URL"])
    with api:
        assert api.get("/readyz").json()["parts"]["database"] == "ok"
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
            schema.raise_floor(connection, "0998")
        process.drain(Effect.VERIFY)
        assert installation.state(job_id) is JobState.AUTO_VERIFYING
        ready = api.get("/readyz")
        assert (ready.status_code, "for versions that know 0998" in ready.json()["parts"]["database"]) == (503, True)
        with engine.begin() as connection:
            schema.raise_floor(connection, head())
        process.drain(Effect.VERIFY)
        assert installation.state(job_id) is JobState.JOB_SUCCESS
    engine.dispose()


def test_a_migration_waits_for_no_table_for_long(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_PATIENCE_S", 0.1)
    engine = make_engine(postgresql_url)
    with next_version(tmp_path, monkeypatch, REVISION), engine.begin() as connection:
        connection.execute(sa.text("SELECT count(*) FROM jobs"))
        with pytest.raises(DatabaseUnavailable, match="nothing was changed, try again"):
            upgrade(postgresql_url)
    engine.dispose()
    assert current(postgresql_url) == head()
