"""Walking schedules, and what came of them."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from typing import NamedTuple

from tests.simulation.people import everybody
from tests.simulation.world import World, run


class Walked(NamedTuple):
    """What came of some schedules: how many, steps in all, states that jobs ended in, seeds with what they broke."""

    schedules: int
    steps: int
    states: Counter[str]
    broken: list[tuple[int, str]]


def walk(seeds: range) -> Walked:
    """Run a schedule for each seed."""
    steps, states, broken = 0, Counter[str](), []
    gc.collect()
    gc.disable()  # a world leaves next to nothing behind that is not freed with it
    for seed in seeds:
        try:
            world = run(seed, everybody)
        except Exception as exc:  # noqa: BLE001  whatever it is, it is what is looked for
            broken.append((seed, f"{type(exc).__name__}: {exc}"))
        else:
            steps += world.scheduler.steps
            states.update(row.job.state.value for row in world.watch.jobs())
    gc.enable()
    return Walked(len(seeds), steps, states, broken)


def digest(world: World) -> str:
    """The whole history of a world, in a word: equal for equal schedules."""
    data = world.store.data
    log = [line for job_id in sorted(data.table("log")) for line in data.table("log")[job_id]]
    told = repr([(e.job_id, e.version, e.at, e.command, e.operator) for e in log]) + repr(sorted(data.table("runs")))
    return hashlib.sha256(f"{world.scheduler.steps} {world.scheduler.now_s} {told}".encode()).hexdigest()
