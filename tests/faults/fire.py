"""Things that go wrong, by chance from a seed: lanes of shots, one for each target, that burn at the same time."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.promises import runners
from tests.faults.proxy import Line, StoreLine, Trouble
from tests.servers import Postgres, RedisServer
from tests.workers import CeleryProcess, Installation, OwnProcess

PATIENT_S = 6.0  # a shot at the store, at trainers or at a pool process waits so long for somebody whom it hits
VOLLEY = 8  # some of the next so many requests to the store go wrong
Shot = Callable[[random.Random], bool | None]
"""Does its harm; False: nobody was there to be hit."""


@dataclass(frozen=True)
class Lane:
    """Shots at one target, one after the other.

    Attributes:
        pause_s: between two shots, at rate 1.
        process: what the shots end; its lane alone starts it again, or two would.
    """

    target: str
    shots: Sequence[Shot]
    pause_s: tuple[float, float]
    process: OwnProcess | None = None


@dataclass
class Fire:
    """Shoots at an installation.

    Attributes:
        seed: every lane draws from its own chance, made of this and its number.
        rate: divides every pause.
        shots: how often each kind was done.
    """

    lanes: Sequence[Lane]
    seed: int
    rate: float = 1.0
    shots: Counter[str] = field(default_factory=Counter)
    _failures: list[BaseException] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def light(self, seconds: float) -> None:
        """Every shot of every lane once, in an order of its own, then any, until the time is over."""
        ends_s = time.monotonic() + seconds
        self._threads = [
            threading.Thread(target=self._burn, args=(lane, random.Random(f"{self.seed} {number}"), ends_s))
            for number, lane in enumerate(self.lanes)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def burns(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def wait(self) -> None:
        """Until it is out. Raises what went wrong in the lanes themselves."""
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def supervise(self) -> None:
        for lane in self.lanes:
            self._revive(lane)

    def _revive(self, lane: Lane) -> None:
        if lane.process is not None:
            self.shots += supervise([lane.process])

    def _burn(self, lane: Lane, chance: random.Random, ends_s: float) -> None:
        queue = chance.sample(list(lane.shots), len(lane.shots))
        try:
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(left_s, chance.uniform(*lane.pause_s) / self.rate))
                self._revive(lane)
                if time.monotonic() >= ends_s:
                    return
                shot = queue.pop() if queue else chance.choice(lane.shots)
                missed = " (nobody was there)" if shot(chance) is False else ""
                self.shots[f"{lane.target}: {shot.__name__.replace('_', ' ')}{missed}"] += 1
        except Exception as exc:  # noqa: BLE001  raised again by wait()
            self._failures.append(exc)


def supervise(processes: Iterable[OwnProcess]) -> Counter[str]:
    """Start processes again that have ended by themselves, as systemd, Kubernetes or `understudy dev` do."""
    ended: Counter[str] = Counter()
    for process in processes:
        if process.exit_code is not None:
            ended[f"{process.name}: exit {process.exit_code} by itself"] += 1
            process.start()
    return ended


def at_process(process: OwnProcess, frozen_s: float, pause_s: tuple[float, float], clock: Path | None = None) -> Lane:
    """TERM, KILL, STOP and CONT, and a clock that goes wrong, of a worker, a beat or an API.

    Args:
        frozen_s: how long it is stopped: longer than a lease.
        clock: the file by which `tests.faults.skewed` sets it.
    """

    def kill(_: random.Random) -> None:
        process.kill()
        process.start()

    def terminate(_: random.Random) -> None:
        process.restart()

    def stop_and_continue(_: random.Random) -> None:
        process.pause()
        time.sleep(frozen_s)
        process.resume()

    def kill_pool_process(chance: random.Random) -> bool:
        assert isinstance(process, CeleryProcess)
        children: list[psutil.Process] = []
        _awaited(lambda: children.extend(process.pool_children()) or children)
        with suppress(psutil.NoSuchProcess, IndexError):
            chance.choice(children).kill()
            return True
        return False

    def clock_wrong(chance: random.Random) -> None:
        assert clock is not None
        clock.write_text(str(chance.uniform(-15, 15)), encoding="ascii")
        time.sleep(chance.uniform(0.5, 2))
        clock.write_text("0", encoding="ascii")

    shots: list[Shot] = [kill, terminate, stop_and_continue]
    if process.name == "worker":
        shots = [kill_pool_process, kill, kill_pool_process, terminate, stop_and_continue, kill_pool_process]
    if clock is not None:
        shots.append(clock_wrong)
    return Lane(process.name, shots, pause_s, process)


def at_redis(redis: RedisServer) -> Lane:
    def kill(chance: random.Random) -> None:
        redis.kill()
        time.sleep(chance.uniform(0, 1))
        redis.start()

    def flushall(_: random.Random) -> None:
        redis.flush()

    def stop_and_continue(chance: random.Random) -> None:
        redis.pause()
        time.sleep(chance.uniform(0.2, 1.5))
        redis.resume()

    def drop_clients(_: random.Random) -> None:
        redis.drop_clients()

    return Lane("redis", [kill, flushall, stop_and_continue, drop_clients], (0.3, 1.5))


def at_postgres(postgres: Postgres) -> Lane:
    def restart_fast(_: random.Random) -> None:
        postgres.restart()

    def stop_immediately(_: random.Random) -> None:
        postgres.stop_immediately()
        postgres.start()

    return Lane("postgres", [restart_fast, stop_immediately], (2, 4))


def at_line(name: str, line: Line, pause_s: tuple[float, float] = (1.5, 4)) -> Lane:
    """Cuts and delays between our processes and a server."""

    def cut(_: random.Random) -> None:
        line.cut()

    def refuse(chance: random.Random) -> None:
        with line.away():
            time.sleep(chance.uniform(0.2, 1.5))

    def hang(chance: random.Random) -> None:
        with line.hung():
            time.sleep(chance.uniform(0.3, 2))

    def slow(chance: random.Random) -> None:
        with line.slow(chance.uniform(0.005, 0.05)):
            time.sleep(chance.uniform(0.5, 2))

    return Lane(f"line to {name}", [cut, refuse, hang, slow], pause_s)


def at_store(line: StoreLine) -> Lane:
    """Answers that are wrong, late or cut off; what they are counts `line.happened`."""

    def troubled(*troubles: Trouble) -> Shot:
        def answers_wrong(chance: random.Random) -> bool:
            hit = chance.sample(range(1, VOLLEY + 1), chance.randint(1, VOLLEY // 2))
            before = line.happened.total()
            line.aim({number: chance.choice(troubles) for number in hit})
            _awaited(lambda: not line.is_aimed)
            line.aim({})
            return line.happened.total() > before

        return answers_wrong

    shots = [troubled(each) for each in Trouble]
    return Lane("store", [*shots, troubled(*Trouble), troubled(*Trouble)], (0.3, 2))


def _awaited(holds: Callable[[], object], every_s: float = 0.05) -> None:
    """Wait for it, but not for ever: the fire goes out."""
    ends_s = time.monotonic() + PATIENT_S
    while not holds() and time.monotonic() < ends_s:
        time.sleep(every_s)


def at_trainers(installation: Installation) -> Lane:
    """Runners, and the stage commands below them."""

    def runner(do: Callable[[psutil.Process, random.Random], None]) -> Shot:
        def shot(chance: random.Random) -> bool:
            found: list[psutil.Process] = []
            _awaited(lambda: found.extend(runners(installation)) or found, every_s=0.3)
            with suppress(psutil.Error, IndexError):  # nobody is there, or not any more
                do(chance.choice(found), chance)
                return True
            return False

        shot.__name__ = do.__name__
        return shot

    def kill_runner(process: psutil.Process, _: random.Random) -> None:
        process.kill()

    def terminate_runner(process: psutil.Process, _: random.Random) -> None:
        process.terminate()

    def kill_training(process: psutil.Process, chance: random.Random) -> None:
        chance.choice(process.children()).kill()

    def stop_and_continue_runner(process: psutil.Process, chance: random.Random) -> None:
        process.suspend()
        time.sleep(chance.uniform(0.5, 4))
        process.resume()

    return Lane(
        "trainer",
        [runner(do) for do in (kill_runner, terminate_runner, kill_training, stop_and_continue_runner)],
        (1, 3),
    )
