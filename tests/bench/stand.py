"""What the benchmarks run on: our own PostgreSQL with fsync, our own Redis, and real Celery workers of their own."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import sqlalchemy as sa
from celery import Celery
from cryptography.fernet import Fernet

from orchestrator.adapters.celery_options import broker_options
from orchestrator.adapters.db.migrate import upgrade
from orchestrator.adapters.db.tables import job_counts, jobs, operation_log
from orchestrator.app.app import App
from orchestrator.bootstrap import build_app
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.machine import replay
from orchestrator.embedded.process import Child, Process
from orchestrator.ports.waker import Waker
from orchestrator.settings import load
from tests.servers import Postgres
from tests.workers import INSTANT_PROFILE

ROOT = Path(__file__).resolve().parents[2]
ME = Caller("bench", Role.USER, "bench")
MOVES = 8  # of a job of INSTANT_PROFILE, from its submit to its end: all the machine's


class Stand:
    """The system under test: a migrated database and settings that name it."""

    def __init__(self, database_url: str, broker_url: str, directory: Path) -> None:
        self.database_url, self.broker_url, self._dir = database_url, broker_url, directory
        (directory / "profiles").mkdir()
        (directory / "profiles" / "quick.toml").write_text(INSTANT_PROFILE, encoding="utf-8")
        self.config = directory / "bench.config.toml"
        self.config.write_text(
            f"""
            [database]
            url = "{database_url}"
            [broker]
            url = "{broker_url}"
            [storage]
            bucket = "bench"
            endpoint = "http://127.0.0.1:9"  # nothing is stored: instant runs leave no files
            access_key = "bench"
            secret_key = "bench"
            [secrets]
            encryption_key = "{Fernet.generate_key().decode()}"
            [pools.instant]
            backend = "instant"
            slots = 10000
            [profiles]
            dir = "{directory / "profiles"}"
            [worker]
            batch = 250
            tick = "1h"  # wake-ups alone start the work, so the clock starts with them
            """,
            encoding="utf-8",
        )
        upgrade(database_url)
        self._sender = Celery("bench", set_as_current=False)
        self._sender.conf.update(broker_options(broker_url))

    def app(self, waker: Waker | None = None) -> App:
        return build_app(load(self.config, environ={}), waker=waker)

    def wake(self, task: str) -> None:
        """One wake-up, as our processes and beat send it."""
        self._sender.send_task(task, ignore_result=True)

    def clear(self) -> None:
        """No jobs, and nothing of former ones."""
        with plain(self.database_url) as connection:
            connection.execute("TRUNCATE projects, jobs, operation_log, runs, assets, job_counts CASCADE")
            connection.execute("CHECKPOINT")  # the writes of the last round are not this round's

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[psutil.Process]:
        """`celery -A tasks.app worker`, ready; gives its main process."""
        environ = {"UNDERSTUDY_CONFIG": str(self.config)}
        with celery_worker("tasks.app", environ, self._dir / "worker.log", *arguments) as process:
            yield process


@contextmanager
def celery_worker(app: str, environ: Mapping[str, str], log: Path, *arguments: str) -> Iterator[psutil.Process]:
    """A Celery worker with its usual prefork pool; stopped in order at the end."""
    log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel", "INFO", *arguments]
    process = Process.start(
        Child(
            name="worker",
            argv=argv,
            env={"PATH": "/usr/bin:/bin", "HOME": str(log.parent), **environ},
            log_path=log,
            cwd=ROOT,
        )
    )
    try:
        await_true(lambda: " ready." in log.read_text(encoding="utf-8"), 60, process.log_tail)
        yield psutil.Process(process.pid)
    finally:
        process.stop()


@contextmanager
def stand(postgres: Postgres, broker_url: str, name: str) -> Iterator[Stand]:
    """A stand in a database of its own."""
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as directory:
        yield Stand(postgres.databases.create(name), broker_url, Path(directory))
        postgres.databases.drop(name)


def plain(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A driver connection to a SQLAlchemy URL, for looking on from outside; every statement on its own."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def await_true(
    asked: Callable[[], object], limit_s: float, told: Callable[[], object] = str, every_s: float = 0.05
) -> float:
    """Ask until yes; gives the time of the yes. Raises TimeoutError with what `told` says."""
    deadline_s = time.perf_counter() + limit_s
    while not asked():
        if time.perf_counter() > deadline_s:
            raise TimeoutError(f"nothing happened for {limit_s} s: {told()}")
        time.sleep(every_s)
    return time.perf_counter()


def multiply(database_url: str, job_id: str, count: int) -> None:
    """`count` copies of a job and its log, due at once: what as many creates and submits leave, in a second."""
    others = ", ".join(c.name for c in jobs.c if c.name != "id")
    logged = ", ".join(c.name for c in operation_log.c if c.name not in {"id", "job_id"})
    ids = "substr(%(id)s, 1, 20) || lpad(to_hex(n), 12, '0')"
    values = {"id": job_id, "count": count}
    with plain(database_url) as connection, connection.transaction():
        connection.execute(
            f"INSERT INTO jobs (id, {others}) SELECT {ids}, {others} FROM jobs, generate_series(1, %(count)s) n "  # noqa: S608
            "WHERE id = %(id)s",
            values,
        )
        connection.execute(
            f"INSERT INTO operation_log (job_id, {logged}) SELECT {ids}, {logged} "  # noqa: S608
            "FROM operation_log, generate_series(1, %(count)s) n WHERE job_id = %(id)s ORDER BY n, id",
            values,
        )
        connection.execute(
            f"UPDATE {job_counts.name} SET jobs = jobs + %(count)s "  # noqa: S608
            "WHERE (project_id, state) = (SELECT project_id, state FROM jobs WHERE id = %(id)s)",
            values,
        )


def check_logs(app: App, expected: int) -> None:
    """Every job has ended well, its log replays to its state, and has the eight moves after its submit.

    Raises:
        AssertionError: one has not.
    """
    with app.context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # the SQL adapter's
        ids = list(connection.execute(sa.select(jobs.c.id).where(jobs.c.state == "job_success")).scalars())
    assert len(ids) == expected, f"{len(ids)} of {expected} jobs have ended"
    with app.context.store.read() as tx:
        for job_id in ids:
            log = tx.reads.log(job_id)
            moves = len({entry.version for entry in log}) - 2  # without create and submit
            assert moves == MOVES and replay(log) == "job_success", f"job {job_id}: {moves} moves, {log[-1]}"  # noqa: PT018
