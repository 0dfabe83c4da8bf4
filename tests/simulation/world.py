"""One schedule: a storm over processes and people, then calm, and the promises are looked at."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from orchestrator.adapters.celery_options import BY_SWEEPS
from orchestrator.app.app import App
from orchestrator.app.context import Context, Pool, Timing
from orchestrator.domain.actors import Actor, Caller, Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.model import FileState
from orchestrator.domain.states import STATES, JobState
from tests.builders import NOW
from tests.fakes.app import PROFILES, PlainBox
from tests.fakes.store.media import MediaRow
from tests.simulation import beat, weather
from tests.simulation.outside import Bug, StormyBroker, StormyProber, StormyStorage, StormyTrainer, a_store
from tests.simulation.scheduler import Died, Process, Scheduler, Stuck
from tests.simulation.threads import under
from tests.simulation.watch import HALF_WAY, Watch

T = TypeVar("T")

STORM_S = 75.0
WEEK_S = timedelta(days=7, hours=1).total_seconds()
MAX_STEPS = 60_000
SETTLING_ROUNDS = 200
EVERYTHING = 0.03  # of a worker's turns look for work of every kind, whether there is any or not
_SWEEP_OF = {effect.value: sweep for effect, sweep in BY_SWEEPS.items()}
PROFILES_BY_NAME = {profile.name: profile for profile in PROFILES}


class NoAnswer(Exception):
    """The process that was asked died; whoever asked does not know what was done."""


class World:
    """Everything of one schedule, made from its seed."""

    app: App  # of the process that brings everything to an end, after the storm

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self._random = self.chance.random
        self.weather = drawn = weather.drawn(self.chance)
        self._dies_below = drawn.kill / 4
        self._hangs_below = self._dies_below + drawn.hang
        self._switches_below = self._hangs_below + drawn.switch
        self.scheduler = Scheduler(self.chance)
        self.timing = Timing()
        self.is_stormy = False
        self.is_over = False
        self.slots = self.chance.choice((1, 2, 3))
        self.store = a_store(self)
        self.storage = StormyStorage(self)
        self.trainer = StormyTrainer(self)
        self.prober = StormyProber(self)
        self.broker = StormyBroker(self)
        self.watch = Watch(self)
        self.processes: dict[str, Process] = {}
        self.people: list[object] = []
        self.busy_people = 0
        self.complaints: list[str] = []
        self.owners = {name: Caller(name, Role.USER, f"owner of {name}") for name in ("project-1", "project-2")}
        self.strangers = {"project-1": self.owners["project-2"], "project-2": self.owners["project-1"]}
        self.reviewer = Caller("people", Role.REVIEWER, "a reviewer")
        self.admin = Caller("people", Role.ADMIN, "an admin")
        with self.store.begin() as tx:
            for project in ("project-1", "project-2", "people"):
                tx.keys.add_project(project, project, NOW, {})

    def built(self) -> App:
        """The use cases of a new process."""
        context = Context(
            store=self.store, storage=self.storage, prober=self.prober, pools={"gpu": Pool(self.trainer, self.slots)},
            waker=self.broker, secret_box=PlainBox(), profiles=PROFILES_BY_NAME, timing=self.timing,
            clock=self.scheduler.clock,
        )  # fmt: skip
        app = App(context)
        app.engine.report = app.runs.report = self._reported
        return app

    def _reported(self, event: str, fields: dict[str, object]) -> None:
        """What the machine logs: the weather may break a step, but nothing may break the writing of its outcome."""
        error = str(fields.get("error", ""))
        if event in {"settling_crashed", "run_not_settled"} or (event == "step_crashed" and "a bug" not in error):
            self.complaints.append(f"{event}: {error}")

    # what every call to the outside passes

    def call(self) -> None:
        """Somewhere between two instructions: others may go on, time may pass, the process may die."""
        scheduler = self.scheduler
        task = scheduler.task
        if task is None:
            return
        chance = self._random()
        if chance >= self._switches_below:
            scheduler.pause(0.001)
        elif chance >= self._hangs_below:
            scheduler.pause(self.chance.expovariate(20))
        elif chance >= self._dies_below:
            scheduler.pause(self.chance.uniform(5, 90))
        elif task.process is not None:
            task.process.is_dead = True
            raise Died

    def ask(self, work: Callable[[App], T]) -> T:
        """A person's request to one of the API processes. Raises NoAnswer, and what the use case raises."""
        scheduler, task = self.scheduler, self.scheduler.task
        assert task is not None
        scheduler.pause(self.chance.expovariate(2))
        alive = [p for p in self.processes.values() if p.name.startswith("api") and not p.is_dead]
        if not alive:
            raise NoAnswer
        task.process = self.chance.choice(alive)
        try:
            return work(task.process.extra["app"])  # type: ignore[arg-type]  # put there by `start`
        except Bug as exc:
            raise NoAnswer from exc
        except Died:
            if self.is_over:
                raise
            raise NoAnswer from None
        finally:
            task.process = None

    # processes

    def start(self, name: str) -> Process:
        skew_s = self.chance.uniform(-1, 1) * self.weather.skew_s
        process = self.processes[name] = Process(name, skew_s)
        app = process.extra["app"] = self.built()
        if name.startswith("worker"):
            for what, work in (("effects", self._drain_all), ("sweeps", self._sweep_due), ("messages", self._answer)):
                self.scheduler.spawn(f"{name} {what}", lambda work=work: work(app), process, self.chance.uniform(0, 5))
        return process

    def _drain_all(self, app: App) -> None:
        while True:
            self._work_off(app, everything=self._random() < EVERYTHING)
            self.scheduler.pause(self.chance.uniform(5, 25))

    def _sweep_due(self, app: App) -> None:
        while True:
            if self._random() < EVERYTHING:
                self._do(lambda: app.sweeper.run_due(on_error=self._broke))
            else:
                self._sweep(app)
            self.scheduler.pause(self.chance.uniform(4, 20))

    def _work_off(self, app: App, *, everything: bool) -> None:
        due = beat.due(self.store.data, self.scheduler.clock())
        for name, drain in app.work.items():
            if everything or name in due:
                self._do(drain)

    def _sweep(self, app: App) -> None:
        due = beat.due(self.store.data, self.scheduler.clock())
        for name in app.sweeper.names():
            if name in due:
                self._do(lambda name=name: app.sweeper.run(name))

    def _answer(self, app: App) -> None:
        while True:
            name = self.broker.take()
            if name is None:
                self.broker.idle.append(self.scheduler.task)
                self.scheduler.sleep()
                continue
            name = _SWEEP_OF.get(name, name)
            if name in app.sweeper.names():
                self._do(lambda name=name: app.sweeper.run(name))
            else:
                self._do(app.work[name])
            self.scheduler.pause(0.01)

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as exc:  # noqa: BLE001  as a worker does; what is no expected error is a finding
            self._broke("work", exc)

    def _broke(self, name: str, error: Exception) -> None:
        if not isinstance(error, UnderstudyError):
            self.complaints.append(f"{name}: {error!r}")

    def demon(self) -> None:
        """Kills, restarts, and puts clocks forward."""
        while True:
            self.scheduler.pause(self.chance.uniform(2, 15))
            for process in list(self.processes.values()):
                if process.is_dead:
                    self.start(process.name)
                elif self.chance.random() < self.weather.kill * 2:
                    process.is_dead = True
            if self.chance.random() < self.weather.jump:
                self.scheduler.jumped_s += self.chance.choice((1, 31, 120, 1000))
            if self.chance.random() < self.weather.week:
                self.scheduler.jumped_s += WEEK_S

    # the whole

    def storm(self, people: Callable[[World], None]) -> None:
        """Everybody at once, until the people are done or had enough."""
        self.is_stormy = True
        names = ["api-1", "worker-1", "worker-2", *(["worker-3"] if self.chance.random() < 0.3 else [])]
        for name in names:
            self.start(name)
        self.scheduler.spawn("demon", self.demon)
        people(self)
        try:
            self.scheduler.run(until_s=self.chance.uniform(20, STORM_S), at_most_steps=MAX_STEPS)
        finally:
            self.is_over = True
            for process in self.processes.values():
                process.is_dead = True
            self.scheduler.close()
        self.is_stormy = False
        self.weather = weather.CALM
        self._check()

    def settle(self) -> None:
        """Run a fresh process until it has nothing to do; people say yes to whatever waits for them."""
        self.app = self.built()
        self.scheduler.now_s += 100.0  # whoever hung has given up, and calls under way have ended
        for _ in range(SETTLING_ROUNDS):
            self.tick()
            said = self._say_yes()
            next_s = self._next_s()
            if next_s is None and not said:
                return
            if not said:
                self.scheduler.now_s = max(self.scheduler.now_s + 1.0, next_s or 0.0)
        raise Stuck(f"not quiet after {SETTLING_ROUNDS} rounds: {[r.job for r in self.watch.jobs()]}")

    def tick(self) -> None:
        self._sweep(self.app)
        self._work_off(self.app, everything=False)
        self._check()

    def _check(self) -> None:
        if self.watch.bad:
            raise self.watch.bad[0]
        if self.complaints:
            raise AssertionError(self.complaints[0])

    def _say_yes(self) -> bool:
        said = False
        for row in self.watch.jobs():
            if row.job.state is JobState.MANUAL_VERIFYING:
                self.app.review.approve(self.reviewer, row.job.id)
                said = True
        return said

    def _next_s(self) -> float | None:
        """When something is due next of what the machine has to do; None: it has nothing to do."""
        data = self.store.data
        times = [at for row in self.watch.jobs() if STATES[row.job.state].owner is Actor.SYSTEM
                 or row.job.effect is Effect.RETRY for at in (row.job.lease_until or row.job.due_at,)]  # fmt: skip
        times += [row.due_at for row in data.table("runs").values() if row.due_at is not None]
        times += [row.due_at for row in data.table("media").values() if self._is_at_work(row)]
        times += [each.due_at for each in data.table("deliveries").values()]
        times += [row.due_at for row in data.table("files").values() if row.file.state in HALF_WAY]
        if not times:
            return None
        # sweeps have intervals of their own, the longest of these is half a minute
        at_s = min((at - NOW).total_seconds() for at in times if at is not None) - self.scheduler.jumped_s
        return max(at_s, self.scheduler.now_s + 5.0)

    def _is_at_work(self, row: MediaRow) -> bool:
        """Whether media are the machine's business now: not while they wait to be uploaded."""
        held = self.store.data.table("files").get(row.item.file_id)
        return row.due_at is not None and not (held is not None and held.file.state is FileState.OPEN)

    def clean(self) -> None:
        """The longest time limit passes, and everything is swept."""
        self.scheduler.now_s += timedelta(days=40).total_seconds()
        for _ in range(4):  # what one sweep leaves behind, another one deletes
            for name in self.app.sweeper.names():
                self._do(lambda name=name: self.app.sweeper.run(name, force=True))
            self._work_off(self.app, everything=False)
            self.scheduler.now_s += 7200
            if not self.watch.left():
                break
        self._check()


@contextmanager
def a_world(seed: int) -> Iterator[World]:
    """A world whose use cases run by its scheduler."""
    world = World(seed)
    with under(world.scheduler, world.chance):
        yield world


def run(seed: int, people: Callable[[World], None]) -> World:
    """One schedule. Raises AssertionError if a promise was not kept."""
    with a_world(seed) as world:
        world.storm(people)
        world.settle()
        world.watch.check_quiet()
        world.clean()
        world.watch.check_clean()
    return world
