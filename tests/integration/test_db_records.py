"""Files, runs, assets, keys, comments and the lists that people look at, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.database import Database
from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import CommentType
from tests.builders import JOB_ID, NOW, a_change, a_file, a_job, a_run, a_sheet
from tests.fakes.app import asked_of

SECOND = timedelta(seconds=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.begin() as tx:
        for project in ("project-1", "project-2"):
            tx.keys.add_project(project, project, NOW, {})
        tx.jobs.add(a_job(), a_sheet(tags=["x"], attributes={"a": [1]}), a_change(details={"why": "so"}))
    yield database
    database.dispose()


def test_a_try_of_a_stage_is_there_once(database: Database) -> None:
    with database.begin() as tx:
        tx.runs.add_many([(a_run(), NOW)])
    with pytest.raises(sa.exc.IntegrityError), database.begin() as tx:
        tx.runs.add_many([(a_run(id="run-2", key="another"), NOW)])


def test_everything_about_a_job_comes_in_one_statement(database: Database) -> None:
    with database.begin() as tx:
        tx.files.add(a_file(), None)
        tx.runs.add_many([(a_run(), NOW)])
        tx.comments.add(JOB_ID, at=NOW, author="ada", kind=CommentType.USER_COMMENT, title="t", text="x")
    with asked_of(database) as asked, database.read() as tx:
        detail = tx.reads.detail(JOB_ID, "project-1")
    assert [statement[:6] for statement in asked.statements] == ["SELECT"]
    with database.read() as tx:
        assert detail.log == tx.reads.log(JOB_ID)
        assert detail.files == tx.files.of_job(JOB_ID)
        assert detail.runs == tx.runs.of_job(JOB_ID)
        assert (detail.job, detail.sheet) == (tx.jobs.get(JOB_ID), tx.reads.sheet(JOB_ID))
        assert detail.log[0].details == {"why": "so"}
        assert [(c.author, c.at) for c in detail.comments] == [("ada", NOW)]
        with pytest.raises(NotFound):
            tx.reads.detail(JOB_ID, "project-2")


def test_keys_are_found_by_id_and_by_token(database: Database) -> None:
    with database.begin() as tx:
        tx.keys.add("AK", "project-1", role=Role.USER, name="ada", at=NOW, secret_encrypted="sealed", token_hash="hash")
        assert not tx.keys.add_project("project-1", "again", NOW, {})
    with pytest.raises(Conflict), database.begin() as tx:
        tx.keys.add("AK", "project-1", role=Role.USER, name="ada", at=NOW, secret_encrypted=None, token_hash=None)
    with pytest.raises(Conflict), database.begin() as tx:
        tx.keys.add("AL", "no-project", role=Role.USER, name="ada", at=NOW, secret_encrypted=None, token_hash=None)
    with database.begin() as tx:
        assert tx.keys.by_id("AK") == tx.keys.by_token("hash")
        assert tx.keys.by_id("none") is None
        assert tx.keys.disable("AK", NOW)
        assert not tx.keys.disable("AK", NOW)
        assert [key.disabled_at for key in tx.keys.all()] == [NOW]
        assert tx.keys.shares(["project-1", "none"]) == {"project-1": 1}
