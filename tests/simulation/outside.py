"""What is outside of the use cases: database, store, trainer, prober and broker, each as unreliable as the weather."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from orchestrator.app.media_prepare import RULES as LIBRARY_RULES
from orchestrator.domain.errors import DatabaseUnavailable, StorageUnavailable, TrainerUnavailable
from orchestrator.domain.media import MediaFacts, MediaKind, MediaRules, Verdict
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.prober import ByteSource
from orchestrator.ports.storage import ObjectInfo
from orchestrator.ports.trainer import Artefact, RunSpec, RunState, RunStatus
from tests.fakes.app import REFUSED
from tests.fakes.storage import MemoryStorage
from tests.fakes.store import MemoryStore
from tests.fakes.store.rows import RowsOfTx
from tests.simulation.scheduler import Task

if TYPE_CHECKING:
    from tests.simulation.world import World

BAD = b"something else"
_FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
_FAILURES = tuple(each for each in FailureClass if each is not FailureClass.CANCELLED)
_LATEST_S = 50.0  # no call to the store is done later than this after its caller gave up: `timing.abort_retry` is 60 s


class StormyTurns:
    """Lets statements of several transactions interleave, and a database fail at any of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.chance.random
        self._waits_for: dict[RowsOfTx, RowsOfTx] = {}
        self._waiting: dict[RowsOfTx, list[Task]] = {}
        self._fails = world.weather.database / 20
        self._commit_fails = world.weather.database / 2

    def began(self, rows: RowsOfTx) -> None:
        pass

    def ended(self, rows: RowsOfTx) -> None:
        for task in self._waiting.pop(rows, ()):
            self._world.scheduler.wake(task)

    def step(self, what: str) -> None:
        world = self._world
        if not world.is_stormy:
            return
        world.call()
        if self._fails:
            fails = self._commit_fails if what in {"commit", "committed"} else self._fails
            if self._random() < fails:
                raise DatabaseUnavailable(f"the database does not answer: {what}")

    def wait(self, rows: RowsOfTx, holder: RowsOfTx) -> None:
        self._waits_for[rows] = holder
        try:
            other: RowsOfTx | None = holder
            while other is not None:
                if other is rows:
                    raise DatabaseUnavailable("the database does not answer: deadlock")
                other = self._waits_for.get(other)
            scheduler = self._world.scheduler
            assert scheduler.task is not None
            self._waiting.setdefault(holder, []).append(scheduler.task)
            scheduler.sleep()
        finally:
            del self._waits_for[rows]


