"""Trainings under way: submit once, look, end, and move the job by what was found.

The ledger row comes first, so a crash anywhere leaves a run that is looked for (`find`) before it is submitted again.
Only the run that a job stands on may move it: a zombie that finishes late publishes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.moves import Ask, plan, wake
from orchestrator.app.specs import Specs
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Job, Move, Run, RunOutcome
from orchestrator.domain.retry import INFRASTRUCTURE_CLASSES, FailureClass
from orchestrator.ports.store import Tx
from orchestrator.ports.trainer import RunState, RunStatus

# Not the training's fault: back to waiting for another worker, without passing through a failed state.
_SILENT: Final = INFRASTRUCTURE_CLASSES | {FailureClass.TIMEOUT}
_GRACE_S: Final = 20.0
_FINAL: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class Runs:
    """Submitting, observing and ending runs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._specs = Specs(context)

    def submit(self, runs: Sequence[Run]) -> list[Move]:
        """Hand starting runs to their backends; gives the moves of those that ended at once."""
        found: list[tuple[Run, RunStatus | None]] = []
        specs = self._specs.of(runs)
        for run in runs:
            if run.id not in specs:
                found.append((run, RunStatus("", RunState.CANCELLED, message="the job was deleted")))
                continue
            backend = self._context.pools[run.pool].backend
            try:
                handle = backend.find(run.key) or backend.submit(specs[run.id], run.key)
                found.append((replace(run, handle=handle), backend.observe([handle])[0]))
            except Unavailable as exc:
                found.append((replace(run, message=exc.message), None))
        return self._settle(found)

    def observe(self, limit: int = 200) -> tuple[int, list[Move]]:
        """Look at the runs that are due; gives how many, and the moves."""
        now = self._context.clock()
        with self._context.store.begin() as tx:
            runs = tx.runs.claim(now, now + self._context.timing.lease, limit)
        unsubmitted = [run for run in runs if run.handle is None and run.cancel_at is None]
        moves = self.submit(unsubmitted) if unsubmitted else []
        found: list[tuple[Run, RunStatus | None]] = []
        for pool in sorted({run.pool for run in runs}):
            mine = [run for run in runs if run.pool == pool and run not in unsubmitted]
            if mine:
                found += self._look(pool, mine)
        moves += self._settle(found)
        wake(self._context, moves, now)
        return len(runs), moves

    def _look(self, pool: str, runs: Sequence[Run]) -> list[tuple[Run, RunStatus | None]]:
        try:
            backend = self._context.pools[pool].backend
            handles = [run.handle or backend.find(run.key) or "" for run in runs]
            for run, handle in zip(runs, handles, strict=True):
                if run.cancel_at is not None and handle:
                    backend.cancel(handle, _GRACE_S)
            return list(zip(runs, backend.observe(handles), strict=True))
        except (Unavailable, KeyError):
            return [(run, None) for run in runs]  # nobody can say: look again later, and believe nothing meanwhile

    def _settle(self, found: Sequence[tuple[Run, RunStatus | None]]) -> list[Move]:
        """Write what was found, and move the jobs of runs that have ended, in one transaction."""
        if not found:
            return []
        context = self._context
        now = context.clock()
        seen = [self._judged(run, status, now) for run, status in found]
        with context.store.begin() as tx:
            won = tx.runs.save_many([(run, self._next_look(run, now)) for run, _ in seen])
            ended = [(run, status) for run, status in seen if run.id in won and run.ended_at is not None]
            moves = self._moves(tx, ended, now)
            kept = tx.jobs.move_many(moves)
        return [move for move in moves if move.before.id in kept]

    def _judged(self, run: Run, status: RunStatus | None, now: datetime) -> tuple[Run, RunStatus | None]:
        """The run as its ledger row should say now."""
        if status is None:
            return run, None
        if status.state in _FINAL:
            return self._ended(run, status, now), status
        if status.state is RunState.GONE:
            last = status.heartbeat_at or run.heartbeat_at or run.started_at or run.created_at
            if run.cancel_at is None and now - last < self._context.timing.heartbeat_limit:
                return run, status  # the first of two signals; the other is time
            lost = replace(status, state=RunState.FAILED, failure=FailureClass.LOST, message=status.message or "lost")
            return self._ended(run, lost, now), lost
        running = replace(
            run, outcome=RunOutcome.RUNNING, handle=status.handle, started_at=run.started_at or now,
            heartbeat_at=status.heartbeat_at or run.heartbeat_at, message=status.message or run.message,
            progress=run.progress if status.progress is None else status.progress,
            metrics=status.metrics or run.metrics,
        )  # fmt: skip
        return running, status

    def _ended(self, run: Run, status: RunStatus, now: datetime) -> Run:
        cancelled = run.cancel_at is not None and status.state is not RunState.SUCCEEDED
        outcome = {RunState.SUCCEEDED: RunOutcome.SUCCEEDED, RunState.FAILED: RunOutcome.FAILED}.get(
            status.state, RunOutcome.CANCELLED
        )
        failure = status.failure or (None if status.state is RunState.SUCCEEDED else FailureClass.CODE)
        return replace(
            run, outcome=RunOutcome.CANCELLED if cancelled else outcome, handle=status.handle or run.handle,
            failure=FailureClass.CANCELLED if cancelled else failure, message=status.message or run.message,
            exit_code=status.exit_code, heartbeat_at=status.heartbeat_at or run.heartbeat_at,
            started_at=run.started_at or now, ended_at=now, metrics=status.metrics or run.metrics,
            progress=1.0 if status.state is RunState.SUCCEEDED else run.progress,
            artefacts=[
                {"name": a.name, "key": a.key, "size_bytes": a.size_bytes, "sha256": a.sha256, "content_type": a.content_type}
                for a in status.artefacts
            ],
        )  # fmt: skip

    def _next_look(self, run: Run, now: datetime) -> datetime | None:
        if run.ended_at is not None:
            return None
        timing = self._context.timing
        age = now - (run.started_at or run.created_at)
        return now + max(timing.poll_first, min(age / 10, timing.poll_longest))

    def _moves(self, tx: Tx, ended: Iterable[tuple[Run, RunStatus | None]], now: datetime) -> list[Move]:
        ended = list(ended)
        jobs = tx.jobs.get_many([run.job_id for run, _ in ended])
        moves = []
        for run, status in ended:
            job = jobs.get(run.job_id)  # none: deleted, and needs nothing from its runs
            if job is None or status is None or job.run_id != run.id:
                continue
            failure = self._input_trouble(tx, run, status) or run.failure
            if run.outcome is RunOutcome.SUCCEEDED and failure is None:
                ask = Ask(
                    Command.SUCCEED, Actor.SYSTEM, given=Given(run_id=run.id), details=_details(run), message=""
                )
            else:
                ask = self._failed(job, run, failure or FailureClass.CODE, now)
            try:
                moves.append(plan(self._context.profile_of(job), job, ask, now))
            except Refused:
                continue  # the job has been moved on without this run
        return moves

    def _input_trouble(self, tx: Tx, run: Run, status: RunStatus) -> FailureClass | None:
        """Pin what was read; another content than the pinned one can only mean that somebody changed the store."""
        files = self._specs.files_by_input(run, tx) if status.input_hashes else {}
        for name, sha256 in status.input_hashes.items():
            if name in files and not tx.files.record_hash(files[name], sha256):
                return FailureClass.DATA
        return None

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
        due = (Effect.RETRY, now + delay) if delay is not None else None
        return Ask(
            Command.FAIL, Actor.SYSTEM, given=given, due=due, description=text, error_code=failure.value,
            details=details, message=text,
        )  # fmt: skip

    def retry_delay(self, job: Job, failure: FailureClass) -> timedelta | None:
        """How long the stage waits for its next try, None when it has none left."""
        policy = self._context.profile_of(job).retry
        if failure in INFRASTRUCTURE_CLASSES:
            return policy.delay(failure, job.infra_retries)
        if job.retry_limit is not None and failure is not FailureClass.CANCELLED:
            policy = replace(policy, limits={**policy.limits, failure: job.retry_limit})
        return policy.delay(failure, job.retries)


def _details(run: Run) -> dict[str, object]:
    return {"run_id": run.id, "attempt": run.attempt, "metrics": dict(run.metrics)}
