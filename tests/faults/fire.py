"""Things that go wrong, by chance from a seed, and what has to hold when they are over."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import sqlalchemy as sa

from orchestrator.adapters.db.tables import assets, job_counts, jobs, runs
from orchestrator.domain.machine import replay
from orchestrator.domain.states import JobState
from tests.servers import Postgres, RedisServer
from tests.workers import CeleryProcess, Installation, wait_until


@dataclass(frozen=True)
class Lane:
    """Shots at one target, one after the other; lanes burn at the same time."""

    shots: Sequence[Callable[[random.Random], None]]
    pause_s: tuple[float, float]  # between two shots
    worker: CeleryProcess | None = None


@dataclass
class Fire:
    """Shoots at an installation.

    Attributes:
        seed: every lane draws from its own chance, made of this and its number.
        longer_than_lease_s: how long a frozen worker sleeps.
        shots: how often each kind was done.
    """

    installation: Installation
    workers: Sequence[CeleryProcess]
    seed: int
    longer_than_lease_s: float
    redis: RedisServer | None = None
    postgres: Postgres | None = None
    shots: Counter[str] = field(default_factory=Counter)
    _failures: list[BaseException] = field(default_factory=list)

    def burn(self, seconds: float) -> None:
        """Every shot of every lane once, in an order of its own, then any, until the time is over."""
        ends_s = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._burn_lane, args=(lane, random.Random(f"{self.seed} {number}"), ends_s))
            for number, lane in enumerate(self._lanes())
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def supervise(self) -> None:
        """Start workers again that have ended by themselves, as systemd, Kubernetes or `understudy dev` do."""
        for worker in self.workers:
            self._revive(worker)

    def _revive(self, worker: CeleryProcess) -> None:
        if worker.exit_code is not None:
            self.shots[f"exit {worker.exit_code} by itself"] += 1
            worker.start()

    def _lanes(self) -> list[Lane]:
        lanes = [self._at_worker(worker) for worker in self.workers]
        lanes.append(Lane([self.kill_runner], (1, 3)))
        if self.redis is not None:
            lanes.append(self._at_redis(self.redis))
        if self.postgres is not None:
            lanes.append(self._at_postgres(self.postgres))
        return lanes

    def _burn_lane(self, lane: Lane, chance: random.Random, ends_s: float) -> None:
        queue = chance.sample(list(lane.shots), len(lane.shots))
        try:
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(left_s, chance.uniform(*lane.pause_s)))
                if lane.worker is not None:  # by its own lane alone: two would start it twice
                    self._revive(lane.worker)
                shot = queue.pop() if queue else chance.choice(lane.shots)
                shot(chance)
                self.shots[shot.__name__] += 1
        except Exception as exc:  # noqa: BLE001  raised again by burn()
            self._failures.append(exc)

    def _at_worker(self, worker: CeleryProcess) -> Lane:
        def kill_pool_child(chance: random.Random) -> None:
            children = worker.pool_children()
            if children:
                with suppress(psutil.NoSuchProcess):
                    chance.choice(children).kill()

        def kill_worker(_: random.Random) -> None:
            worker.kill()
            worker.start()

        def stop_worker(_: random.Random) -> None:
            worker.restart()

        def freeze_worker(_: random.Random) -> None:
            worker.pause()
            time.sleep(self.longer_than_lease_s)
            worker.resume()

        return Lane(
            [kill_pool_child, kill_worker, kill_pool_child, stop_worker, freeze_worker, kill_pool_child], (1, 4), worker
        )

    def _at_redis(self, redis: RedisServer) -> Lane:
        def kill_redis(chance: random.Random) -> None:
            redis.kill()
            time.sleep(chance.uniform(0, 1))
            redis.start()

        def flush_redis(_: random.Random) -> None:
            redis.flush()

        def hang_redis(chance: random.Random) -> None:
            redis.pause()
            time.sleep(chance.uniform(0.2, 1.5))
            redis.resume()

        def cut_redis(_: random.Random) -> None:
            redis.drop_clients()

        return Lane([kill_redis, flush_redis, hang_redis, cut_redis], (0.3, 1.5))

    def _at_postgres(self, postgres: Postgres) -> Lane:
        def restart_postgres(_: random.Random) -> None:
            postgres.restart()

        def crash_postgres(_: random.Random) -> None:
            postgres.stop_immediately()
            postgres.start()

        return Lane([restart_postgres, crash_postgres], (2, 4))

    def kill_runner(self, chance: random.Random) -> None:
        found = runners(self.installation)
        if found:
            with suppress(psutil.NoSuchProcess):
                chance.choice(found).kill()


def runners(installation: Installation) -> list[psutil.Process]:
    """The trainers' runners of this installation that live now."""
    place = str(installation.directory)
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "orchestrator.adapters.trainers.runner" in words and any(word.startswith(place) for word in words):
                found.append(process)
    return found