class Bucket(MemoryStorage):
    """A store that tells of every write."""

    def __init__(self, world: World) -> None:
        super().__init__(world.scheduler.clock, careless=world.chance.random() < 0.5)
        self._world = world

    def _store(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        self._world.watch.writing(key, data)
        return super()._store(key, data, content_type)


class StormyStorage:
    """The port in front of the bucket: every call may hang, fail before or after it was done, or be done later."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.bucket = Bucket(world)
        # what is said without asking the store
        self.presign_parts, self.presign_get = self.bucket.presign_parts, self.bucket.presign_get
        self.key_of, self.address_of = self.bucket.key_of, self.bucket.address_of

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.bucket, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, lambda: real(*args, **kwargs))

        setattr(self, name, call)
        return call

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        world = self._world
        if not world.is_stormy:
            return work()
        world.call()
        fails = world.chance.random() < world.weather.store
        if fails and world.chance.random() < 0.5:
            if world.chance.random() < world.weather.late:
                world.scheduler.spawn(f"late {name}", lambda: _try(work), after_s=world.chance.uniform(0, _LATEST_S))
            raise StorageUnavailable(f"no answer to {name}")
        result = work()
        if isinstance(result, Iterator):
            result = list(result)
        world.call()
        if fails:
            raise StorageUnavailable(f"no answer to {name}, it was done")
        return result


def _try(work: Callable[[], Any]) -> None:
    with suppress(Exception):  # nobody waits for the answer any more
        work()


@dataclass
class Training:
    """One run at the backend, and what will come of it."""

    handle: str
    spec: RunSpec
    begins_s: float
    ends_s: float
    fate: RunState
    failure: FailureClass | None
    hashes: dict[str, str]
    state: RunState = RunState.RUNNING
    artefacts: tuple[Artefact, ...] = ()


class StormyTrainer:
    """A backend that trains in no time, and keeps a book of what it was asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_exact = world.chance.random() < 0.5  # whoever learns the same again makes the same bytes again
        self.trainings: dict[str, Training] = {}
        self.by_key: dict[str, str] = {}

    def submit(self, spec: RunSpec, key: str) -> str:
        return self._call("submit", lambda: self._submit(spec, key))

    def find(self, key: str) -> str | None:
        return self._call("find", lambda: self.by_key.get(key))

    def observe(self, handles: Sequence[str]) -> list[RunStatus]:
        return self._call("observe", lambda: [self._status(handle) for handle in handles])

    def cancel(self, handle: str, grace_s: float) -> None:
        del grace_s
        self._call("cancel", lambda: self._cancel(handle))

    def logs(self, handle: str, offset: int, limit: int = 65536) -> tuple[str, int]:
        del handle, limit
        return "", offset

    def next_end_s(self) -> float | None:
        return min((t.ends_s for t in self.trainings.values() if t.state is RunState.RUNNING), default=None)

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        world = self._world
        if not world.is_stormy:
            return work()
        world.call()
        fails = world.chance.random() < world.weather.trainer
        if fails and world.chance.random() < 0.5:
            raise TrainerUnavailable(f"no answer to {name}")
        result = work()
        world.call()
        if fails:
            raise TrainerUnavailable(f"no answer to {name}, it was done")
        return result

    def _submit(self, spec: RunSpec, key: str) -> str:
        if key in self.by_key:
            return self.by_key[key]
        world = self._world
        world.watch.submitted(spec, key)
        handle = f"training-{len(self.by_key) + 1}"
        fate, failure = RunState.SUCCEEDED, None
        if world.is_stormy and world.chance.random() < world.weather.run_fails:
            fate = world.chance.choice((RunState.FAILED, RunState.FAILED, RunState.GONE))
            failure = world.chance.choice(_FAILURES) if fate is RunState.FAILED else None
        longest_s = world.chance.choice((0, 3, 40)) if world.is_stormy else 0
        lasts_s = world.chance.uniform(0, longest_s)
        now_s = world.scheduler.now_s
        hashes = {each.name: self._read(each.url) for each in spec.inputs}
        self.by_key[key] = handle
        self.trainings[handle] = Training(handle, spec, now_s, now_s + lasts_s, fate, failure, hashes)
        return handle

    def _read(self, url: str) -> str:
        key = unquote(url.removeprefix("memory:///").partition("?")[0])
        data = self._world.storage.bucket.read_range(key, 0, 1 << 20)
        return hashlib.sha256(data).hexdigest()

    def _cancel(self, handle: str) -> None:
        training = self.trainings.get(handle)
        if training is not None and training.state is RunState.RUNNING:
            training.state = RunState.CANCELLED

    def _status(self, handle: str) -> RunStatus:
        training, world = self.trainings.get(handle), self._world
        if training is None:
            return RunStatus(handle, RunState.GONE)
        if training.state is RunState.RUNNING and world.scheduler.now_s >= training.ends_s:
            self._end(training)
        beat_at = world.scheduler.clock() if training.state is RunState.RUNNING else None
        return RunStatus(
            handle, training.state, heartbeat_at=beat_at,
            failure=training.failure if training.state is RunState.FAILED else None,
            artefacts=training.artefacts, input_hashes=training.hashes if training.state in _FINAL else {},
        )  # fmt: skip

    def _end(self, training: Training) -> None:
        training.state = training.fate
        world = self._world
        if training.fate is RunState.SUCCEEDED:
            training.artefacts = tuple(self._artefact(training, name) for name in _names(training.spec))
        elif training.fate is RunState.GONE and world.is_stormy and world.chance.random() < 0.5:
            # nobody hears of it any more, but it goes on and brings something in the end
            world.scheduler.spawn(
                "zombie",
                lambda: self._artefact(training, _names(training.spec)[0]),
                after_s=world.chance.uniform(1, 200),
            )

    def _artefact(self, training: Training, name: str) -> Artefact:
        spec = training.spec
        data = (spec.job_id if self._is_exact else spec.run_id).encode()
        info = self._world.storage.bucket.put(spec.output_prefix + name, data, "application/octet-stream")
        sha256 = hashlib.sha256(data).hexdigest()
        return Artefact(name, info.key, info.size_bytes, sha256, "application/octet-stream")


class Bug(ValueError):
    """A mistake in the program that nobody has thought of."""


def _names(spec: RunSpec) -> Sequence[str]:
    """What a stage makes: the training the model and its thumbnail."""
    return ("model.npz", "thumbnail.png") if spec.stage == "training" else (f"{spec.stage}.npz",)


class StormyProber:
    """Takes everything but BAD; now and then it breaks, or takes longer than any lease."""

    def __init__(self, world: World) -> None:
        self._world = world

    def judge(self, source: ByteSource, kind: MediaKind, rules: MediaRules) -> Verdict:
        world = self._world
        if world.is_stormy:
            world.call()
            trouble = world.chance.random()
            if trouble < world.weather.trainer / 20:
                raise Bug("a bug")
        data = source.read_range(0, source.size_bytes)
        reasons = (REFUSED,) if data == BAD else ()
        if not reasons and rules.name != LIBRARY_RULES.name:  # what the library takes, a job may refuse
            world.watch.accepted.add(hashlib.sha256(data).hexdigest())
        return Verdict(not reasons, reasons, (), MediaFacts(kind, len(data), duration_s=200.0))


class StormyBroker:
    """Wake-ups that are lost, doubled and reordered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._messages: list[str] = []
        self.idle: list[Any] = []

    def wake(self, name: str) -> None:
        world = self._world
        if not world.is_stormy:
            return
        chance = world.chance.random()
        if chance < world.weather.lost_wake:
            return
        copies = 2 if world.chance.random() < world.weather.doubled_wake else 1
        self._messages += [name] * copies
        within_s = world.chance.choice((0.001, 0.02, 0.5))  # at once, most of the time: that is when workers meet
        while self.idle:
            world.scheduler.wake(self.idle.pop(), world.chance.uniform(0, within_s))

    def take(self) -> str | None:
        if not self._messages:
            return None
        return self._messages.pop(self._world.chance.randrange(len(self._messages)))


def a_store(world: World) -> MemoryStore:
    return MemoryStore(StormyTurns(world))
