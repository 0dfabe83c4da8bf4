"""The waker against a broker that is hung, away or back: whoever wakes is never held up and never hears of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from orchestrator.adapters.celery_waker import CeleryWaker
from tests.servers import RedisServer
from tests.workers import Installation, wait_until

NOTICEABLE_S = 1.0  # who waits for a broker that hangs waits for five times as long


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def queued(server: RedisServer, queue: str = "effects") -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.llen(f"understudy:{queue}"))


def longest_wake_s(waker: CeleryWaker) -> float:
    longest_s = 0.0
    for _ in range(50):
        began_s = time.perf_counter()
        waker.wake("verify")
        longest_s = max(longest_s, time.perf_counter() - began_s)
    return longest_s


def test_wake_ups_come_to_the_queues_that_workers_read(own_redis: RedisServer) -> None:
    waker = CeleryWaker(own_redis.url)
    waker.wake("verify")
    waker.wake("observe_runs")
    wait_until(lambda: queued(own_redis) == 1 and queued(own_redis, "sweeps") == 1, 5)
    waker.close()


def test_many_wake_ups_for_one_effect_become_few_messages(own_redis: RedisServer) -> None:
    waker = CeleryWaker(own_redis.url)
    for _ in range(5000):
        waker.wake("verify")
    waker.close()
    assert 1 <= queued(own_redis) < 500


def test_a_hung_broker_holds_nobody_up(own_redis: RedisServer) -> None:
    waker = CeleryWaker(own_redis.url)
    waker.wake("verify")
    wait_until(lambda: queued(own_redis) == 1, 5)
    own_redis.pause()
    try:
        assert longest_wake_s(waker) < NOTICEABLE_S
        began_s = time.monotonic()
        waker.close(timeout_s=0.5)
        assert time.monotonic() - began_s < 2
    finally:
        own_redis.resume()


def test_a_use_case_does_not_wait_for_a_hung_broker(own_redis: RedisServer, sqlite_url: str, tmp_path) -> None:
    installation = Installation(tmp_path, sqlite_url, own_redis.url)
    installation.submit("quick")
    own_redis.pause()
    try:
        began_s = time.monotonic()
        installation.submit("quick")
        assert time.monotonic() - began_s < 1
    finally:
        own_redis.resume()
        installation.close()


def test_a_broker_that_is_away_is_nobodys_error_and_is_used_again_when_it_is_back() -> None:
    server = RedisServer()
    try:
        waker = CeleryWaker(server.url)
        assert longest_wake_s(waker) < NOTICEABLE_S
        server.start()

        def arrives() -> bool:
            waker.wake("verify")
            return queued(server) > 0

        wait_until(arrives, 10)
        server.kill()
        assert longest_wake_s(waker) < NOTICEABLE_S
        server.start()
        server.flush()
        wait_until(arrives, 10)
        waker.close()
    finally:
        server.close()


def test_flushall_does_not_take_the_queues_away(own_redis: RedisServer) -> None:
    waker = CeleryWaker(own_redis.url)
    waker.wake("verify")
    wait_until(lambda: queued(own_redis) == 1, 5)
    own_redis.flush()
    waker.wake("verify")
    wait_until(lambda: queued(own_redis) == 1, 5)
    waker.close()
