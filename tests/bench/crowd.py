"""Two databases that differ in size alone: a thousand jobs and a million, most of them of one project."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from orchestrator.adapters.celery_waker import NullWaker
from orchestrator.adapters.db.tables import jobs
from orchestrator.app.app import App
from orchestrator.ports.store import Store
from tests.bench.stand import ME, Stand, plain
from tests.servers import Postgres

SMALL, LARGE = 1_000, 1_000_000
_held = ExitStack()  # for as long as this process lives; the server ends with it


class Crowd(NamedTuple):
    url: str
    size: int
    config: Path
    app: App

    @property
    def store(self) -> Store:
        return self.app.context.store

    @staticmethod
    def job_id(number: int) -> str:
        """The id of job 1, 2, ... `size`; every 20th is another project's."""
        return f"{number * 1000:012x}{hashlib.md5(str(number).encode()).hexdigest()[:20]}"  # noqa: S324  as PostgreSQL's


@cache
def crowds() -> tuple[Crowd, Crowd]:
    """The small one and the large one. Loading takes about half a minute, so that benchmarks share them.

    Without fsync: a flush would be the same at any size, and would hide what is not.
    """
    postgres = _held.enter_context(Postgres())
    return _crowd(postgres, "small", SMALL), _crowd(postgres, "large", LARGE)


def _crowd(postgres: Postgres, name: str, count: int) -> Crowd:
    directory = Path(_held.enter_context(tempfile.TemporaryDirectory(prefix="understudy-bench-")))
    stand = Stand(postgres.databases.create(name), "redis://127.0.0.1:9/0", directory)
    app = stand.app(NullWaker())
    for project in (ME.project_id, *(f"other-{n}" for n in range(50))):
        app.keys.add_project(project)
    pattern = app.jobs.create(ME, "quick", "bench").id
    _fill(stand.database_url, pattern, count)
    return Crowd(stand.database_url, count, stand.config, app)


def _fill(url: str, pattern: str, count: int) -> None:
    """Jobs like `pattern`, 19 of 20 of its project, 3 of 5 finished; the others wait, with a deadline far away."""
    different = ("id", "project_id", "state", "effect", "due_at")
    same = ", ".join(column.name for column in jobs.c if column.name not in different)
    with plain(url) as connection:
        connection.execute("SET session_replication_role = replica")  # no look at the project of every row
        connection.execute(
            f"""
            INSERT INTO jobs ({", ".join(different)}, {same})
            SELECT lpad(to_hex(n * 1000), 12, '0') || substr(md5(n::text), 1, 20),
                   CASE WHEN n %% 20 = 0 THEN 'other-' || n / 20 %% 50 ELSE project_id END,
                   CASE WHEN n %% 5 < 3 THEN 'job_success' ELSE 'manual_verifying' END,
                   CASE WHEN n %% 5 < 3 THEN NULL ELSE 'overdue' END,
                   CASE WHEN n %% 5 < 3 THEN NULL ELSE now() + interval '1 day' + n * interval '1 second' END,
                   {same}
            FROM jobs, generate_series(1, %(count)s) n WHERE id = %(id)s
            """,  # noqa: S608  our own column names
            {"count": count, "id": pattern},
        )
        connection.execute("DELETE FROM jobs WHERE id = %s", [pattern])
        connection.execute("TRUNCATE job_counts")
        connection.execute("INSERT INTO job_counts SELECT project_id, state, 0, count(*) FROM jobs GROUP BY 1, 2")
        connection.execute("VACUUM ANALYZE")


def now() -> datetime:
    return datetime.now(UTC)
