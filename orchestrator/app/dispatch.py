"""Who gets the free slots of a pool: priority first, then fair share between projects, then age.

No capacity means waiting, never failing. Slots are counted from runs that really live, under a lock on the pool, in the
same transaction that starts new ones; the run is in the ledger before its backend is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.app.moves import Ask, Hold, free, plan
from orchestrator.app.outcome import Started
from orchestrator.app.runs import Runs
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Job, Move, Run, RunOutcome
from orchestrator.domain.stages import STAGE_OF_WAITING
from orchestrator.ports.store import Tx


class Dispatcher:
    """Starts runs while there are slots."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs

    def dispatch(self, hold: Hold = free, go_on: Callable[[], bool] = lambda: False) -> tuple[list[Move], bool]:
        """Fill the free slots of every pool that somebody waits for.

        Args:
            hold: may keep the lease of a job whose run ended at once, to carry it on.
            go_on: whether slots that are free again at once may be filled in the same call.

        Returns:
            The moves, also of runs that ended at once, and whether there may be more to dispatch at once.
        """
        with self._context.store.read() as tx:
            pools = tx.jobs.waiting_pools()
        if not pools:
            return [], False
        with self._context.store.begin() as tx:
            self.lock(tx, pools)
            started = self.start(tx, pools, self._context.clock())
        return self.carry(started, hold, go_on)

    def carry(self, started: Started, hold: Hold, go_on: Callable[[], bool]) -> tuple[list[Move], bool]:
        """Submit what was started, and what can be started because of it; gives what `dispatch` gives."""
        moves = list(started.moves)
        again = False
        while started.runs:
            known: dict[str, Job] = {move.after.id: move.after for move in started.moves}
            took_all = started.took_all
            ended, started = self._runs.submit(started.runs, known, hold, self if go_on() else None)
            moves += [*ended, *started.moves]
            # real trainings take their time; only instant ones free slots again at once
            again = bool(ended) and took_all
        return moves, again

    def lock(self, tx: Tx, pools: Iterable[str]) -> None:
        """Be the only one to hand out slots of `pools` until the transaction ends.

        Taken before anything else is written: whoever has it must never wait for somebody who waits for it.
        """
        for name in sorted(set(pools)):
            tx.leases.lock(f"pool:{name}")

    def start(self, tx: Tx, pools: Iterable[str], now: datetime) -> Started:
        """Start one batch in each of `pools`, which the transaction has locked."""
        moves: list[Move] = []
        runs: list[Run] = []
        took_all = False
        for name in sorted(set(pools)):
            pool = self._context.pools.get(name)
            live = tx.runs.live(name) if pool is not None else {}
            slots = 0 if pool is None else min(pool.slots - sum(live.values()), self._context.batch)
            if slots <= 0:
                continue
            waiting = tx.jobs.waiting(name, now, slots)
            projects = sorted({job.project_id for job in waiting})
            shares = tx.keys.shares(projects) if len(projects) > 1 else {}
            planned = [
                p for job in pick(waiting, live, shares, slots) if (p := self._planned(job, name, now)) is not None
            ]
            won = tx.jobs.move_many([move for move, _ in planned])
            moves += [move for move, _ in planned if move.before.id in won]
            runs += [run for move, run in planned if move.before.id in won]
            took_all |= len(planned) == slots
        tx.runs.add_many(runs, now + self._context.timing.start_grace)
        return Started(tuple(moves), tuple(runs), took_all)

    def _planned(self, job: Job, pool: str, now: datetime) -> tuple[Move, Run] | None:
        stage = STAGE_OF_WAITING[job.state]
        run_id = new_id(now)
        attempt = job.attempt + 1
        ask = Ask(
            Command.START, Actor.SYSTEM, given=Given(run_id=run_id), details={"run_id": run_id, "attempt": attempt},
            message="",
        )  # fmt: skip
        run = Run(
            id=run_id, job_id=job.id, project_id=job.project_id, stage=stage.name, attempt=attempt, pool=pool,
            key=f"{job.id}-{stage.name}-{attempt}", handle=None, token=new_token(), outcome=RunOutcome.STARTING,
            version=0, progress=None, message="", failure=None, exit_code=None, heartbeat_at=None, created_at=now,
            started_at=None, ended_at=None, cancel_at=None,
        )  # fmt: skip
        try:
            return plan(self._context.profile_of(job), job, ask, now), run
        except (Invalid, Refused):
            return None  # its profile is gone: it waits until somebody puts it back, and holds up nobody


def pick(waiting: Sequence[Job], live: Mapping[str, int], shares: Mapping[str, int], free: int) -> list[Job]:
    """The `free` jobs that come first.

    Within one priority the project that holds the least in proportion to its share is served first, then the older job;
    every job given counts at once, so that a burst of one project does not crowd out the others.
    """
    queues: dict[str, list[Job]] = {}
    for job in waiting:
        queues.setdefault(job.project_id, []).append(job)
    heap: list[tuple[int, float, float, str]] = []
    held = dict(live)

    def offer(project: str) -> None:
        if queues[project]:
            job = queues[project][0]
            due = job.due_at.timestamp() if job.due_at else 0.0
            heapq.heappush(heap, (-job.priority, held.get(project, 0) / max(1, shares.get(project, 1)), due, project))

    for project, queue in queues.items():
        queue.sort(key=lambda job: (-job.priority, job.due_at.timestamp() if job.due_at else 0.0, job.id))
        offer(project)
    chosen: list[Job] = []
    while heap and len(chosen) < free:
        project = heapq.heappop(heap)[3]
        chosen.append(queues[project].pop(0))
        held[project] = held.get(project, 0) + 1
        offer(project)
    return chosen
