"""Fake time and who goes on when: everything that happens is one thread of events, in an order that a seed decides.

A task is a greenlet: it runs until it pauses, and time passes only while everybody pauses. What is chosen by chance is
chosen by one generator, so a seed is a schedule: the same one every time, on every machine.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import greenlet

from tests.builders import NOW


class Died(BaseException):
    """The process of the running task was killed: nothing that it does has any effect from now on."""


class Stuck(AssertionError):
    """The simulation does not end."""


@dataclass(eq=False, slots=True)
class Process:
    """What dies as one, with a clock of its own.

    Attributes:
        skew_s: by how much its clock is fast.
    """

    name: str
    skew_s: float = 0.0
    is_dead: bool = False
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Task:
    """One thing under way. `process` changes when a person asks a process for something."""

    name: str
    greenlet: greenlet.greenlet
    process: Process | None
    ended: bool = False
    awaited_by: list[Task] = field(default_factory=list)


class Scheduler:
    """The loop of events."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now_s = 0.0
        self.jumped_s = 0.0  # by how much all clocks of the world were put forward at once
        self.steps = 0
        self.task: Task | None = None
        self.failure: BaseException | None = None
        self._queue: list[tuple[float, int, Task]] = []
        self._number = 0
        self._alive: set[Task] = set()
        self._hub = greenlet.getcurrent()

    def clock(self) -> datetime:
        """What the clock of the running process says."""
        task = self.task
        skew_s = task.process.skew_s if task is not None and task.process is not None else 0.0
        return NOW + timedelta(0, self.now_s + self.jumped_s + skew_s)

    def spawn(self, name: str, work: Callable[[], object], process: Process | None = None, after_s: float = 0) -> Task:
        task = Task(name, greenlet.greenlet(lambda: self._run(task, work), self._hub), process)
        self._alive.add(task)
        self.wake(task, after_s)
        return task

    def _run(self, task: Task, work: Callable[[], object]) -> None:
        try:
            work()
        except Died:
            pass
        except BaseException as exc:  # noqa: BLE001  told to whoever runs the simulation
            self.failure = self.failure or exc
        task.ended = True
        self._alive.discard(task)
        for waiting in task.awaited_by:
            self.wake(waiting)

    def wake(self, task: Task, after_s: float = 0) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now_s + after_s, self._number, task))

    def pause(self, for_s: float) -> None:
        """Let others go on. Raises Died if the process was killed meanwhile."""
        task, queue = self.task, self._queue
        self.steps += 1
        until_s = self.now_s + for_s
        if task is None:  # nothing else runs: before and after the storm
            self.now_s = until_s
            return
        if queue and queue[0][0] < until_s:
            self._number += 1
            heapq.heappush(queue, (until_s, self._number, task))
            self._hub.switch()
        else:  # nobody would be first
            self.now_s = until_s
        if task.process is not None and task.process.is_dead:
            raise Died

    def sleep(self) -> None:
        """Pause until somebody wakes this task."""
        task = self.task
        assert task is not None
        self._hub.switch()
        self._check_alive(task)

    @staticmethod
    def _check_alive(task: Task) -> None:
        if task.process is not None and task.process.is_dead:
            raise Died

    def join(self, task: Task) -> None:
        while not task.ended:
            assert self.task is not None
            task.awaited_by.append(self.task)
            self.sleep()

    def run(self, until: Callable[[], bool], *, at_most_steps: int) -> None:
        """Let things happen until `until` holds, or nothing is left to happen."""
        ends = self.steps + at_most_steps
        while self._queue and not until():
            at_s, _, task = heapq.heappop(self._queue)
            if task.ended:
                continue
            self.now_s = max(self.now_s, at_s)
            self.task = task
            task.greenlet.switch()
            self.task = None
            if self.failure is not None:
                raise self.failure
            self.steps += 1
            if self.steps > ends:
                raise Stuck(f"no end after {at_most_steps} steps; {[t.name for _, _, t in self._queue]}")

    def close(self) -> None:
        """End what is under way, as a machine that loses power."""
        self._queue.clear()
        while self._alive:
            task = self._alive.pop()
            if task.greenlet:  # else it has not begun
                self.task = task
                task.greenlet.throw(Died)
        self.task = None
        self._queue.clear()
