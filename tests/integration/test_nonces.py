"""Nonces: once is once, in every process and at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.fakes.app import World, a_world

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with a_world(database_url) as world:
        yield world


def test_a_nonce_is_used_once_by_whichever_process(world: World) -> None:
    here, there = world.app.nonces, world.process().nonces
    until = world.clock() + 15 * MINUTE
    assert here.is_first_use("key-1", "n", until)
    assert not there.is_first_use("key-1", "n", until)
    assert there.is_first_use("key-2", "n", until)
    assert there.is_first_use("key-1", "m", until)


def test_of_two_at_the_same_moment_one_wins(world: World) -> None:
    until = world.clock() + 15 * MINUTE
    at_once = threading.Barrier(8)

    def use(_: int) -> bool:
        at_once.wait(10)
        return world.app.nonces.is_first_use("key-1", "n", until)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8))) == [False] * 7 + [True]


def test_it_is_kept_as_long_as_its_request_is_fresh(world: World) -> None:
    until = world.clock() + 15 * MINUTE
    assert world.app.nonces.is_first_use("key-1", "n", until)
    world.clock.advance(15 * MINUTE)
    world.sweep("nonces")
    assert not world.app.nonces.is_first_use("key-1", "n", until)
    world.clock.advance(2 * MINUTE)
    world.sweep("nonces")
    assert world.app.nonces.is_first_use("key-1", "n", until)
