"""Trainings under way: submit once, look, end, and move the job by what was found.

The ledger row comes first, so a crash anywhere leaves a run that is looked for (`find`) before it is submitted again.
Only the run that a job stands on may move it: a zombie that finishes late publishes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from orchestrator.app.context import Context
from orchestrator.app.moves import Ask, plan, retry_delay, waited_for, wake
from orchestrator.app.outcome import Ahead, Written, nothing_ahead
from orchestrator.app.specs import Specs
from orchestrator.domain import machine
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import DatabaseUnavailable, Refused, Unavailable
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Job, Move, Run, RunOutcome
from orchestrator.domain.retry import INFRASTRUCTURE_CLASSES, FailureClass
from orchestrator.domain.stages import STAGE_OF_FAILED
from orchestrator.domain.views import Dossier
from orchestrator.ports.store import Tx
from orchestrator.ports.trainer import RunSpec, RunState, RunStatus

Seen = tuple[Run, RunStatus | None]  # a run, and what its backend says of it; None: nobody can say

# Not the training's fault: back to waiting for another worker, without passing through a failed state.
_SILENT: Final = INFRASTRUCTURE_CLASSES | {FailureClass.TIMEOUT}
_GRACE_S: Final = 20.0
NOTHING_READ: Final[Mapping[str, Dossier]] = {}
_FINAL: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class Starter(Protocol):
    """Who hands out slots (app/dispatch.py), within the transaction of somebody else."""

    def lock(self, tx: Tx, pools: Iterable[str]) -> None: ...
    def write(self, tx: Tx, moves: Sequence[Move], pools: Iterable[str], now: datetime) -> Written: ...


class Runs:
    """Submitting, observing and ending runs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._specs = Specs(context)
        self.report: Callable[[str, dict[str, object]], None] = lambda _event, _fields: None

    def submit(
        self,
        runs: Sequence[Run],
        jobs: Mapping[str, Job] | None = None,
        dossiers: Mapping[str, Dossier] = NOTHING_READ,
        ahead: Ahead = nothing_ahead,
        starter: Starter | None = None,
    ) -> Written:
        """Hand starting runs to their backends; gives the moves of those that ended at once, and what that started.

        Args:
            jobs: as they were written together with the runs, if the caller knows.
            dossiers: of jobs that the caller has read since they were moved by somebody else.
            ahead: of who carries on the jobs whose runs have ended.
            starter: starts what follows in the transaction that frees a slot; None: somebody else will.
        """
        unread = sorted({run.job_id for run in runs} - dossiers.keys())
        with self._context.store.read() as tx:
            there = tx.jobs.get_many(sorted({run.job_id for run in runs})) if jobs is None else jobs
            dossiers = {**dossiers, **tx.reads.dossiers(unread)} if unread else dossiers
        specs = self._specs.of(runs, there, dossiers)
        found = [self._submitted(run, specs.get(run.id)) for run in runs]
        return self._settle(found, jobs, dossiers, ahead, starter)

    def _submitted(self, run: Run, spec: RunSpec | str | None) -> Seen:
        if spec is None:
            return run, RunStatus("", RunState.CANCELLED, message="the job was deleted")
        if isinstance(spec, str):  # the settings do not fit this run: tried again by policy, when somebody mended them
            return run, RunStatus("", RunState.FAILED, message=spec, failure=FailureClass.INFRASTRUCTURE)
        pool = self._context.pools.get(run.pool)
        if pool is None:
            return replace(run, message=f"there is no pool {run.pool} now"), None
        try:
            handle = pool.backend.find(run.key) or pool.backend.submit(spec, run.key)
            status = pool.backend.observe([handle])[0]
            return (run if status.handle == handle else replace(run, handle=handle)), status
        except Unavailable as exc:
            return replace(run, message=exc.message), None
        except Exception as exc:  # noqa: BLE001  one run that its backend cannot take must not hold up the others
            text = f"the backend of pool {run.pool} refused the run: {exc}"
            return run, RunStatus("", RunState.FAILED, message=text, failure=FailureClass.INFRASTRUCTURE)

    def observe(self, limit: int = 200) -> tuple[int, list[Move]]:
        """Look at the runs that are due; gives how many, and the moves."""
        now = self._context.clock()
        with self._context.store.lease() as tx:
            runs = tx.runs.claim(now, now + self._context.timing.lease, limit)
        unsubmitted = [run for run in runs if run.handle is None and run.cancel_at is None]
        moves = list(self.submit(unsubmitted).moves) if unsubmitted else []
        found: list[Seen] = []
        for pool in sorted({run.pool for run in runs}):
            mine = [run for run in runs if run.pool == pool and run not in unsubmitted]
            if mine:
                found += self._look(pool, mine)
        moves += self._settle(found).moves
        wake(self._context, moves, self._context.clock())  # what the moves made due is later than `now`
        return len(runs), moves

    def _look(self, pool: str, runs: Sequence[Run]) -> list[Seen]:
        try:
            backend = self._context.pools[pool].backend
            handles = [run.handle or backend.find(run.key) or "" for run in runs]
            for run, handle in zip(runs, handles, strict=True):
                if run.cancel_at is not None and handle:
                    backend.cancel(handle, _GRACE_S)
            return list(zip(runs, backend.observe(handles), strict=True))
        except (Unavailable, KeyError):
            return [(run, None) for run in runs]  # nobody can say: look again later, and believe nothing meanwhile

    def _settle(
        self,
        found: Sequence[Seen],
        jobs: Mapping[str, Job] | None = None,
        dossiers: Mapping[str, Dossier] = NOTHING_READ,
        ahead: Ahead = nothing_ahead,
        starter: Starter | None = None,
    ) -> Written:
        """Write what was found, and move the jobs of runs that have ended; what cannot be written, one by one."""
        if not found:
            return Written()
        try:
            return self._write(found, jobs, dossiers, ahead, starter)
        except DatabaseUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001  what cannot be written must not hold up the others
            if len(found) > 1:
                alone = [self._settle([each], None, dossiers, ahead) for each in found]
                return Written(tuple(move for written in alone for move in written.moves))
            run = found[0][0]  # stays as it is in the ledger, and is looked at again
            self.report("run_not_settled", {"run_id": run.id, "job_id": run.job_id, "error": repr(exc)})
            return Written()

    def _write(
        self,
        found: Sequence[Seen],
        jobs: Mapping[str, Job] | None,
        dossiers: Mapping[str, Dossier],
        ahead: Ahead,
        starter: Starter | None,
    ) -> Written:
        now = self._context.clock()
        judged = [self._judged(run, status, now) for run, status in found]
        # planned before the transaction where the jobs are known: others wait for what it locks
        planned = self._moves([run for run, _ in judged if run.ended_at is not None], jobs or {}, now)
        # only the pools whose slots become free here; a next stage in another pool is woken for
        pools = waited_for(planned.values(), now) & {run.pool for run, _ in judged} if starter else set()
        with self._context.store.begin() as tx:
            if starter:
                starter.lock(tx, pools)
            seen = [self._checked(tx, run, status) for run, status in judged]
            won = tx.runs.save_many([(run, self._next_look(run, now)) for run in seen])
            # what a look at the pinned hashes has changed is planned anew
            changed = {after.id for after, (before, _) in zip(seen, judged, strict=True) if after is not before}
            moves = [move for run_id, move in planned.items() if run_id in won and run_id not in changed]
            dossiers = _with_made(dossiers, [run for run in seen if run.id in won])
            moves, record = ahead(tx, moves, now, dossiers)
            written = starter.write(tx, moves, pools, now) if starter else Written(self._won(tx, moves))
            kept = {move.before.id for move in written.moves}
            record(tx, kept)
            late = [run for run in seen if run.id in won and run.ended_at is not None and run.job_id not in kept]
            known: dict[str, Dossier] = {job_id: dossiers[job_id] for job_id in kept if job_id in dossiers}
            written = replace(written, moves=(*written.moves, *self._late(tx, late, now)), dossiers=known)
        for run in seen:
            if run.id not in won:
                self._disown(run)
        return written

    def _late(self, tx: Tx, ended: Sequence[Run], now: datetime) -> list[Move]:
        """Move jobs that are not known, or that somebody moved since they were read: read, ask until all is said."""
        written: list[Move] = []
        while ended:
            moves = self._moves(ended, tx.jobs.get_many([run.job_id for run in ended]), now)
            won = self._won(tx, list(moves.values()))
            written += won
            lost = moves.keys() - {str(move.before.run_id) for move in won}
            ended = [run for run in ended if run.id in lost]
        return written

    @staticmethod
    def _won(tx: Tx, moves: Sequence[Move]) -> tuple[Move, ...]:
        won = tx.jobs.move_many(moves)
        return tuple(move for move in moves if move.before.id in won)

    def _disown(self, run: Run) -> None:
        """Somebody else wrote the run meanwhile. If it has ended for the ledger, nothing may go on at the backend."""
        with self._context.store.read() as tx:
            ledger = tx.runs.get(run.id)
        if ledger.ended_at is None or run.handle is None or ledger.handle == run.handle:
            return
        try:
            self._context.pools[run.pool].backend.cancel(run.handle, _GRACE_S)
        except Unavailable as exc:
            self.report("run_not_cancelled", {"run_id": run.id, "handle": run.handle, "error": exc.message})

    def _judged(self, run: Run, status: RunStatus | None, now: datetime) -> Seen:
        """The run as its ledger row should say now."""
        if status is None:
            return run, None
        if status.state in _FINAL:
            return self._ended(run, status, now), status
        if status.state is RunState.GONE:
            if not self._believed_gone(run, status, now):
                return replace(run, handle=status.handle or run.handle), status
            lost = replace(status, state=RunState.FAILED, failure=FailureClass.LOST, message=status.message or "lost")
            return self._ended(run, lost, now), lost
        running = replace(
            run, outcome=RunOutcome.RUNNING, handle=status.handle, started_at=run.started_at or now,
            heartbeat_at=status.heartbeat_at or run.heartbeat_at, message=status.message or run.message,
            progress=run.progress if status.progress is None else status.progress,
            metrics=status.metrics or run.metrics,
        )  # fmt: skip
        return running, status

    def _believed_gone(self, run: Run, status: RunStatus, now: datetime) -> bool:
        """The backend's word is the first of two signals; the other is time."""
        timing = self._context.timing
        if run.cancel_at is not None:
            # whoever wrote the run may be about to submit it: only later can "unknown" mean "will never be there"
            return run.handle is not None or now - run.created_at >= timing.start_grace
        last = status.heartbeat_at or run.heartbeat_at or run.started_at or run.created_at
        return now - last >= timing.heartbeat_limit

    def _ended(self, run: Run, status: RunStatus, now: datetime) -> Run:
        # who was asked to stop has lost its job: what it still brings is no success, or later stages would build on it
        cancelled = run.cancel_at is not None or status.state is RunState.CANCELLED
        succeeded = status.state is RunState.SUCCEEDED and not cancelled
        outcome = RunOutcome.SUCCEEDED if succeeded else RunOutcome.CANCELLED if cancelled else RunOutcome.FAILED
        failure = None if succeeded else FailureClass.CANCELLED if cancelled else status.failure or FailureClass.CODE
        return replace(
            run, outcome=outcome, handle=status.handle or run.handle, failure=failure,
            message=status.message or run.message, exit_code=status.exit_code,
            heartbeat_at=status.heartbeat_at or run.heartbeat_at, started_at=run.started_at or now, ended_at=now,
            metrics=status.metrics or run.metrics, progress=1.0 if succeeded else run.progress,
            artefacts=[
                {"name": a.name, "key": a.key, "size_bytes": a.size_bytes, "sha256": a.sha256,
                 "content_type": a.content_type}
                for a in status.artefacts
            ],
        )  # fmt: skip

    def _checked(self, tx: Tx, run: Run, status: RunStatus | None) -> Run:
        """Pin what was read; another content than the pinned one can only mean that somebody changed the store."""
        if run.outcome is not RunOutcome.SUCCEEDED or status is None or not status.input_hashes:
            return run
        files = self._specs.files_by_input(run, tx)
        for name, sha256 in status.input_hashes.items():
            if name in files and not tx.files.record_hash(files[name], sha256):
                text = f"{name} is not the file that was read before; upload it again"
                return replace(run, outcome=RunOutcome.FAILED, failure=FailureClass.DATA, message=text)
        return run

    def _next_look(self, run: Run, now: datetime) -> datetime | None:
        if run.ended_at is not None:
            return None
        timing = self._context.timing
        age = now - (run.started_at or run.created_at)
        return now + max(timing.poll_first, min(age / 10, timing.poll_longest))

    def _moves(self, ended: Sequence[Run], jobs: Mapping[str, Job], now: datetime) -> dict[str, Move]:
        """Run id -> what its end asks of its job."""
        moves: dict[str, Move] = {}
        for run in ended:
            job = jobs.get(run.job_id)  # none: deleted, and needs nothing from its runs
            if job is None or job.run_id != run.id:
                continue
            if run.outcome is RunOutcome.SUCCEEDED:
                ask = Ask(Command.SUCCEED, Actor.SYSTEM, given=Given(run_id=run.id), details=_details(run), message="")
            else:
                ask = self._failed(job, run, run.failure or FailureClass.CODE, now)
            with suppress(Refused):  # the job has been moved on without this run
                moves[run.id] = plan(self._context.profile_of(job), job, ask, now)
        return moves

    def _failed(self, job: Job, run: Run, failure: FailureClass, now: datetime) -> Ask:
        """Whether and when the stage is tried again, by the profile's policy."""
        given = Given(run_id=run.id, failure=failure)
        text = f"{failure.replace('_', ' ')}: {run.message}" if run.message else failure.replace("_", " ")
        delay = self.retry_delay(job, failure)
        details = _details(run) | {"failure": failure.value, "retry_in_s": delay.total_seconds() if delay else None}
        if delay is not None and failure in _SILENT:
            return Ask(
                Command.TIME_OUT, Actor.SYSTEM, given=given, due=(Effect.DISPATCH, now + delay), description=text,
                details=details, message=text,
            )  # fmt: skip
        ask = Ask(
            Command.FAIL, Actor.SYSTEM, given=given, description=text, error_code=failure.value,
            details=details, message=text,
        )  # fmt: skip
        # some ends have no way back by themselves, whatever an admin allowed
        leads_to = machine.decide(job, ask.command, ask.actor, given).leads_to
        if delay is not None and leads_to in STAGE_OF_FAILED:
            return ask._replace(due=(Effect.RETRY, now + delay))
        return ask

    def retry_delay(self, job: Job, failure: FailureClass) -> timedelta | None:
        """How long the stage waits for its next try, None when it has none left."""
        return retry_delay(self._context.profile_of(job), job, failure)


def _with_made(dossiers: Mapping[str, Dossier], written: Iterable[Run]) -> dict[str, Dossier]:
    """`dossiers`, with what those of the runs have made that ended well."""
    told = dict(dossiers)
    for run in written:
        if run.outcome is RunOutcome.SUCCEEDED and run.job_id in told:
            dossier = told[run.job_id]
            told[run.job_id] = dossier._replace(made={**dossier.made, run.stage: run})
    return told


def _details(run: Run) -> dict[str, object]:
    return {"run_id": run.id, "attempt": run.attempt, "metrics": dict(run.metrics)}
