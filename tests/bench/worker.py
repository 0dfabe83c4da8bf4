"""What one worker process holds in memory: idle, and after ten thousand jobs."""

from __future__ import annotations

import psutil

from orchestrator.adapters.celery_options import task_name
from orchestrator.adapters.celery_waker import NullWaker
from orchestrator.domain.commands import Effect
from tests.bench.lifecycle import until_done
from tests.bench.rows import Row, at_most, row
from tests.bench.stand import ME, Stand, check_logs, multiply, stand
from tests.servers import Postgres, RedisServer

WARM, JOBS = 500, 10_000
MIB = 1024 * 1024


def run() -> list[Row]:
    with Postgres() as postgres, RedisServer() as redis, stand(postgres, redis.url, "worker") as ours:
        with ours.worker("--concurrency", "1") as parent:
            at_start = _rss(parent)
            _work(ours, WARM)
            (child,) = parent.children()
            idle, child_idle = _rss(parent), _rss(child)
            _work(ours, JOBS)
            assert parent.children() == [child], "the pool process was replaced"
            after, child_after = _rss(parent), _rss(child)
        app = ours.app(NullWaker())
        check_logs(app, JOBS)
        app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's
    return [
        row("worker: RSS of the main process, just started", at_start, "MiB"),
        at_most("worker: RSS of the main process, idle", idle, 150, "MiB"),
        at_most("worker: RSS of the pool process, idle", child_idle, 150, "MiB"),
        row("worker: RSS of the pool process after 10,000 jobs", child_after, "MiB"),
        at_most("worker: growth of the main process over 10,000 jobs", after / idle - 1, 0.1, "share"),
        at_most("worker: growth of the pool process over 10,000 jobs", child_after / child_idle - 1, 0.1, "share"),
    ]


def _rss(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MIB


def _work(ours: Stand, count: int) -> None:
    ours.clear()
    app = ours.app(NullWaker())
    app.keys.add_project(ME.project_id)
    first = app.jobs.create(ME, "quick", "bench").id
    app.uploads.submit(ME, first)
    multiply(ours.database_url, first, count - 1)
    ours.wake(task_name(Effect.VERIFY))
    until_done(ours.database_url, "jobs", "job_success", count)
    app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's
