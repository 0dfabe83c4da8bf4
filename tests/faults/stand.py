"""One whole installation under fire, from the first start to the last promise: what the test and `./run faults` run."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa

from orchestrator.adapters.db.migrate import upgrade
from orchestrator.adapters.db.tables import files, jobs, media, operation_log, runs
from orchestrator.app.app import App
from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.media_items import inbox_of
from orchestrator.domain.model import FileState
from orchestrator.domain.states import JobState
from orchestrator.embedded import strays
from orchestrator.embedded.stack import answers
from tests.faults.crowd import Crowd
from tests.faults.fire import Fire, Lane, at_line, at_postgres, at_process, at_redis, at_store, at_trainers
from tests.faults.people import Patience
from tests.faults.promises import Expected, Promise, bugs_in, media_promise, promises, runners
from tests.faults.proxy import Line, Network, StoreLine
from tests.servers import Postgres, RedisServer, StoreServer
from tests.servers.base import mark
from tests.workers import ME, ApiProcess, Installation, OwnProcess, beat, wait_until, worker

LEASE_S: Final = 2
# As patient as a test may be. Takeovers are counted per place; under this fire far more happen than in a year.
IMPATIENT: Final[Mapping[str, object]] = {
    "worker.tick": "500ms",
    "timing.lease": f"{LEASE_S}s",
    "timing.step_retry": "500ms",
    "timing.start_grace": "2s",
    "timing.poll_first": "300ms",
    "timing.poll_longest": "1s",
    "timing.heartbeat_limit": "3s",
    "timing.single_part_poll": "1s",
    "timing.abort_retry": "1s",
    "timing.max_takeovers": 200,
    "pools.local.slots": 6,
    "api.shutdown_grace": "2s",
    "log.level": "info",
}
MODULE: Final = "tests.faults.skewed"
START_S: Final = 300.0
QUIET_S: Final = 90.0  # without any change
LONGEST: Final = 10  # times the patience, whatever goes on
# Copies of registered media whose process died: deleted after a day, since somebody might still be at it.
_ABANDONED: Final = sa.and_(files.c.staging_key.startswith("registered/"), files.c.state == FileState.DELETING)
SWEEPS: Final = ("seal_uploads", "expire_uploads", "abort_uploads", "delete_files", "lost_leases", "observe_runs")


@dataclass(frozen=True)
class Plan:
    """How hard it is tried.

    Attributes:
        seconds: how long it burns.
        rate: 2 shoots twice as often.
        patience_s: how long after the fire nothing may go on before it counts as stuck.
    """

    seed: int
    jobs: int
    seconds: float
    rate: float = 1.0
    patience_s: float = 120.0
    sqlite: bool = False
    workers: int = 2
    apis: int = 2


@dataclass
class Result:
    """What came out of it."""

    plan: Plan
    promises: list[Promise]
    shots: Counter[str]
    stories: Counter[str]
    numbers: dict[str, object]
    took_s: float

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)


class Stand:
    """Servers, lines, and our own processes. A context manager: starts on entry, leaves nothing on exit.

    Raises ServerMissing where this machine lacks a server.
    """

    def __init__(self, directory: Path, plan: Plan) -> None:
        self.plan = plan
        self._directory = directory
        self._stack = ExitStack()
        self.processes: list[OwnProcess] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        network = stack.enter_context(Network())
        redis = stack.enter_context(RedisServer())
        store = stack.enter_context(StoreServer())
        to_broker = Line(network, redis.port)
        to_store = StoreLine(network, store.url)
        self.store_line = to_store
        lanes: list[Lane] = [at_redis(redis), at_line("broker", to_broker), at_line("store", to_store, (3, 8))]
        lanes += [at_store(to_store)]
        if self.plan.sqlite:
            url = f"sqlite:///{self._directory / 'understudy.db'}"
            upgrade(url)
        else:
            postgres = stack.enter_context(Postgres(fsync=True))
            direct = postgres.databases.create("understudy")
            upgrade(direct)
            to_database = Line(network, postgres.port)
            url = direct.replace(f":{postgres.port}/", f":{to_database.port}/")
            lanes += [at_postgres(postgres), at_line("database", to_database)]
        self.installation = Installation(
            self._directory, url, redis.url.replace(f":{redis.port}/", f":{to_broker.port}/"), IMPATIENT,
            store=store, store_url=to_store.endpoint, stage_s=0.3,
        )  # fmt: skip
        stack.callback(self.installation.close)
        keys = self.installation.app.keys
        roles = {"user": Role.USER, "reviewer": Role.REVIEWER, "admin": Role.ADMIN}
        self.tokens = {name: keys.create(ME.project_id, role, name).token for name, role in roles.items()}
        lanes += [*self._own(stack), at_trainers(self.installation)]
        self.fire = Fire(lanes, self.plan.seed, self.plan.rate)
        self._await_ready()

    def _await_ready(self) -> None:
        """All were started at once; they are shot at while they start often enough later."""
        apis = [process for process in self.processes if isinstance(process, ApiProcess)]
        workers = [process for process in self.processes if process.name == "worker"]

        def is_ready() -> bool:
            ended = [process.log for process in self.processes if process.exit_code is not None]
            assert not ended, f"ended while it started: {ended[0]}"
            return all(answers(f"{api.url}/livez") for api in apis) and all(" ready." in w.log for w in workers)

        wait_until(is_ready, START_S, lambda: str(self.logs()))

    def _own(self, stack: ExitStack) -> Iterator[Lane]:
        """Our processes, each with a clock of its own."""
        plain = ("--without-mingle", "--without-gossip")
        for number in range(self.plan.workers):
            variables, clock = self._clock(f"worker-{number}")
            process = worker(
                self.installation, "-n", f"w{number}@test", *plain, module=MODULE, ready="", variables=variables
            )
            yield self._shot_at(stack, process, clock, (1, 4))
        variables, clock = self._clock("beat")
        yield self._shot_at(stack, beat(self.installation, module=MODULE, ready="", variables=variables), clock, (3, 8))
        for number in range(self.plan.apis):
            variables, clock = self._clock(f"api-{number}")
            api = ApiProcess(self.installation, module=MODULE, wait=False, variables=variables)
            yield self._shot_at(stack, api, clock, (5, 10))

    def _shot_at(self, stack: ExitStack, process: OwnProcess, clock: Path, pause_s: tuple[float, float]) -> Lane:
        self.processes.append(stack.enter_context(process))
        return at_process(process, LEASE_S + 1.5, pause_s, clock)

    def _clock(self, name: str) -> tuple[dict[str, str], Path]:
        path = self._directory / f"clock-{name}"
        path.write_text("0", encoding="ascii")
        return {"UNDERSTUDY_TEST_CLOCK": str(path)}, path

    @property
    def endpoints(self) -> list[str]:
        return [process.url for process in self.processes if isinstance(process, ApiProcess)]

    def put(self, name: str, data: bytes) -> str:
        """Lay an object into the project's inbox, as an owner does who registers media; gives its address."""
        storage = self.installation.app.context.storage
        return storage.address_of(storage.put(f"{inbox_of(ME.project_id)}{name}", data, "video/mp4").key)

    def progress(self) -> object:
        """Something that changes with every step of any job, file or run; None: the database does not answer."""
        counted = (
            sa.select(sa.func.count()).select_from(operation_log).scalar_subquery(),
            sa.select(sa.func.count()).select_from(runs).scalar_subquery(),
            sa.select(sa.func.sum(runs.c.version)).scalar_subquery(),
            sa.select(sa.func.sum(media.c.version)).scalar_subquery(),
            *(sa.select(sa.func.count()).where(files.c.state == state.value).scalar_subquery() for state in FileState),
        )
        try:
            with self.installation.app.context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # SQL
                return tuple(connection.execute(sa.select(*counted)).one())
        except (sa.exc.DBAPIError, Unavailable):
            return None

    def settle(self, patience_s: float = QUIET_S) -> str:
        """Wait until nothing is under way; gives what still is when that has not changed for `patience_s`."""
        context = self.installation.app.context
        # whoever died between beginning an upload and writing its row left one that only age tells from a live one
        patient = dataclasses.replace(context, timing=dataclasses.replace(context.timing, orphan_age=timedelta(0)))
        patience = Patience(patience_s, patience_s * LONGEST)
        while (left := self._under_way()) and not patience.is_over:
            patience.look((left, self.progress()))
            self.fire.supervise()
            for name in SWEEPS:  # what a sweep does hourly is not waited for
                self.installation.app.sweeper.run(name, force=True)
            time.sleep(0.3)
        App(patient).sweeper.run("orphans", force=True)
        with context.store.engine.begin() as connection:  # type: ignore[attr-defined]  # the SQL adapter's
            connection.execute(sa.update(files).where(_ABANDONED).values(due_at=context.clock()))
        self.installation.app.sweeper.run("delete_files", force=True)
        return left

    def _under_way(self) -> str:
        try:
            with self.installation.app.context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # SQL
                waiting = sa.select(files.c.state, sa.func.count()).where(files.c.due_at.is_not(None), ~_ABANDONED)
                found = {f"files {state}": n for state, n in connection.execute(waiting.group_by(files.c.state))}
                for name, query in {
                    "runs": sa.select(sa.func.count()).where(runs.c.due_at.is_not(None)),
                    "media": sa.select(sa.func.count()).where(
                        media.c.due_at.is_not(None), media.c.deleted_at.is_(None)
                    ),
                    "leases": sa.select(sa.func.count()).where(jobs.c.lease_token.is_not(None)),
                }.items():
                    found[name] = connection.execute(query).scalar_one()
        except (sa.exc.DBAPIError, Unavailable) as exc:
            return f"the database: {exc}"
        found["runners"] = len(runners(self.installation))
        return ", ".join(f"{n} {name}" for name, n in found.items() if n)

    def numbers(self) -> dict[str, object]:
        with self.installation.app.context.store.engine.connect() as connection:  # type: ignore[attr-defined]  # SQL
            outcomes = Counter(connection.execute(sa.select(runs.c.outcome)).scalars())
        return {"runs": dict(outcomes), "store": {str(t): n for t, n in sorted(self.store_line.happened.items())}}

    def logs(self) -> dict[str, str]:
        return {f"{number}-{process.name}": process.log for number, process in enumerate(self.processes)}


