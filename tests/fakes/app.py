"""The whole app on a real database, with everything outside of it in the hands of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator.adapters.db.database import Database
from orchestrator.adapters.db.tables import jobs, metadata
from orchestrator.app.app import App
from orchestrator.app.context import Context, Pool, Timing
from orchestrator.app.sweeps import SweepReport
from orchestrator.app.uploads import Upload
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.media import MediaFacts, MediaKind, MediaRules, Reason, Verdict
from orchestrator.domain.model import File, FileKind, Job, Run, RunOutcome
from orchestrator.domain.profile import Material, Profile, StageSettings
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState
from orchestrator.domain.views import JobDetail
from orchestrator.ports.courier import Courier, NoCourier
from orchestrator.ports.prober import ByteSource
from orchestrator.ports.trainer import Artefact, RunState, TrainerBackend
from tests.builders import NOW
from tests.fakes.storage import MemoryStorage
from tests.fakes.trainer import FakeTrainer

VIDEO = b"a video of a person"
REFUSED = Reason("too_short", "duration_s", 1.0, [180, 600], "profile", "The video lasts 0:01; allowed 3:00 to 10:00.")


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta | float) -> None:
        """Let time pass; numbers are seconds."""
        self.now += by if isinstance(by, timedelta) else timedelta(seconds=by)


class ScriptedProber:
    """Reads every file, and says of it what the test wants.

    Attributes:
        refuse: what is said of a file by its bytes; files not named here are accepted.
        trouble: raised by the next judgements, one each.
        before: called before every judgement.
    """

    def __init__(self) -> None:
        self.refuse: dict[bytes, tuple[Reason, ...]] = {}
        self.trouble: list[Exception] = []
        self.before: Callable[[], None] = lambda: None
        self.judged: list[tuple[bytes, MediaKind, MediaRules]] = []

    def judge(self, source: ByteSource, kind: MediaKind, rules: MediaRules) -> Verdict:
        self.before()
        if self.trouble:
            raise self.trouble.pop(0)
        data = source.read_range(0, source.size_bytes)
        self.judged.append((data, kind, rules))
        reasons = self.refuse.get(data, ())
        return Verdict(not reasons, reasons, (), MediaFacts(kind, len(data), duration_s=200.0))


class ListedWaker:
    """Remembers who was woken."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, name: str) -> None:
        self.woken.append(name)


class SlowTrainer:
    """The same trainer, for a process to which something happens before it has submitted."""

    def __init__(self, trainer: FakeTrainer, happens: Callable[[], object]) -> None:
        self._trainer, self._happens = trainer, happens
        self.observe, self.cancel, self.logs, self.submit = (
            trainer.observe, trainer.cancel, trainer.logs, trainer.submit
        )  # fmt: skip

    def find(self, key: str) -> str | None:
        self._happens()
        return self._trainer.find(key)


class Died(BaseException):
    """A process was killed."""


def die() -> None:
    raise Died


class PlainBox:
    def seal(self, secret: str) -> str:
        return f"sealed:{secret}"

    def open(self, sealed: str) -> str:
        return sealed.removeprefix("sealed:")

    def reseal(self, sealed: str) -> str | None:
        return None if sealed.startswith("sealed:") else self.seal(sealed)


def a_profile(name: str = "plain", /, *stages: str, **fields: object) -> Profile:
    """A kind of job with one required video, a cover, and the stage training unless others are named."""
    values: dict[str, object] = {
        "title": name,
        "materials": (
            Material(FileKind.TRAINING_VIDEO, MediaKind.VIDEO, required=True),
            Material(FileKind.COVER, MediaKind.IMAGE),
        ),
        "stages": {stage: StageSettings(("train", stage), "gpu") for stage in stages or ("training",)},
    }
    return Profile(name=name, **(values | fields))  # type: ignore[arg-type]  # fields by name


PROFILES = (
    a_profile("plain"),
    a_profile("reviewed", switches=frozenset({"review"})),
    a_profile("full", "beauty", "training_preprocess", "training", "inference_preprocess", "compile", "test_video",
              switches=frozenset({"review", "admin_confirm", "named_account"})),
    a_profile("mending", "training_preprocess", "training", switches=frozenset({"resubmit", "keep_success"})),
)  # fmt: skip


