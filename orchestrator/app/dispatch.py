"""Who gets the free slots of a pool: priority first, then fair share between projects, then age.

No capacity means waiting, never failing. Slots are counted from runs that really live, under a lock on the pool, in the
same transaction that starts new ones; the run is in the ledger before its backend is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime

from orchestrator.app.context import Context, Pool, new_id, new_token
from orchestrator.app.moves import Ask, Hold, free, plan
from orchestrator.app.runs import Runs
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Job, Move, Run, RunOutcome
from orchestrator.domain.stages import STAGE_OF_WAITING


class Dispatcher:
    """Starts runs while there are slots."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs

    def dispatch(self, hold: Hold = free) -> tuple[list[Move], bool]:
        """Fill free slots of every pool that somebody waits for, a batch each.

        Args:
            hold: may keep the lease of a job whose run ended at once, to carry it on.

        Returns:
            The moves, also of runs that ended at once, and whether there is more to dispatch at once.
        """
        moves: list[Move] = []
        again = False
        with self._context.store.read() as tx:
            pools = tx.jobs.waiting_pools()
        for name in pools:
            pool = self._context.pools.get(name)
            if pool is None:
                continue
            started, runs, is_full = self._start(name, pool)
            if runs:
                ended = self._runs.submit(runs, {move.after.id: move.after for move in started}, hold)
                moves += [*started, *ended]
                # real trainings take their time; only instant ones free slots again at once
                again |= bool(ended) and is_full
        return moves, again

    def _start(self, name: str, pool: Pool) -> tuple[list[Move], list[Run], bool]:
        """One batch: its moves, its runs, and whether it took all that was free."""
        context = self._context
        now = context.clock()
        with context.store.begin() as tx:
            tx.leases.lock(f"pool:{name}")
            live = tx.runs.live(name)
            slots = min(pool.slots - sum(live.values()), context.batch)
            if slots <= 0:
                return [], [], False
            waiting = tx.jobs.waiting(name, now, slots)
            projects = sorted({job.project_id for job in waiting})
            shares = tx.keys.shares(projects) if len(projects) > 1 else {}
            planned = [self._planned(job, name, now) for job in pick(waiting, live, shares, slots)]
            won = tx.jobs.move_many([move for move, _ in planned])
            runs = [run for move, run in planned if move.before.id in won]
            tx.runs.add_many(runs, now + context.timing.start_grace)
        return [move for move, _ in planned if move.before.id in won], runs, len(planned) == slots

    def _planned(self, job: Job, pool: str, now: datetime) -> tuple[Move, Run]:
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
        return plan(self._context.profile_of(job), job, ask, now), run


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
