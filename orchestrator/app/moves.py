"""From a question to a written move: decide by the table, follow instant stations, remember what the log needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestrator.app.context import Context
from orchestrator.domain import actors, machine
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import Invalid
from orchestrator.domain.guards import NOTHING, Given
from orchestrator.domain.model import Job, Move
from orchestrator.domain.profile import Profile
from orchestrator.domain.retry import INFRASTRUCTURE_CLASSES, FailureClass
from orchestrator.domain.stages import STAGE_OF_WAITING
from orchestrator.domain.transitions import Transition

MACHINE = actors.MACHINE.name  # who the log names for moves of the machine itself


class Ask(NamedTuple):
    """One command with all that belongs to it.

    Attributes:
        due: overrides what the row makes due, for retries after a delay.
        assign: further columns of the job that the same write sets.
        message: replaces the job's message; None clears nothing.
    """

    command: Command
    actor: Actor
    operator: str = MACHINE
    given: Given = NOTHING
    due: tuple[Effect | None, datetime | None] | None = None
    description: str = ""
    error_code: str | None = None
    details: dict[str, object] | None = None
    message: str | None = None
    assign: Mapping[str, object] | None = None


def plan(profile: Profile, job: Job, ask: Ask, at: datetime, *, fence: str | None = None) -> Move:
    """What `ask` would write: the move it names and the instant ones behind it.

    Raises:
        CommandNotAllowed, GuardRefused: the table says no.
    """
    row = machine.decide(job, ask.command, ask.actor, ask.given)
    changes = [
        machine.change(
            job, row, at, ask.operator,
            description=ask.description, error_code=ask.error_code, details=ask.details,
        )
    ]  # fmt: skip
    moved = _applied(profile, job, row, at, ask.given, due=ask.due)
    if ask.assign:
        moved = moved._replace(**ask.assign)  # type: ignore[arg-type]  # columns by name, from our own use cases
    while row.target is not None and (row := machine.follow(moved)) is not None:  # type: ignore[assignment]  # ends the loop
        changes.append(machine.change(moved, row, at, MACHINE))
        moved = _applied(profile, moved, row, at)
    return Move(job, moved, tuple(changes), fence, ask.message)


def _applied(
    profile: Profile,
    job: Job,
    row: Transition,
    at: datetime,
    given: Given = NOTHING,
    *,
    due: tuple[Effect | None, datetime | None] | None = None,
) -> Job:
    moved = machine.apply(job, row, at, given, due=due, deadline=profile.deadlines.get(row.leads_to))
    if moved.effect is Effect.DISPATCH:
        stage = STAGE_OF_WAITING[moved.state].name
        if stage not in profile.stages:  # the profile was changed after the job was made
            raise Invalid(f"profile {profile.name} does not say any more how the stage {stage} is run", stage=stage)
        return moved._replace(pool=profile.stages[stage].pool)
    return moved if moved.pool is None else moved._replace(pool=None)


def retry_delay(profile: Profile, job: Job, failure: FailureClass) -> timedelta | None:
    """How long the job waits for its next try at the same place, None when it has none left."""
    policy = profile.retry
    if failure in INFRASTRUCTURE_CLASSES:
        return policy.delay(failure, job.infra_retries)
    if job.retry_limit is not None and failure is not FailureClass.CANCELLED:
        policy = replace(policy, limits={**policy.limits, failure: job.retry_limit})
    return policy.delay(failure, job.retries)


def joined(move: Move, further: Move) -> Move:
    """Both as one write: `further` is a move of the job as `move` leaves it."""
    message = move.message if further.message is None else further.message
    changes = move.changes + further.changes
    return move._replace(after=further.after, changes=changes, message=message, starts=further.starts)


def waits_now(job: Job, now: datetime) -> bool:
    """Whether it could have a slot of its pool at once."""
    return job.pool is not None and job.effect is Effect.DISPATCH and job.due_at is not None and job.due_at <= now


def waited_for(moves: Iterable[Move], now: datetime) -> set[str]:
    """The pools that these moves made somebody wait for now."""
    return {str(move.after.pool) for move in moves if waits_now(move.after, now)}


def effects_now(moves: Iterable[Move], now: datetime) -> list[Effect]:
    """What these moves made due at once: whom to wake, in the same order in every process."""
    effects = (after.effect for _, after, *_ in moves if after.due_at is not None and after.due_at <= now)
    return list(dict.fromkeys(effect for effect in effects if effect is not None))


def wake(context: Context, moves: Iterable[Move], now: datetime) -> None:
    for effect in effects_now(moves, now):
        context.waker.wake(effect.value)
