"""Threads, chance and sleep of the use cases, in the hands of the simulation.

The use cases are run as they are. Only the names by which their modules reach the operating system mean something else
while a simulation runs: `threading.Thread` is another task of the same process, `secrets` draws from the seed.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import orchestrator.app
from tests.simulation.scheduler import Died, Scheduler, Task


class Event:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        for task in self._waiting:
            self._scheduler.wake(task)
        self._waiting.clear()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        scheduler = self._scheduler
        if self._is_set or scheduler.task is None:
            return self._is_set
        mine = scheduler.task
        self._waiting.append(mine)
        if timeout is not None:
            ends_s = scheduler.now_s + timeout
            scheduler.wake(mine, timeout)
        while not self._is_set and (timeout is None or scheduler.now_s < ends_s):
            scheduler.sleep()
        if mine in self._waiting:
            self._waiting.remove(mine)
        return self._is_set


class Thread:
    def __init__(self, scheduler: Scheduler, target: Callable[..., object], name: str, args: Sequence[object]) -> None:
        self._scheduler = scheduler
        self._work = lambda: target(*args)
        self._name = name
        self._task: Task | None = None

    def start(self) -> None:
        mine = self._scheduler.task
        if mine is not None:  # else nothing runs beside: before and after the storm
            self._task = self._scheduler.spawn(self._name, self._work, mine.process)

    def join(self, timeout: float | None = None) -> None:
        del timeout
        if self._task is not None and not self._task.ended:
            self._scheduler.join(self._task)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.ended


class Executor:
    """A pool without a limit: who waits for a free thread waits for the store anyway."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def map(self, work: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        results = [self._started(work, each) for each in zip(*arguments, strict=False)]

        def told() -> Iterator[Any]:
            for thread, result in results:
                thread.join()
                if "error" in result:
                    raise result["error"]
                yield result["value"]

        return told()

    def _started(self, work: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Thread, dict[str, Any]]:
        result: dict[str, Any] = {}

        def run() -> None:
            try:
                result["value"] = work(*arguments)
            except Died as exc:
                result["error"] = exc
                raise
            except Exception as exc:  # noqa: BLE001  raised where the result is asked for
                result["error"] = exc

        thread = Thread(self._scheduler, run, "pool", ())
        if self._scheduler.task is None:
            run()
        else:
            thread.start()
            self._threads.append(thread)
        return thread, result


_REPLACED = ("threading", "ThreadPoolExecutor", "secrets", "time", "_LOOKS", "_BETWEEN_LOOKS_S")


@cache
def _places() -> tuple[tuple[ModuleType, str, object], ...]:
    """Where a name stands that means something else here, and what it means else."""
    names = [each.name for each in pkgutil.walk_packages(orchestrator.app.__path__, "orchestrator.app.")]
    modules = [importlib.import_module(name) for name in sorted(names)]
    return tuple((module, name, vars(module)[name]) for module in modules for name in _REPLACED if name in vars(module))


@contextmanager
def under(scheduler: Scheduler, chance: random.Random) -> Iterator[None]:
    """Run use cases by `scheduler` in the block."""

    def thread(target: Callable[..., object], name: str = "", args: Sequence[object] = (), **_: object) -> Thread:
        return Thread(scheduler, target, name, args)

    names: dict[str, Any] = {
        "threading": SimpleNamespace(Thread=thread, Event=lambda: Event(scheduler), Lock=nullcontext),
        "ThreadPoolExecutor": lambda *_args, **_named: Executor(scheduler),
        "secrets": SimpleNamespace(
            randbits=chance.getrandbits, token_hex=lambda n=16: f"{chance.getrandbits(8 * n):0{2 * n}x}"
        ),
        "time": SimpleNamespace(sleep=scheduler.pause, monotonic=lambda: scheduler.now_s),
        "_LOOKS": 8, "_BETWEEN_LOOKS_S": 0.6,  # as long in all as they wait, with less to see on the way
    }  # fmt: skip
    for module, name, _ in _places():
        setattr(module, name, names[name])
    try:
        yield
    finally:
        for module, name, former in _places():
            setattr(module, name, former)
