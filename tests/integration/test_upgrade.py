"""An installation is upgraded while its jobs live, and for a while the old version works beside the new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa

from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.migrate import current, head, upgrade
from orchestrator.domain.states import JobState
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


def test_what_the_first_version_writes_the_present_schema_takes(empty_database_url: str) -> None:
    """Additive: whatever a table had at first is there, of its kind; whatever it has got since may be left out."""
    upgrade(empty_database_url, FIRST)
    with _tables(empty_database_url) as (_, first):
        pass
    upgrade(empty_database_url)
    with _tables(empty_database_url) as (_, present):
        pass
    for name, table in first.tables.items():
        if name == "alembic_version":
            continue
        now = present.tables[name]
        assert {each.name for each in table.columns} <= {each.name for each in now.columns}, name
        for column in now.columns:
            former = table.columns.get(column.name)
            if former is None:
                assert column.nullable or column.server_default is not None, f"{name}.{column.name} cannot be left out"
            else:
                assert type(column.type) is type(former.type), f"{name}.{column.name} is another kind"
                assert column.nullable or not former.nullable, f"{name}.{column.name} was optional"
                assert column.server_default is not None or former.server_default is None, f"{name}.{column.name}"
                narrower = getattr(column.type, "length", None)
                assert narrower is None or narrower >= former.type.length, f"{name}.{column.name} is narrower"  # type: ignore[attr-defined]  # texts
