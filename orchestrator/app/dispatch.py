"""Who gets the free slots of a pool: priority first, then fair share between projects, then age.

No capacity means waiting, never failing. Slots are counted from runs that really live, under a lock on the pool, in the
same transaction that starts new ones; the run is in the ledger before its backend is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.app.moves import Ask, joined, plan, waits_now
from orchestrator.app.outcome import Ahead, Written, nothing_ahead
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

    def dispatch(
        self, ahead: Ahead = nothing_ahead, go_on: Callable[[], bool] = lambda: False
    ) -> tuple[list[Move], bool]:
        """Fill the free slots of every pool that somebody waits for.

        Args:
            ahead: of who carries on the jobs whose runs ended at once.
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
            written = self.write(tx, [], pools, self._context.clock())
        return self.carry(written, ahead, go_on)

    def carry(self, written: Written, ahead: Ahead, go_on: Callable[[], bool]) -> tuple[list[Move], bool]:
        """Submit what was started, and what can be started because of it; gives what `dispatch` gives."""
        moves = list(written.moves)
        again = False
        while runs := written.runs:
            known: dict[str, Job] = {move.after.id: move.after for move in written.moves}
            took_all = written.took_all
            written = self._runs.submit(runs, known, written.dossiers, ahead, self if go_on() else None)
            moves += written.moves
            # real trainings take their time; only instant ones free slots again at once
            again = bool(written.moves) and took_all
        return moves, again

    def lock(self, tx: Tx, pools: Iterable[str]) -> None:
        """Be the only one to hand out slots of `pools` until the transaction ends.

        Taken before anything else is written: whoever has it must never wait for somebody who waits for it.
        """
        for name in sorted(set(pools)):
            tx.leases.lock(f"pool:{name}")

    def write(self, tx: Tx, moves: Sequence[Move], pools: Iterable[str], now: datetime) -> Written:
        """Write `moves`, and start one batch in each of `pools`, which the transaction has locked.

        A job that one of `moves` leaves waiting takes part in the choice. If it gets a slot, both moves are one write.
        """
        writing = {move.before.id: move for move in moves}
        took_all = False
        for name in sorted(set(pools)):
            pool = self._context.pools.get(name)
            if pool is None:
                continue
            held, queued = tx.jobs.queue(name, now, pool.slots, self._context.batch)
            slots = min(pool.slots - sum(held.values()), self._context.batch)
            if slots <= 0:
                continue
            waiting = [*queued, *self._newly_waiting(tx, moves, name, now)]
            projects = sorted({job.project_id for job in waiting})
            shares = tx.keys.shares(projects) if len(projects) > 1 else {}
            chosen = 0
            for job in pick(waiting, held, shares, slots):
                start = self._planned(job, name, now)
                if start is not None:
                    writing[job.id] = joined(writing[job.id], start) if job.id in writing else start
                    chosen += 1
            took_all |= chosen == slots
        won = tx.jobs.move_many(list(writing.values()))
        return Written(tuple(move for job_id, move in writing.items() if job_id in won), took_all)

    @staticmethod
    def _newly_waiting(tx: Tx, moves: Sequence[Move], pool: str, now: datetime) -> list[Job]:
        """Jobs that `moves` leave waiting for `pool`, but none whose former run is still on its way out."""
        new = [move.after for move in moves if move.after.pool == pool and waits_now(move.after, now)]
        # a job that stands on a run comes here by its end
        tried = [move.before.id for move in moves if move.before.attempt and move.before.run_id is None]
        busy = tx.runs.busy(tried) if tried else set()
        return [job for job in new if job.id not in busy]

    def _planned(self, job: Job, pool: str, now: datetime) -> Move | None:
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
            move = plan(self._context.profile_of(job), job, ask, now)
        except (Invalid, Refused):
            return None  # its profile is gone: it waits until somebody puts it back, and holds up nobody
        return move._replace(starts=(run, now + self._context.timing.start_grace))


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
