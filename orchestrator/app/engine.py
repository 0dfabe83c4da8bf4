"""The worker's loop: claim what is due, do it, write all outcomes in one transaction, go on until nothing is due.

A batch costs about as many statements as one job does, and a job whose next step is due at once keeps its lease and is
carried on in the same pass. Whoever dies in here loses a lease, never a job.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from orchestrator.app.context import Context, new_token
from orchestrator.app.dispatch import Dispatcher
from orchestrator.app.leases import Keeper
from orchestrator.app.moves import Ask, effects_now, joined, plan, waited_for, wake
from orchestrator.app.outcome import Outcome, Record, Step
from orchestrator.app.publish import Publishing
from orchestrator.app.verify import Verification
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import DatabaseUnavailable, Refused
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Job, JobId, Move
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.views import Dossier
from orchestrator.ports.store import Tx

Report = Callable[[str, dict[str, object]], None]  # event and fields, for the process's log

MIN_BATCH: Final = 4
FAST_S: Final = 0.02  # a step that is faster per job gets larger batches,
SLOW_S: Final = 0.2  # one that is slower gets smaller ones, so that other workers share the work
BUDGET: Final = timedelta(seconds=15)  # of one drain; below the soft shutdown, so that a stopping worker ends by itself

# What is asked of a job that broke its step, or killed its worker, again and again. No row: it is tried on, slowly.
_GIVEN_UP: Final = {
    Effect.VERIFY: Ask(Command.AUTO_REJECT, Actor.SYSTEM, error_code="check_failed"),
    Effect.STORE_MODEL: Ask(Command.FAIL, Actor.SYSTEM, given=Given(failure=FailureClass.CODE)),
}


class Engine:
    """Works off effects. One per process; several threads may drain at once."""

    def __init__(
        self, context: Context, verification: Verification, publishing: Publishing, dispatcher: Dispatcher
    ) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._steps: dict[Effect, Step] = {
            Effect.VERIFY: Step(verification.verify, verification.record),
            Effect.STORE_MODEL: Step(publishing.store_model, ahead=publishing.nothing_to_store),
            Effect.PUBLISH: Step(publishing.publish, publishing.record, ahead=publishing.publish_what_is_stored),
        }
        self._keeper = Keeper(context)
        self._sizes = dict.fromkeys(self._steps, MIN_BATCH)
        self.report: Report = lambda _event, _fields: None
        self.stopping: Callable[[], bool] = lambda: False  # true: end after the batch under way, hold nothing on

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What `drain` works off; other effects are the sweeps' business."""
        return (*self._steps, Effect.DISPATCH)

    def drain(self, effect: Effect) -> int:
        """Work until nothing of `effect`, and of what follows from it, is due; gives how many moves were written."""
        clock = self._context.clock
        ends_at = clock() + BUDGET
        pending, written = [effect], 0
        while pending:
            effect = pending.pop()
            more, moves = self._dispatched() if effect is Effect.DISPATCH else self._claimed(effect)
            written += sum(len(move.changes) for move in moves)
            moves = [move for move in moves if move.after.lease_token is None]  # the others were carried on
            now = clock()
            if now >= ends_at or self.stopping():
                wake(self._context, moves, now)
                for left in dict.fromkeys((effect, *pending)):
                    self._context.waker.wake(left.value)
                break
            # what follows comes first: a job goes on before the next batch begins
            following = [*([effect] if more else []), *(e for e in effects_now(moves, now) if e in self.effects)]
            pending += [e for e in following if e not in pending]
        return written

    def _dispatched(self) -> tuple[bool, list[Move]]:
        """One batch of every pool, jobs whose runs ended at once carried on; may there be more, and all moves."""
        token = new_token()
        moves, more = self._dispatcher.dispatch(partial(self._ahead, token), self._patience())
        return more, [*moves, *self._carried_on(token, _leased(moves))]

    def _claimed(self, effect: Effect) -> tuple[bool, list[Move]]:
        """One batch of `effect`, carried on through what follows at once; whether there may be more, and all moves."""
        context = self._context
        now, token, limit = context.clock(), new_token(), self._sizes[effect]
        with context.store.lease() as tx:
            jobs = tx.jobs.claim(effect, now=now, until=now + context.timing.lease, token=token, limit=limit)
        return len(jobs) == limit, self._carried_on(token, jobs)

    def _carried_on(self, token: str, jobs: Sequence[Job]) -> list[Move]:
        """Do what is due of leased jobs, and what follows from it at once; gives all moves."""
        written: list[Move] = []
        while jobs:
            moves = self._settle(token, self._outcomes(token, jobs))
            written += moves
            jobs = _leased(moves)
        return written

    def _held(self, token: str, move: Move, now: datetime) -> Move:
        """The move, with our lease on what it makes due if that is a step that we can take at once."""
        after = move.after
        if after.effect in self._steps and after.due_at is not None and after.due_at <= now and not self.stopping():
            after = after._replace(lease_token=token, lease_until=now + self._context.timing.lease)
            return move._replace(after=after)
        return move

    def _outcomes(self, token: str, jobs: Sequence[Job]) -> list[Outcome]:
        found: list[Outcome] = []
        for effect in dict.fromkeys(job.effect for job in jobs):
            assert effect is not None  # noqa: S101  claimed by its effect
            mine = [job for job in jobs if job.effect is effect]
            tired = [job for job in mine if job.takeovers >= self._context.timing.max_takeovers]
            found += [self._give_up(effect, job) for job in tired]
            fresh = [job for job in mine if job not in tired]
            if fresh:
                found += self._stepped(token, effect, fresh)
        return found

    def _stepped(self, token: str, effect: Effect, jobs: Sequence[Job]) -> list[Outcome]:
        began_at = self._context.clock()
        with self._keeper.kept(lambda tx, until: tx.jobs.renew(token, until)):
            try:
                outcomes = self._steps[effect].work(jobs)
            except DatabaseUnavailable:
                raise
            except Exception as exc:  # noqa: BLE001  a broken job must not take its batch along
                if len(jobs) > 1:
                    return [outcome for job in jobs for outcome in self._stepped(token, effect, [job])]
                self.report("step_crashed", {"effect": effect.value, "job_id": jobs[0].id, "error": repr(exc)})
                return [Outcome(jobs[0], snooze=self._context.timing.step_retry, crashed=True)]
        each_s = (self._context.clock() - began_at).total_seconds() / len(jobs)
        if each_s < FAST_S and len(jobs) >= self._sizes[effect]:
            self._sizes[effect] = min(self._sizes[effect] * 4, self._context.batch)
        elif each_s > SLOW_S:
            self._sizes[effect] = MIN_BATCH
        return outcomes

    def _give_up(self, effect: Effect, job: Job) -> Outcome:
        ask = _GIVEN_UP.get(effect)
        if ask is None:
            return Outcome(job, snooze=self._context.timing.takeover_delay(job.takeovers))
        text = f"{effect.value} broke off {job.takeovers} times; an operator has to look at it"
        return Outcome(job, ask._replace(description=text, message=text))

    def _settle(self, token: str, outcomes: Sequence[Outcome]) -> list[Move]:
        """Write outcomes; gives the moves that were won. A batch that cannot be written is written one by one."""
        try:
            return self._write(token, outcomes)
        except DatabaseUnavailable:
            raise
        except Exception as exc:
            if len(outcomes) > 1:
                return [move for outcome in outcomes for move in self._settle(token, [outcome])]
            job = outcomes[0].job
            self.report("settling_crashed", {"job_id": job.id, "error": repr(exc)})
            if outcomes[0].crashed:
                raise
            return self._write(token, [Outcome(job, snooze=self._context.timing.step_retry, crashed=True)])

    def _write(self, token: str, outcomes: Sequence[Outcome]) -> list[Move]:
        context, ahead = self._context, partial(self._ahead, token)
        now = context.clock()
        asked = [(outcome, self._planned(token, outcome, now)) for outcome in outcomes if outcome.ask is not None]
        planned = [move for _, move in asked if move is not None]
        pools = waited_for(planned, now)
        with context.store.begin() as tx:
            self._dispatcher.lock(tx, pools)
            moves, record = ahead(tx, planned, now, {})
            written = self._dispatcher.write(tx, moves, pools, now)
            won = {move.before.id for move in written.moves}
            record(tx, won)
            self._record(tx, [outcome for outcome, _ in asked], won)
            lost = [move.before.id for move in planned if move.before.id not in won]
            if lost:
                tx.jobs.give_back(token, lost)  # moved meanwhile by a person: whoever claims it next looks again
            refused = [outcome.job.id for outcome, move in asked if move is None]
            if refused:
                tx.jobs.give_back(token, refused, now + context.timing.step_retry, crashed=True)
            for outcome in outcomes:
                if outcome.ask is None:
                    due_at = now + (outcome.snooze or context.timing.step_retry)
                    tx.jobs.give_back(token, [outcome.job.id], due_at, crashed=outcome.crashed)
        return self._dispatcher.carry(written, ahead, self._patience())[0]

    def _record(self, tx: Tx, outcomes: Sequence[Outcome], won: Collection[JobId]) -> None:
        for effect, step in self._steps.items():
            extra = [o for o in outcomes if o.extra is not None and o.job.effect is effect and o.job.id in won]
            if extra and step.record is not None:
                step.record(tx, extra)

    def _ahead(
        self, token: str, tx: Tx, moves: Sequence[Move], now: datetime, known: Mapping[str, Dossier]
    ) -> tuple[list[Move], Record]:
        """Lease what we carry on, and join to each move what the next step can tell now: one write instead of two."""
        writing = {move.before.id: self._held(token, move, now) for move in moves}
        told: list[Outcome] = []
        dossiers = dict(known)  # nothing that they hold changes between the steps
        for effect, step in self._steps.items():
            jobs = [m.after for m in writing.values() if m.after.lease_token == token and m.after.effect is effect]
            if step.ahead is None or not jobs:
                continue
            unread = [job.id for job in jobs if job.id not in dossiers]
            if unread:
                dossiers |= tx.reads.dossiers(unread)
            there = [job for job in jobs if job.id in dossiers]  # one that is gone loses its move anyway
            for outcome in step.ahead(there, dossiers):
                further = self._planned(token, outcome, now) if outcome.ask is not None else None
                if further is not None:  # else in its own time, with what may be wrong about it
                    both = joined(writing[further.before.id], further)
                    writing[further.before.id] = self._held(token, both, now)
                    told.append(outcome)
        return list(writing.values()), lambda tx, won: self._record(tx, told, won)

    def _patience(self) -> Callable[[], bool]:
        """Whether to fill slots that are free again at once: well below the lease of the jobs that wait meanwhile."""
        ends_at = self._context.clock() + min(BUDGET, self._context.timing.lease / 3)
        return lambda: self._context.clock() < ends_at and not self.stopping()

    def _planned(self, token: str, outcome: Outcome, now: datetime) -> Move | None:
        assert outcome.ask is not None  # noqa: S101  the caller picked those with one
        try:
            move = plan(self._context.profile_of(outcome.job), outcome.job, outcome.ask, now, fence=token)
        except Refused as exc:
            self.report("outcome_refused", {"job_id": outcome.job.id, "error": exc.message})
            return None
        return move


def _leased(moves: Sequence[Move]) -> list[Job]:
    return [move.after for move in moves if move.after.lease_token is not None]
