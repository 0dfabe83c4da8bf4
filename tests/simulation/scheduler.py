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
    process: Process | None
    go: Callable[[], object]  # begins it, or lets it go on
    stack: greenlet.greenlet | None = None  # where it runs, since it has begun
    ended: bool = False
    awaited_by: list[Task] = field(default_factory=list)


_IDLE: list[greenlet.greenlet] = []  # greenlets of ended tasks: making one costs more than most tasks do


def _serve(work: Callable[[], None]) -> None:
    """One task after another in the same greenlet."""
    mine = greenlet.getcurrent()
    while True:
        work()
        _IDLE.append(mine)
        assert mine.parent is not None
        work = mine.parent.switch()


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
        self._alive: dict[Task, None] = {}  # no set: that would be ordered by where tasks lie in memory
        self._hub = greenlet.getcurrent()
        self._told_s, self._told = 0.0, NOW
        self._is_stopping = self._is_closed = False
        self._ends_s = 0.0
        self._last_step = 0

    def clock(self) -> datetime:
        """What the clock of the running process says."""
        task = self.task
        skew_s = task.process.skew_s if task is not None and task.process is not None else 0.0
        now_s = self.now_s + self.jumped_s + skew_s
        if now_s != self._told_s:  # a use case asks several times in one instant
            self._told_s, self._told = now_s, NOW + timedelta(0, now_s)
        return self._told

    def spawn(self, name: str, work: Callable[[], object], process: Process | None = None, after_s: float = 0) -> Task:
        task = Task(name, process, lambda: self._begin(task, work))
        self._alive[task] = None
        self.wake(task, after_s)
        return task

    def _begin(self, task: Task, work: Callable[[], object]) -> None:
        task.stack = _IDLE.pop() if _IDLE and _IDLE[-1].parent is self._hub else greenlet.greenlet(_serve, self._hub)
        task.go = task.stack.switch
        task.stack.switch(lambda: self._run(task, work))

    def _run(self, task: Task, work: Callable[[], object]) -> None:
        try:
            work()
        except Died:
            pass
        except BaseException as exc:  # noqa: BLE001  told to whoever runs the simulation
            self.failure = self.failure or exc
        task.ended = True
        self._alive.pop(task, None)
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
            self._let_next(task)
        else:  # nobody would be first
            self.now_s = until_s
        if task.process is not None and task.process.is_dead:
            raise Died

    def sleep(self) -> None:
        """Pause until somebody wakes this task."""
        task = self.task
        assert task is not None
        self._let_next(task)
        if task.process is not None and task.process.is_dead:
            raise Died

    def _let_next(self, task: Task) -> None:
        """Straight to whoever is next: the hub is asked only where its loop may have to end."""
        queue = self._queue
        if self._is_stopping or not queue or queue[0][0] > self._ends_s or self.steps > self._last_step:
            if self._is_closed:
                raise Died
            self._hub.switch()
            return
        at_s, _, other = queue[0]
        if other.ended or other.stack is None:  # tasks begin in the hub, none deep in the stack of another one
            self._hub.switch()
            return
        heapq.heappop(queue)
        self.now_s = max(self.now_s, at_s)
        if other is not task:
            self.task = other
            other.go()

    def join(self, task: Task) -> None:
        while not task.ended:
            assert self.task is not None
            task.awaited_by.append(self.task)
            self.sleep()

    def stop(self) -> None:
        """End `run`: what is under way stays where it is."""
        self._is_stopping = True

    def run(self, *, until_s: float, at_most_steps: int) -> None:
        """Let things happen until somebody asks to stop, that time has come, or nothing is left to happen."""
        self._is_stopping, self._ends_s, self._last_step = False, until_s, self.steps + at_most_steps
        queue = self._queue
        while queue and not self._is_stopping and queue[0][0] <= until_s:
            at_s, _, task = heapq.heappop(queue)
            if task.ended:
                continue
            self.now_s = max(self.now_s, at_s)
            self.task = task
            task.go()
            self.task = None
            if self.failure is not None:
                raise self.failure
            if self.steps > self._last_step:
                raise Stuck(f"no end after {at_most_steps} steps; {[t.name for _, _, t in queue]}")

    def close(self) -> None:
        """End what is under way, as a machine that loses power."""
        self._queue.clear()
        self._is_stopping = self._is_closed = True
        while self._alive:
            task, _ = self._alive.popitem()
            if task.stack is not None:  # else it has not begun
                self.task = task
                task.stack.throw(Died)
        self.task = None
        self._queue.clear()
