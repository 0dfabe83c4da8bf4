"""`understudy doctor` on real servers: each trouble is named in one line, with a remedy, and the exit code says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.tables import jobs, leases
from orchestrator.adapters.secret_box import new_key
from orchestrator.app.leases import BEAT_LEASE, worker_lease
from orchestrator.cli import main
from orchestrator.cli.doctor import Finding, Level, examine
from orchestrator.domain.actors import Role
from orchestrator.settings import Settings, load
from tests.servers import StoreServer
from tests.workers import ME, Installation

NOBODY = "redis://127.0.0.1:9/0"


@pytest.fixture
def installation(sqlite_url: str, store_server: StoreServer, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, sqlite_url, "", store=store_server)
    installation.app.keys.create(ME.project_id, Role.USER, "somebody")
    seen(installation, worker_lease("here"))
    yield installation
    installation.close()


def seen(installation: Installation, name: str, ago: timedelta = timedelta(0)) -> None:
    """A sign of life, so long ago."""
    at = installation.app.context.clock() - ago
    with installation.app.context.store.begin() as tx:
        tx.leases.take(name, "token", at, at)
        tx.leases.end(name, "token", at)


def troubles(installation: Installation, **changes: str) -> dict[str, str]:
    """Check -> message and remedy, of what is trouble."""
    found = list(examine(settings(installation, **changes), deep=False))
    assert all(each.remedy for each in found if each.level is not Level.OK), "a trouble without a remedy"
    assert all("\n" not in f"{each.message}{each.remedy}" for each in found)
    return {each.check: f"{each.message} -> {each.remedy}" for each in found if each.level is Level.TROUBLE}


def settings(installation: Installation, **changes: str) -> Settings:
    return load(environ={**installation.environ, **{f"UNDERSTUDY_{name}": value for name, value in changes.items()}})


def test_a_healthy_installation_has_no_trouble_and_the_store_is_tried_in_earnest(installation: Installation) -> None:
    found = list(examine(settings(installation)))
    assert [each for each in found if each.level is Level.TROUBLE and not each.check.startswith("pool")] == []
    said = {each.check: each.message for each in found if each.level is Level.OK}
    assert said["store"] == "answers, and keeps what one-time uploads rest on"
    assert {"database", "workers", "secrets", "sandbox", "jobs", "broker"} <= set(said)


def test_each_part_that_is_away_is_named_and_the_others_are_still_looked_at(
    installation: Installation, tmp_path: Path
) -> None:
    found = troubles(
        installation, BROKER__URL=NOBODY, STORAGE__ENDPOINT="http://127.0.0.1:9",
        DATABASE__URL=f"sqlite:///{tmp_path}/none/none.db",
    )  # fmt: skip
    assert {"database", "broker", "store"} <= set(found)
    assert "503" in found["database"]
    assert "jobs wait" in found["store"]


def test_a_database_of_another_version_is_named_with_the_command_that_mends_it(
    installation: Installation, tmp_path: Path
) -> None:
    found = troubles(installation, DATABASE__URL=f"sqlite:///{tmp_path}/empty.db")
    assert "understudy db upgrade" in found["database"]


def test_silent_workers_and_a_silent_beat_are_named(installation: Installation, redis_url: str) -> None:
    seen(installation, BEAT_LEASE, timedelta(minutes=5))
    found = troubles(installation, BROKER__URL=redis_url)
    assert set(found) == {"beat"}
    assert "0:05:0" in found["beat"]
    seen(installation, BEAT_LEASE)
    with installation.app.context.store.begin() as tx:
        tx.leases._connection.execute(sa.delete(leases).where(leases.c.name.startswith("worker:")))
    assert set(troubles(installation, BROKER__URL=redis_url)) == {"workers"}


def test_secrets_that_the_configured_key_cannot_open_are_named(installation: Installation) -> None:
    found = troubles(installation, SECRETS__ENCRYPTION_KEY=new_key())
    assert set(found) == {"secrets"}
    assert "1 of 1" in found["secrets"]


def test_jobs_whose_step_comes_to_no_end_and_late_work_are_named(installation: Installation) -> None:
    stuck, late = installation.submit("tiny"), installation.submit("tiny")
    at = installation.app.context.clock() - timedelta(hours=2)
    with installation.app.context.store.begin() as tx:
        rows = tx.jobs._connection
        rows.execute(sa.update(jobs).where(jobs.c.id == stuck).values(state_since=at))
        rows.execute(sa.update(jobs).where(jobs.c.id == late).values(due_at=at))
    (alarm,) = installation.app.sweeper.run("overdue", force=True).alarms
    assert stuck in alarm
    found = [each for each in examine(settings(installation), deep=False) if each.check == "jobs"]
    assert [each.level for each in found] == [Level.TROUBLE, Level.TROUBLE]
    assert any(stuck in each.message for each in found)
    assert any("the oldest for 2:00:0" in each.message for each in found)


def test_jobs_that_are_nobodys_are_named_as_that_and_not_as_late(installation: Installation) -> None:
    homeless, newer = installation.submit("tiny"), installation.submit("tiny")
    at = installation.app.context.clock() - timedelta(hours=2)
    with installation.app.context.store.begin() as tx:
        rows = tx.jobs._connection
        rows.execute(sa.text("PRAGMA ignore_check_constraints=ON"))  # of a newer schema, which has that word
        rows.execute(sa.update(jobs).where(jobs.c.id == homeless).values(due_at=at, profile="taken_away"))
        rows.execute(sa.update(jobs).where(jobs.c.id == newer).values(due_at=at, state="dreaming"))
    found = [each for each in examine(settings(installation), deep=False) if each.check == "jobs"]
    assert [each.level for each in found] == [Level.WARNING, Level.WARNING]
    assert "1 jobs are in states that only a newer version knows" in found[0].message
    assert "profile taken_away" in found[1].message


def test_a_full_disk_of_a_trainer_is_named(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 5_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert "disk full" in troubles(installation)["pool local"]


def test_the_command_prints_one_line_each_and_its_exit_code_says_whether_there_is_trouble(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in installation.environ.items():
        monkeypatch.setenv(name, value)
    findings = [Finding("a", Level.OK, "good"), Finding("b", Level.TROUBLE, "bad", "mend it")]
    for found, code in ((findings, 1), (findings[:1], 0)):
        monkeypatch.setattr("orchestrator.cli.doctor.examine", lambda *_, found=found, **__: iter(found))
        assert main.run(["doctor"]) == code
        assert len(capsys.readouterr().out.splitlines()) == len(found)
        assert main.run(["doctor", "--json"]) == code
        assert capsys.readouterr().out.count('"level"') == len(found)
    assert dataclasses.asdict(findings[1])["remedy"] == "mend it"