@dataclass
class World:
    """An app and what is outside of it.

    Attributes:
        database: may be shared by several worlds: each is a process of its own then.
    """

    database: Database
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {profile.name: profile for profile in PROFILES})
    slots: int = 2
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=Clock)
    trainer: FakeTrainer = field(default_factory=FakeTrainer)
    prober: ScriptedProber = field(default_factory=ScriptedProber)
    waker: ListedWaker = field(default_factory=ListedWaker)
    storage: MemoryStorage = field(init=False)
    app: App = field(init=False)
    courier: Courier = field(default_factory=NoCourier)
    reports: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = MemoryStorage(self.clock)
        self.app = self.process()
        self.owner = self.caller("project-1", Role.USER)
        self.stranger = self.caller("project-2", Role.USER)
        self.reviewer = self.caller("people", Role.REVIEWER)
        self.admin = self.caller("people", Role.ADMIN)
        for project in ("project-1", "project-2", "people"):
            self.app.keys.add_project(project)

    def process(self, trainer: TrainerBackend | None = None) -> App:
        """Another process on the same database, store and trainer."""
        context = Context(
            store=self.database, storage=self.storage, prober=self.prober,
            pools={"gpu": Pool(trainer or self.trainer, self.slots)}, waker=self.waker, secret_box=PlainBox(),
            profiles=self.profiles, timing=self.timing, clock=self.clock, courier=self.courier,
        )  # fmt: skip
        app = App(context)
        app.engine.report = app.runs.report = app.preparation.report = lambda event, fields: self.reports.append(
            (event, fields)
        )
        return app

    @staticmethod
    def caller(project_id: str, role: Role) -> Caller:
        return Caller(project_id, role, f"{role} of {project_id}")

    def dying_dispatcher(self) -> None:
        """A process writes runs to the ledger, and dies before it has asked the backend."""
        with suppress(Died):
            self.process(SlowTrainer(self.trainer, die)).engine.drain(Effect.DISPATCH)

    # a job on its way

    def draft(self, profile: str = "plain", **more: object) -> Job:
        return self.app.jobs.create(self.owner, profile, "Ada", **more)  # type: ignore[arg-type]  # arguments by name

    def put(self, upload: Upload, data: bytes) -> None:
        """Send a file of one part to its URL."""
        assert self.storage.put_url(upload.urls[1], data) == 200

    def uploaded(self, job: Job, data: bytes = VIDEO, kind: FileKind = FileKind.TRAINING_VIDEO) -> File:
        """A file of the job whose parts are all there; nobody has sealed it."""
        upload = self.app.uploads.open(self.owner, job.id, kind, f"{kind}.mp4", size_bytes=len(data))
        self.put(upload, data)
        return upload.file

    def submitted(self, profile: str = "plain", data: bytes = VIDEO, **more: object) -> Job:
        job = self.draft(profile, **more)
        self.uploaded(job, data)
        return self.app.uploads.submit(self.owner, job.id)

    def waiting(self, profile: str = "plain", **more: object) -> Job:
        """A job that has passed all checks and waits for a slot."""
        job = self.submitted(profile, **more)
        slots, self.slots = self.slots, 0
        self.process().engine.drain(Effect.VERIFY)
        self.slots = slots
        if self.job(job).state is JobState.MANUAL_VERIFYING:
            self.app.review.approve(self.reviewer, job.id)
        return self.job(job)

    def training(self, profile: str = "plain", **more: object) -> tuple[Job, Run]:
        """A job at its first stage, and its run, which the trainer has."""
        job = self.waiting(profile, **more)
        self.app.engine.drain(Effect.DISPATCH)
        return self.job(job), self.run_of(job)

    def published(self, profile: str = "plain", **more: object) -> Job:
        job = self.waiting(profile, **more)
        self.settle()
        return self.job(job)

    # the trainer's side

    def say(self, run: Run, state: RunState = RunState.SUCCEEDED, **words: object) -> None:
        assert run.handle is not None
        self.trainer.say(run.handle, state, **words)

    def succeed(self, run: Run, **words: object) -> None:
        """Let the run end well, with a file of its own in the store."""
        assert run.handle is not None
        prefix, name = self.trainer.submitted[run.handle].output_prefix, f"{run.stage}.npz"
        info = self.storage.put(prefix + name, run.id.encode(), "application/octet-stream")
        made = Artefact(name, info.key, info.size_bytes, run.id.ljust(64, "0"), "application/octet-stream")
        self.say(run, artefacts=(made,), **words)

    def fail(self, run: Run, failure: FailureClass, **words: object) -> None:
        self.say(run, RunState.FAILED, failure=failure, **words)

    def observe(self, after: float = 20.0) -> None:
        """Look at all runs, some time later."""
        self.clock.advance(after)
        self.app.runs.observe()

    # looking

    def job(self, job: Job) -> Job:
        return self.detail(job).job

    def detail(self, job: Job) -> JobDetail:
        return self.app.jobs.show(self.admin, job.id)

    def state(self, job: Job) -> JobState:
        return self.job(job).state

    def runs_of(self, job: Job) -> list[Run]:
        with self.database.read() as tx:
            return tx.runs.of_job(job.id)

    def run_of(self, job: Job) -> Run:
        """The newest run of the job."""
        return self.runs_of(job)[-1]

    def live_runs(self) -> list[Run]:
        with self.database.read() as tx:
            return [run for run in tx.runs.due(self.clock() + timedelta(days=365), 1000) if run.ended_at is None]

    def file(self, file: File) -> File:
        with self.database.read() as tx:
            return tx.files.get(file.id)

    # time passes

    def sweep(self, name: str, after: float = 0.0, **how: bool) -> SweepReport:
        self.clock.advance(after)
        return self.app.sweeper.run(name, force=True, **how)

    def tick(self, app: App | None = None) -> None:
        """What the timer of a worker does: all due sweeps, all effects."""
        app = app or self.app

        def complain(name: str, error: Exception) -> None:
            raise AssertionError(f"sweep {name} broke") from error

        app.sweeper.run_due(on_error=complain)
        for drain in app.work.values():
            drain()

    def settle(self, ticks: int = 40, step: float = 20.0) -> None:
        """Let the machine run on until it has nothing to do, with a trainer to which everything succeeds."""
        for _ in range(ticks):
            self.tick()
            live = self.live_runs()
            for run in live:
                if run.outcome is RunOutcome.RUNNING and run.cancel_at is None:
                    self.succeed(run)
            if not live and not self.busy():
                return
            self.clock.advance(step)

    def busy(self) -> int:
        """How many jobs the machine has work with, now or soon."""
        query = sa.select(sa.func.count()).where(
            jobs.c.deleted_at.is_(None), jobs.c.effect.is_not(None), jobs.c.effect != Effect.OVERDUE.value
        )
        with self.database.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def snapshot(self) -> dict[str, object]:
        """Every row of every table, to hold that nothing was changed."""
        with self.database.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(table.select())))
                for table in metadata.sorted_tables
                if table.name != "leases"
            }


