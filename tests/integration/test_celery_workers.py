"""Real workers and beats on real brokers and databases: from submit to published, and what a lost broker costs."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery

from orchestrator.adapters.celery_options import QUEUES, broker_options
from orchestrator.domain.machine import replay
from orchestrator.domain.states import JobState
from orchestrator.embedded.process import Child, Process
from tests.servers import RedisServer
from tests.workers import CeleryProcess, Installation, beat, wait_until, worker

Install = Callable[..., Installation]
ONLY_MESSAGES = {"worker.tick": "1h"}
ONLY_TIMERS = {"worker.tick": "300ms", "timing.poll_first": "300ms"}
MOVES_OF_QUICK = 10  # create, submit, and eight of the machine

pytestmark = pytest.mark.slow


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def install(stack: ExitStack, tmp_path: Path) -> Install:
    def make(database_url: str, broker_url: str, settings: Mapping[str, object]) -> Installation:
        installation = Installation(tmp_path, database_url, broker_url, settings)
        stack.callback(installation.close)
        empty_queues(broker_url)
        return installation

    return make


def empty_queues(broker_url: str) -> None:
    """Other tests use queues of these names too."""
    if not broker_url:
        return
    app = Celery("purge", set_as_current=False)
    app.conf.update(broker_options(broker_url))
    with app.connection_for_write() as connection:
        for name in QUEUES:
            queue = app.amqp.queues[name](connection.default_channel)
            queue.declare()
            queue.purge()


def queued(broker_url: str) -> int:
    app = Celery("count", set_as_current=False)
    app.conf.update(broker_options(broker_url))
    with app.connection_for_write() as connection:
        return int(app.amqp.queues["effects"](connection.default_channel).queue_declare().message_count)


def check_moves(installation: Installation, job_id: str, moves: int | None = None) -> None:
    with installation.app.context.store.read() as tx:
        log = tx.reads.log(job_id)
    assert replay(log) is JobState.JOB_SUCCESS
    if moves is not None:
        assert log[-1].version == moves - 1
    assert len({(entry.version, entry.log_type) for entry in log}) == len(log)


def test_a_job_is_published_by_messages_alone_and_soon(
    stack: ExitStack, install: Install, database_url: str, broker_url: str
) -> None:
    installation = install(database_url, broker_url, ONLY_MESSAGES)
    stack.enter_context(worker(installation))
    stack.enter_context(beat(installation))
    first, slow = installation.submit("quick"), installation.submit("tiny")
    installation.await_success(first)
    began_s = time.monotonic()
    second = installation.submit("quick")
    installation.await_success(second)
    assert time.monotonic() - began_s < 2, "a wake-up took longer than a busy machine explains"
    installation.await_success(slow)
    check_moves(installation, second, MOVES_OF_QUICK)
    check_moves(installation, slow)
    assert len(installation.runs_started()) == 1


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_without_any_broker_the_timers_finish_jobs(
    stack: ExitStack, install: Install, sqlite_url: str, pool: str
) -> None:
    installation = install(sqlite_url, "", ONLY_TIMERS)
    stack.enter_context(worker(installation, "--pool", pool))
    job_ids = [installation.submit("quick"), installation.submit("tiny")]
    installation.await_success(*job_ids)


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_pools_without_child_processes_take_messages_too(
    stack: ExitStack, install: Install, sqlite_url: str, redis_url: str, pool: str
) -> None:
    installation = install(sqlite_url, redis_url, ONLY_MESSAGES)
    running = stack.enter_context(worker(installation, "--pool", pool))
    job_id = installation.submit("quick")
    installation.await_success(job_id)
    began_s = time.monotonic()
    running.stop()
    assert time.monotonic() - began_s < 15


def test_a_broker_that_is_not_there_yet_stops_nobody(stack: ExitStack, sqlite_url: str, tmp_path: Path) -> None:
    redis = RedisServer()
    stack.callback(redis.close)
    installation = Installation(tmp_path, sqlite_url, redis.url, ONLY_TIMERS)
    stack.callback(installation.close)
    stack.enter_context(worker(installation, "--pool", "threads", ready="Cannot connect"))
    installation.await_success(installation.submit("quick"))


def test_lost_messages_cost_a_tick(stack: ExitStack, install: Install, sqlite_url: str, broker_url: str) -> None:
    installation = install(sqlite_url, broker_url, ONLY_TIMERS)
    job_id = installation.submit("quick")
    wait_until(lambda: queued(broker_url), 5, lambda: "the wake-up was not sent")
    empty_queues(broker_url)
    stack.enter_context(worker(installation))
    installation.await_success(job_id)
    check_moves(installation, job_id, MOVES_OF_QUICK)


def test_two_beats_and_two_workers_do_everything_once(
    stack: ExitStack, install: Install, postgresql_url: str, redis_url: str
) -> None:
    installation = install(postgresql_url, redis_url, ONLY_MESSAGES)
    for _ in range(2):
        stack.enter_context(beat(installation))
    for number in range(2):
        stack.enter_context(worker(installation, "-n", f"w{number}@test"))
    quick = [installation.submit("quick") for _ in range(10)]
    tiny = [installation.submit("tiny") for _ in range(2)]
    installation.await_success(*quick, *tiny)
    for job_id in quick:
        check_moves(installation, job_id, MOVES_OF_QUICK)
    assert sorted(installation.runs_started()) == sorted(f"{job_id}-training-1" for job_id in tiny)


def test_sigterm_ends_a_worker_soon_and_its_successor_takes_up_the_training(
    stack: ExitStack, sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, sqlite_url, redis_url, {"worker.tick": "500ms"}, stage_s=4)
    stack.callback(installation.close)
    running = stack.enter_context(worker(installation))
    job_id = installation.submit("tiny")
    wait_until(installation.runs_started, 20)
    began_s = time.monotonic()
    code = running.end()
    assert code == 0, running.log
    assert time.monotonic() - began_s < 15
    with installation.app.context.store.read() as tx:
        assert tx.jobs.get(job_id).lease_token is None
    running.start()
    installation.await_success(job_id)
    assert len(installation.runs_started()) == 1


def test_understudy_worker_becomes_a_worker_that_ends_at_sigterm(
    stack: ExitStack, install: Install, sqlite_url: str, redis_url: str
) -> None:
    installation = install(sqlite_url, redis_url, ONLY_MESSAGES)
    by_celery = CeleryProcess(installation, "worker")  # for its environment and its directory
    stack.callback(by_celery.close)
    log = by_celery.dir / "log"
    code = "import sys; from orchestrator.cli.main import main; sys.argv[0] = 'understudy'; sys.exit(main())"
    process = Process.start(
        Child(
            name="worker", argv=[sys.executable, "-c", code, "worker", "--concurrency", "1"], env=by_celery.env(),
            cwd=by_celery.dir, log_path=log,
        )
    )  # fmt: skip
    stack.callback(process.kill)
    wait_until(lambda: " ready." in by_celery.log, 30, lambda: by_celery.log)
    installation.await_success(installation.submit("quick"))
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0, by_celery.log


def test_a_worker_with_wrong_settings_says_why_and_ends(sqlite_url: str, stack: ExitStack, tmp_path: Path) -> None:
    installation = Installation(tmp_path, sqlite_url, "", {"secrets.encryption_key": ""})
    wrong = CeleryProcess(installation, "worker", ready="secrets.encryption_key is not set")
    stack.callback(wrong.close)
    wrong.start()
    wait_until(lambda: wrong.exit_code is not None, 10)
    assert wrong.exit_code != 0
    assert "Traceback" not in wrong.log


def test_every_event_of_a_worker_is_one_line_of_json(
    stack: ExitStack, install: Install, sqlite_url: str, redis_url: str
) -> None:
    installation = install(sqlite_url, redis_url, ONLY_TIMERS)
    running = stack.enter_context(worker(installation))
    installation.await_success(installation.submit("tiny"))
    running.stop()
    banner, *lines = running.log.split("\n{")
    assert "celery@" in banner
    events = [json.loads("{" + line.partition("\n")[0]) for line in lines]
    assert any(event["event"] == "drained" for event in events)
    assert all(event.keys() >= {"event", "level", "timestamp", "logger"} for event in events)


def test_the_sign_of_life_of_a_worker_is_work_done(stack: ExitStack, install: Install, sqlite_url: str) -> None:
    installation = install(sqlite_url, "", ONLY_TIMERS)
    stack.enter_context(worker(installation))

    def seen() -> object:
        with installation.app.context.store.read() as tx:
            return [at for name, at in tx.leases.last_runs().items() if name.startswith("worker:") and at]

    wait_until(seen, 10)
