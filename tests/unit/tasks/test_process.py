"""Coalescing of wake-ups, and the bit that a worker shares with its pool processes."""

from __future__ import annotations

import mmap
import os
import threading

import pytest

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import DatabaseUnavailable
from tasks import process as process_module
from tasks import stopping
from tasks.process import Drains


class Work:
    """A drain that waits for the test's word."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.rounds = 0

    def __call__(self, _: Effect) -> int:
        self.rounds += 1
        self.began.release()
        assert self.may_end.acquire(timeout=5)
        return 1


def test_a_wake_up_for_what_is_being_drained_is_one_more_round_of_it() -> None:
    work, woken = Work(), []
    drains = Drains(work, woken.append)
    moved: list[int] = []
    first = threading.Thread(target=lambda: moved.append(drains.drain(Effect.VERIFY)))
    first.start()
    assert work.began.acquire(timeout=5)
    assert [drains.drain(Effect.VERIFY) for _ in range(10)] == [0] * 10
    work.may_end.release()
    assert work.began.acquire(timeout=5)
    work.may_end.release()
    first.join(5)
    assert moved == [2]
    assert work.rounds == 2
    assert woken == []


def test_effects_do_not_wait_for_each_other() -> None:
    work = Work()
    drains = Drains(work, lambda _: None)
    threads = [threading.Thread(target=drains.drain, args=(effect,)) for effect in (Effect.VERIFY, Effect.PUBLISH)]
    for thread in threads:
        thread.start()
    assert work.began.acquire(timeout=5)
    assert work.began.acquire(timeout=5)
    work.may_end.release(2)
    for thread in threads:
        thread.join(5)


def test_a_drain_that_fails_leaves_the_way_free_for_the_next() -> None:
    answers = [DatabaseUnavailable("away"), None]

    def work(_: Effect) -> int:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return 3

    drains = Drains(work, lambda _: None)
    with pytest.raises(DatabaseUnavailable):
        drains.drain(Effect.VERIFY)
    assert drains.drain(Effect.VERIFY) == 3


def test_who_has_worked_long_enough_passes_the_wake_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0])
    monkeypatch.setattr(process_module.time, "monotonic", lambda: next(clock))
    woken: list[str] = []

    def work(_: Effect) -> int:
        assert drains.drain(Effect.VERIFY) == 0  # another wake-up comes meanwhile
        return 1

    drains = Drains(work, woken.append)
    assert drains.drain(Effect.VERIFY) == 1
    assert woken == ["verify"]


def test_a_forked_child_sees_that_its_parent_was_asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_bit", mmap.mmap(-1, 1))
    assert not stopping.asked()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        os._exit(7 if stopping.asked() else 1)
    stopping.ask()
    os.write(write, b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    os.close(read)
    os.close(write)