def a_database(url: str) -> Database:
    """For tests in which no power fails: SQLite does not wait for the disk."""
    database = Database(url)
    if database.engine.dialect.name == "sqlite":
        sa.event.listen(database.engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous=OFF"))
    return database


@dataclass
class Asked:
    """What a database was asked while somebody listened."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0


@contextmanager
def asked_of(database: Database) -> Iterator[Asked]:
    """Listen to every connection of `database`."""
    asked = Asked()

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.statements.append(statement)

    def committed(_connection: object) -> None:
        asked.commits += 1

    listeners: list[tuple[sa.Engine, str, Callable[..., None]]] = [
        (engine, "before_cursor_execute", executed) for engine in {database.engine, database.single}
    ] + [(database.engine, "commit", committed)]
    for engine, event, listener in listeners:
        sa.event.listen(engine, event, listener)
    try:
        yield asked
    finally:
        for engine, event, listener in listeners:
            sa.event.remove(engine, event, listener)


@contextmanager
def a_world(url: str, **fields: object) -> Iterator[World]:
    """A world on the database at `url`."""
    database = a_database(url)
    try:
        yield World(database, **fields)  # type: ignore[arg-type]  # fields by name
    finally:
        database.dispose()


def with_policy(profile: Profile, limits: Mapping[FailureClass, int]) -> Profile:
    """The profile with other limits of retries."""
    return replace(profile, retry=replace(profile.retry, limits=limits))
