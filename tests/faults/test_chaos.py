"""Everything is shot at together while jobs are under way: workers, broker, database and trainers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.adapters.db.migrate import upgrade
from tests.faults.fire import Fire, await_quiet, check_whole, told
from tests.servers import Postgres, RedisServer, ServerMissing, StoreServer
from tests.workers import Installation, worker

JOBS = int(os.environ.get("UNDERSTUDY_FAULT_JOBS", "20"))
FIRE_S = float(os.environ.get("UNDERSTUDY_FAULT_SECONDS", "12"))
LEASE_S = 2
# As patient as a test may be. Takeovers are counted per place; under this fire far more happen than in a year.
IMPATIENT = {
    "worker.tick": "500ms",
    "timing.lease": f"{LEASE_S}s",
    "timing.step_retry": "500ms",
    "timing.start_grace": "2s",
    "timing.poll_first": "300ms",
    "timing.poll_longest": "1s",
    "timing.heartbeat_limit": "3s",
    "timing.max_takeovers": 50,
    "pools.local.slots": 6,
    "log.level": "info",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_nothing_is_lost_or_doubled_while_workers_broker_database_and_trainers_are_killed(
    stack: ExitStack, tmp_path: Path, seed: int
) -> None:
    began_s = time.monotonic()
    try:
        redis = stack.enter_context(RedisServer())
        postgres = stack.enter_context(Postgres(fsync=True))
        store = stack.enter_context(StoreServer())
    except ServerMissing as exc:
        pytest.skip(str(exc))
    url = postgres.databases.create("understudy")
    upgrade(url)
    installation = Installation(tmp_path, url, redis.url, IMPATIENT, store=store, stage_s=0.3)
    stack.callback(installation.close)
    workers = [
        # nobody waits until they are ready: they are shot at while they start, too
        stack.enter_context(
            worker(installation, "-n", f"w{number}@test", "--without-mingle", "--without-gossip", ready="")
        )
        for number in range(2)
    ]
    fire = Fire(installation, workers, seed, LEASE_S + 1.5, redis, postgres)

    job_ids = [installation.submit("tiny") for _ in range(JOBS)]
    fire.burn(FIRE_S)
    try:
        await_quiet(fire, job_ids, 60)
        check_whole(installation, job_ids)
    finally:
        for each in workers:
            each.kill()
            print(each.log)  # noqa: T201
        print(told(installation, fire, began_s))  # noqa: T201