def await_quiet(fire: Fire, job_ids: Sequence[str], limit_s: float) -> None:
    """Wait until all jobs have succeeded and nothing is under way any more."""
    installation = fire.installation

    def ended() -> bool:
        fire.supervise()
        return all(installation.state(job_id) is JobState.JOB_SUCCESS for job_id in job_ids)

    wait_until(ended, limit_s, lambda: str(Counter(installation.state(job_id) for job_id in job_ids)))
    wait_until(lambda: not live_runs(installation), limit_s, lambda: f"live runs: {live_runs(installation)}")
    wait_until(lambda: not runners(installation), limit_s, lambda: f"runners: {runners(installation)}")


def live_runs(installation: Installation) -> list[object]:
    with _connect(installation) as connection:
        return list(connection.execute(sa.select(runs.c.key, runs.c.outcome).where(runs.c.due_at.is_not(None))))


def check_whole(installation: Installation, job_ids: Sequence[str]) -> None:
    """Nothing lost, nothing doubled, nothing held. Raises AssertionError."""
    with installation.app.context.store.read() as tx:
        for job_id in job_ids:
            log = tx.reads.log(job_id)
            job = tx.jobs.get(job_id)
            assert replay(log) is job.state is JobState.JOB_SUCCESS, f"job {job_id}: {job.state}, log {log[-1]}"
            assert log[-1].version == job.version, (
                f"job {job_id} has version {job.version}, its log ends at {log[-1].version}"
            )
            published = [entry for entry in log if entry.command == "publish"]
            assert len(published) == 1, f"job {job_id} was published {len(published)} times"
    with _connect(installation) as connection:
        models = Counter(connection.execute(sa.select(assets.c.job_id)).scalars())
        assert models == Counter(job_ids), f"assets: {models}"
        held = list(connection.execute(sa.select(jobs.c.id).where(jobs.c.lease_token.is_not(None))))
        assert not held, f"leases are held: {held}"
        ledger = list(
            connection.execute(sa.select(runs.c.job_id, runs.c.stage, runs.c.attempt, runs.c.key, runs.c.outcome))
        )
        counted = dict(
            connection.execute(
                sa.select(job_counts.c.state, sa.func.sum(job_counts.c.jobs)).group_by(job_counts.c.state)
            ).all()
        )
    assert {state: n for state, n in counted.items() if n} == {"job_success": len(job_ids)}
    assert len({(job_id, stage, attempt) for job_id, stage, attempt, _, _ in ledger}) == len(ledger)
    assert Counter(job_id for job_id, *_, outcome in ledger if outcome == "succeeded") == Counter(job_ids)
    begun = Counter(installation.runs_started())
    assert not [key for key, times in begun.items() if times > 1], f"started twice: {begun.most_common(3)}"
    assert set(begun) <= {key for *_, key, _ in ledger}, "a run that is not in the ledger"


def told(installation: Installation, fire: Fire, began_s: float) -> str:
    """One line for the log of the test."""
    with _connect(installation) as connection:
        outcomes = Counter(connection.execute(sa.select(runs.c.outcome)).scalars())
        takeovers = connection.execute(sa.select(sa.func.sum(jobs.c.takeovers))).scalar()
    shots = ", ".join(f"{name} {times}" for name, times in sorted(fire.shots.items()))
    return f"{time.monotonic() - began_s:.0f} s; shots: {shots}; runs: {dict(outcomes)}; takeovers left: {takeovers}"


def _connect(installation: Installation) -> sa.Connection:
    connection: sa.Connection = installation.app.context.store.engine.connect()  # type: ignore[attr-defined]  # the SQL adapter's
    return connection