def burn(
    directory: Path, plan: Plan, tell: Callable[[str], None] = lambda _: None, keep_logs: Path | None = None
) -> Result:
    """The whole of it. `tell` gets a line about every second."""
    began_s = time.monotonic()
    before = {process.pid for process in strays.marked(mark())}
    with Stand(directory, plan) as stand:
        patience = Patience(plan.patience_s, plan.seconds + plan.patience_s * LONGEST)
        crowd = Crowd(stand.endpoints, stand.tokens, stand.put, plan.jobs, plan.seed, plan.seconds, patience)
        crowd.start()
        stand.fire.light(plan.seconds)
        while crowd.is_busy() or stand.fire.burns:
            if stand.fire.burns:
                patience.look(time.monotonic())  # nothing has to go on as long as it burns
            else:
                stand.fire.supervise()
                patience.look((crowd.ended, stand.progress()))
            shots = stand.fire.shots.total()
            tell(f"{time.monotonic() - began_s:4.0f} s: {crowd.ended} of {plan.jobs} jobs, {shots} shots")
            time.sleep(1 if plan.seconds > 30 else 0.3)
        stand.fire.wait()
        tell("the fire is out")
        left = stand.settle()
        exits = {f"{number}-{process.name}": process.end() for number, process in enumerate(stand.processes)}
        expected = [
            Expected(tale.job_id, JobState(tale.expected) if tale.expected else None, tale.sha256)
            for tale in crowd.tales
            if tale.job_id
        ]
        found = promises(stand.installation, expected, stand.installation.app.context.storage)
        found += [media_promise(stand.installation, {k: v for tale in crowd.tales for k, v in tale.media.items()})]
        logs, numbers = stand.logs(), stand.numbers()
    if keep_logs is not None:
        keep_logs.mkdir(parents=True, exist_ok=True)
        for name, text in logs.items():
            (keep_logs / f"{name}.log").write_text(text, encoding="utf-8")
    stories = [f"{tale.name}: {tale.trouble}" for tale in crowd.tales if tale.trouble]
    leftover = [p for p in strays.marked(mark()) if p.pid not in before]
    found += [
        Promise("every story came to its end", tuple(stories)),
        Promise("nothing is under way any more", (left,) if left else ()),
        Promise("no answer and no log line tells of a bug or a secret", (*crowd.bugs, *bugs_in(logs))),
        # uvicorn ends by the signal that it was sent, once it has done with its requests
        Promise(
            "our processes end in order", tuple(f"{n}: {code}" for n, code in exits.items() if code not in {0, -15})
        ),
        Promise("no process is left", tuple(f"{p.pid} {' '.join(p.cmdline()[:4])}" for p in leftover)),
    ]
    told = Counter(tale.kind for tale in crowd.tales if tale.ended)
    return Result(plan, found, stand.fire.shots, told, numbers, time.monotonic() - began_s)
