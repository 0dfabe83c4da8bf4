"""Jobs a second through eight durable transitions, against what a typical Celery user writes and against plain SQL.

All on one PostgreSQL that waits for its disk; ours and the typical one with one Redis and two pool processes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.adapters.celery_options import task_name
from orchestrator.adapters.celery_waker import CeleryWaker, NullWaker
from orchestrator.domain.commands import Effect
from tests.bench.rows import Row, at_least, at_most, in_turns, row, taken_s
from tests.bench.stand import ME, Stand, await_true, celery_worker, check_logs, multiply, plain, stand
from tests.bench.typical_tasks import STATES, Base, Job, stage
from tests.bench.typical_tasks import app as typical_app
from tests.servers import Postgres, RedisServer

ROUNDS = 3
OURS, TYPICAL, PLAIN = 4000, 150, 500  # jobs of one measurement
WARM, ALONE = 20, 21  # single jobs one after the other, at idle: before the measurement and in it
PROCESSES = 2


def run() -> list[Row]:
    with (
        Postgres(fsync=True) as postgres,
        RedisServer() as redis,
        stand(postgres, redis.url, "ours") as ours,
        typical(postgres, redis) as typical_url,
    ):
        throughput = in_turns(
            ROUNDS,
            lambda: our_throughput(ours),
            lambda: typical_throughput(typical_url),
            lambda: plain_throughput(typical_url),
        )
        alone = in_turns(ROUNDS, lambda: our_latency(ours), lambda: typical_latency(typical_url))
    mine, theirs, limit = throughput
    return [
        row("lifecycle: ours", mine, "jobs/s"),
        row("lifecycle: Celery task per stage with an ORM session", theirs, "jobs/s"),
        row("lifecycle: plain psycopg, one client, one commit per transition", limit, "jobs/s"),
        at_least("lifecycle: times the task per stage", mine / theirs, 30),
        at_least("lifecycle: times the plain client", mine / limit, 2),
        row("lifecycle: one job at idle, ours", alone[0] * 1000, "ms"),
        row("lifecycle: one job at idle, task per stage", alone[1] * 1000, "ms"),
        at_most("lifecycle: one job at idle, share of the task per stage", alone[0] / alone[1], 0.5),
    ]


# ours


def our_throughput(ours: Stand) -> float:
    app = ours.app(NullWaker())
    with ours.worker("--concurrency", str(PROCESSES)):
        for count in (200, OURS):  # the first ones are the warm-up
            ours.clear()
            app.keys.add_project(ME.project_id)
            first = app.jobs.create(ME, "quick", "bench").id
            app.uploads.submit(ME, first)
            multiply(ours.database_url, first, count - 1)
            start_s = time.perf_counter()
            for _ in range(PROCESSES):
                ours.wake(task_name(Effect.VERIFY))
            time_s = until_done(ours.database_url, "jobs", "job_success", count) - start_s
        check_logs(app, OURS)
    app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's
    return OURS / time_s


def our_latency(ours: Stand) -> float:
    ours.clear()
    waker = CeleryWaker(ours.broker_url)
    app = ours.app(waker)
    app.keys.add_project(ME.project_id)
    with ours.worker("--concurrency", str(PROCESSES)):

        def one() -> float:
            job_id = app.jobs.create(ME, "quick", "bench").id
            start_s = time.perf_counter()
            app.uploads.submit(ME, job_id)
            return until_done(ours.database_url, "jobs", "job_success", 1, job_id) - start_s

        in_turns(WARM, one)
        time_s = in_turns(ALONE, one)[0]
    waker.close()
    app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's
    return time_s


# a typical user's


@contextmanager
def typical(postgres: Postgres, redis: RedisServer) -> Iterator[str]:
    """A database and a queue for the task per stage; gives the database's URL."""
    url = postgres.databases.create("typical")
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    typical_app.conf.broker_url = redis.url.removesuffix("/0") + "/1"
    yield url
    postgres.databases.drop("typical")


@contextmanager
def typical_worker(url: str) -> Iterator[None]:
    environ = {"TYPICAL_DATABASE": url, "TYPICAL_BROKER": str(typical_app.conf.broker_url)}
    with tempfile.TemporaryDirectory() as directory:
        arguments = ("--concurrency", str(PROCESSES))
        with celery_worker("tests.bench.typical_tasks", environ, Path(directory) / "worker.log", *arguments):
            yield


def add_typical(url: str, count: int) -> list[int]:
    """Jobs as their owners left them, in an otherwise empty table."""
    engine = sa.create_engine(url)
    with Session(engine) as session:
        session.execute(sa.text("TRUNCATE typical_job, typical_log RESTART IDENTITY"))
        now = datetime.now(UTC).replace(tzinfo=None)
        session.add_all(
            Job(id=n, name="bench", owner="bench", state="new", version=0, updated_at=now) for n in range(1, count + 1)
        )
        session.commit()
    engine.dispose()
    return list(range(1, count + 1))


def typical_throughput(url: str) -> float:
    with typical_worker(url):
        for count in (20, TYPICAL):  # the first ones are the warm-up
            ids = add_typical(url, count)
            start_s = time.perf_counter()
            for job_id in ids:
                stage.delay(job_id, 0)
            time_s = until_done(url, "typical_job", STATES[-1], count) - start_s
    return TYPICAL / time_s


def typical_latency(url: str) -> float:
    engine = sa.create_engine(url)
    with typical_worker(url):
        ids = iter(add_typical(url, WARM + ALONE))

        def one() -> float:
            job_id = next(ids)
            start_s = time.perf_counter()
            with Session(engine) as session:  # the submit, as ours has one
                session.get_one(Job, job_id).state = "submitted"
                session.commit()
            stage.delay(job_id, 0)
            return until_done(url, "typical_job", STATES[-1], 1, job_id) - start_s

        in_turns(WARM, one)
        time_s = in_turns(ALONE, one)[0]
    engine.dispose()
    return time_s


# the limit of one client


def plain_throughput(url: str) -> float:
    ids = add_typical(url, PLAIN)
    statement = """
        WITH moved AS (
          UPDATE typical_job SET state = %(state)s, version = version + 1, updated_at = now()
          WHERE id = %(id)s AND version = %(seen)s RETURNING id, version
        )
        INSERT INTO typical_log (job_id, version, at, source, target)
        SELECT id, version, now(), %(source)s, %(state)s FROM moved
    """
    with plain(url) as connection:

        def work() -> None:
            for job_id in ids:
                for seen, (source, state) in enumerate(pairwise(("new", *STATES))):
                    connection.execute(statement, {"id": job_id, "seen": seen, "source": source, "state": state})

        return PLAIN / taken_s(work)


def until_done(url: str, table: str, state: str, count: int, only: object = None) -> float:
    """When `count` jobs stand at `state`. Looks often for a single one, seldom for many."""
    query = f"SELECT count(*) FROM {table} WHERE state = %s"  # noqa: S608  a table's name
    if only is not None:
        query += " AND id = %s"
    with plain(url) as connection:

        def done() -> bool:
            found = connection.execute(query, (state,) if only is None else (state, only)).fetchone()
            return found is not None and found[0] == count

        return await_true(done, 120, lambda: states(connection, table), every_s=0.02 if only is None else 0.001)


def states(connection: psycopg.Connection[tuple[object, ...]], table: str) -> object:
    return connection.execute(f"SELECT state, count(*) FROM {table} GROUP BY state").fetchall()  # noqa: S608
