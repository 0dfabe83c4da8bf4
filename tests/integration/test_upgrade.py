"""An installation is upgraded while its jobs live, and for a while the old version works beside the new one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from orchestrator.adapters.db import schema
from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.migrate import current, head, upgrade
from orchestrator.domain.states import JobState
from tests.databases import Factory
from tests.fakes.app import World, a_database

FIRST = "0001"
ROUND_TRIP = ("projects", "jobs", "job_counts", "operation_log", "files", "runs", "assets", "asset_files")


@contextmanager
def _tables(url: str) -> Iterator[tuple[sa.Connection, sa.MetaData]]:
    """The database as it is, without the help of our own tables."""
    engine = make_engine(url)
    found = sa.MetaData()
    try:
        with engine.begin() as connection:
            found.reflect(connection)
            yield connection, found
    finally:
        engine.dispose()


def _living(world: World) -> dict[str, JobState]:
    """Jobs at every kind of place: with people, at work, held by a worker that is about to die, done."""
    draft, uploaded = world.draft("plain"), world.draft("plain")
    world.uploaded(uploaded)
    world.published("plain")
    training, _ = world.training("plain")
    submitted, claimed, reviewed = world.submitted("plain"), world.submitted("plain"), world.submitted("reviewed")
    with world.database.begin() as tx:
        now = world.clock()
        until = now + world.timing.lease
        leased = tx.jobs.claim(submitted.effect, now=now, until=until, token="an old worker", limit=1)
    assert len(leased) == 1
    jobs = (draft, uploaded, training, submitted, claimed, reviewed)
    return {job.id: world.state(job) for job in jobs}


def test_jobs_that_live_in_the_first_schema_are_finished_by_this_version(
    empty_database_url: str, database_url: str
) -> None:
    """The rows are written by this version and carried over column by column, as far as the first schema has them."""
    with _world(database_url) as old:
        alive = _living(old)
        upgrade(empty_database_url, FIRST)
        _copied(database_url, empty_database_url)
        upgrade(empty_database_url)
        assert current(empty_database_url) == head()
        with _world(empty_database_url) as new:
            new.storage, new.trainer, new.clock = old.storage, old.trainer, old.clock
            new.app = new.process()
            assert {job_id: new.app.jobs.show(new.admin, job_id).job.state for job_id in alive} == alive
            new.clock.advance(timedelta(minutes=2))  # the old workers are gone, with their leases
            new.settle()
            states = [new.app.jobs.show(new.admin, job_id).job.state for job_id in alive]
            assert sorted(states) == sorted(
                [JobState.WAIT_FILE_UPLOAD] * 2 + [JobState.JOB_SUCCESS] * 3 + [JobState.MANUAL_VERIFYING]
            )
            uploaded = [job_id for job_id, state in alive.items() if state is JobState.WAIT_FILE_UPLOAD][1]
            new.app.uploads.submit(new.owner, uploaded)
            new.settle()
            assert new.app.jobs.show(new.owner, uploaded).job.state is JobState.JOB_SUCCESS


@contextmanager
def _world(url: str) -> Iterator[World]:
    database = a_database(url)
    try:
        yield World(database)
    finally:
        database.dispose()


def _copied(source_url: str, target_url: str) -> None:
    with _tables(source_url) as (source, old), _tables(target_url) as (target, new):
        for name in ROUND_TRIP:
            columns = [column.name for column in new.tables[name].columns if column.name in old.tables[name].columns]
            rows = [dict(zip(columns, row, strict=True)) for row in
                    source.execute(sa.select(*(old.tables[name].c[each] for each in columns)))]  # fmt: skip
            if rows:
                target.execute(sa.delete(new.tables[name]))
                target.execute(sa.insert(new.tables[name]), rows)
                _numbered_behind(target, new.tables[name])


def _numbered_behind(target: sa.Connection, table: sa.Table) -> None:
    """Rows that came with their numbers do not move the sequence of PostgreSQL."""
    [*key] = table.primary_key
    if target.dialect.name == "postgresql" and isinstance(key[0].type, sa.BigInteger):
        sequence = sa.func.pg_get_serial_sequence(table.name, key[0].name)
        target.execute(sa.select(sa.func.setval(sequence, sa.func.max(key[0]))).select_from(table))


def test_every_migration_adds_only_or_says_that_it_takes_away(sqlite_files: Factory) -> None:
    """What a version writes the schema of the next one takes. One that does not names who may work on it (contract)."""
    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    with sqlite_files.empty() as url:
        upgrade(url, FIRST)
        with _tables(url) as (connection, tables):
            former = _Rules(connection, tables)
        for revision in schema.revisions()[1:]:
            upgrade(url, revision)
            with _tables(url) as (connection, tables):
                present = _Rules(connection, tables)
            contract = getattr(scripts.get_revision(revision).module, "contract", None)
            if contract is None:
                assert list(present.broken(former)) == [], f"revision {revision} is not additive, and has no `contract`"
            else:
                assert contract in schema.revisions(), f"revision {revision}: `contract` names no revision"
                assert contract < revision, f"revision {revision}: who used what goes must be gone before it goes"
            former = present


def test_what_the_first_version_writes_the_present_schema_takes(empty_database_url: str) -> None:
    """The same over all migrations at once, on both databases, as long as nothing was taken away."""
    upgrade(empty_database_url, FIRST)
    with _tables(empty_database_url) as (connection, tables):
        first = _Rules(connection, tables)
    upgrade(empty_database_url)
    with _tables(empty_database_url) as (connection, tables):
        assert list(_Rules(connection, tables).broken(first)) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TABLE nonces", "nonces is gone"),
        ("ALTER TABLE media DROP COLUMN reason", "media.reason is gone"),
        ("ALTER TABLE projects RENAME COLUMN share TO weight", "projects.share is gone"),
        ("CREATE UNIQUE INDEX one_name ON projects (name)", "projects: ('name',) may hold less than before"),
    ],
)
def test_what_takes_away_is_noticed(sqlite_url: str, statement: str, told: str) -> None:
    with _tables(sqlite_url) as (connection, tables):
        former = _Rules(connection, tables)
        connection.execute(sa.text(statement))
    with _tables(sqlite_url) as (connection, tables):
        assert told in list(_Rules(connection, tables).broken(former))


class _Rules:
    """What a schema asks of those who write into it."""

    def __init__(self, connection: sa.Connection, tables: sa.MetaData) -> None:
        inspector = sa.inspect(connection)
        self._tables = {name: table for name, table in tables.tables.items() if name != "alembic_version"}
        self._checks = {
            (name, check["name"]): set(re.findall(r"\w+", check["sqltext"]))
            for name in self._tables
            for check in inspector.get_check_constraints(name)
        }
        self._unique = {
            (name, tuple(sorted(str(column) for column in each["column_names"])))
            for name in self._tables
            for each in [*inspector.get_unique_constraints(name),
                         *(index for index in inspector.get_indexes(name) if index["unique"])]
        }  # fmt: skip
        self._links = {
            (name, tuple(each["constrained_columns"]))
            for name in self._tables
            for each in inspector.get_foreign_keys(name)
        }

    def broken(self, former: _Rules) -> Iterator[str]:
        """Where it refuses what `former` took."""
        for name, table in former._tables.items():
            if name not in self._tables:
                yield f"{name} is gone"
                continue
            yield from _narrower(table, self._tables[name])
        new = {
            name: set(table.columns.keys()) - set(former._tables[name].columns.keys())
            for name, table in self._tables.items()
            if name in former._tables
        }
        for (name, check), words in self._checks.items():
            if name not in former._tables or words & new[name]:
                continue
            if not words >= former._checks.get((name, check), words | {"anything"}):
                yield f"{check} is stricter"
        for name, columns in (self._unique - former._unique) | (self._links - former._links):
            if name in former._tables and not set(columns) & new[name]:
                yield f"{name}: {columns} may hold less than before"


def _narrower(former: sa.Table, now: sa.Table) -> Iterator[str]:
    for column in former.columns:
        if column.name not in now.columns:
            yield f"{now.name}.{column.name} is gone"
    for column in now.columns:
        before, where = former.columns.get(column.name), f"{now.name}.{column.name}"
        if before is None:
            if not column.nullable and column.server_default is None:
                yield f"{where} cannot be left out"
            continue
        if type(column.type) is not type(before.type):
            yield f"{where} is another kind"
        elif (getattr(column.type, "length", None) or 0) < (getattr(before.type, "length", None) or 0):
            yield f"{where} is shorter"
        if before.nullable and not column.nullable:
            yield f"{where} was optional"
        if before.server_default is not None and column.server_default is None:
            yield f"{where} had a default"
