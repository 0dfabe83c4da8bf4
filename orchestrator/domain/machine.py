"""The only reader of the table: what a command leads to, what may be asked now, what a move changes in the job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import CommandNotAllowed, GuardRefused
from orchestrator.domain.guards import NOTHING, Given
from orchestrator.domain.model import Change, Job, LogEntry
from orchestrator.domain.retry import INFRASTRUCTURE_CLASSES
from orchestrator.domain.stages import STAGE_OF_WAITING
from orchestrator.domain.states import STATES, JobState, Phase
from orchestrator.domain.transitions import TRANSITIONS, Transition

Question = tuple[JobState | None, Command, Actor]


def _by_question() -> dict[Question, tuple[Transition, ...]]:
    index: defaultdict[Question, list[Transition]] = defaultdict(list)
    for row in TRANSITIONS:
        index[row.source, row.command, row.actor].append(row)
    return {question: tuple(rows) for question, rows in index.items()}


def _by_asker() -> dict[tuple[JobState | None, Actor], dict[Command, tuple[Transition, ...]]]:
    index: defaultdict[tuple[JobState | None, Actor], dict[Command, tuple[Transition, ...]]] = defaultdict(dict)
    for (source, command, actor), rows in ROWS.items():
        index[source, actor][command] = rows
    return dict(index)


ROWS: Final = MappingProxyType(_by_question())
_ASKED: Final = MappingProxyType(_by_asker())  # what is asked of every job that is shown: not the whole table each time


def decide(job: Job, command: Command, actor: Actor, given: Given = NOTHING) -> Transition:
    """The row that answers `command`.

    Raises:
        CommandNotAllowed: the state has no row for this command and actor.
        GuardRefused: rows exist, none of their guards allows it.
    """
    rows = ROWS.get((job.state, command, actor))
    if rows is None:
        allowed = sorted(c.value for c in commands_from(job.state, actor))
        raise CommandNotAllowed(
            f"job {job.id} is {job.state}: {command} by {actor} is not allowed, only {', '.join(allowed) or 'nothing'}",
            job_id=job.id, state=job.state.value, command=command.value, allowed=allowed,
        )  # fmt: skip
    reason = None
    for row in rows:
        if row.guard is None or (reason := row.guard(job, given)) is None:
            return row
    raise GuardRefused(
        f"job {job.id} is {job.state}: {command} is refused: {reason}",
        job_id=job.id, state=job.state.value, command=command.value, reason=reason,
    )  # fmt: skip


def follow(job: Job) -> Transition | None:
    """The instant move that is open now, if any: states between stations are left at once."""
    for row in ROWS.get((job.state, Command.ADVANCE, Actor.SYSTEM), ()):
        if row.guard is None or row.guard(job, NOTHING) is None:
            return row
    return None


def commands_from(state: JobState, actor: Actor) -> frozenset[Command]:
    """What `actor` may ask in `state`, guards aside."""
    return frozenset(_ASKED.get((state, actor), ()))


def commands_open(job: Job, actor: Actor, given: Given = NOTHING) -> frozenset[Command]:
    """What `actor` may ask of this very job now, guards included. Made for buttons and error texts."""
    return frozenset(
        command
        for command, rows in _ASKED.get((job.state, actor), {}).items()
        if any(row.guard is None or row.guard(job, given) is None for row in rows)
    )


def phase_of(job: Job) -> Phase:
    """The coarse word for where a job stands. One that failed and is tried again by itself has not failed yet."""
    phase = STATES[job.state].phase
    return Phase.RUNNING if phase is Phase.FAILED and job.effect is Effect.RETRY else phase


def schedule(row: Transition, at: datetime, deadline: timedelta | None = None) -> tuple[Effect | None, datetime | None]:
    """What is due after `row`, and when: its effect at once, else the look of the overdue sweep at the deadline."""
    if row.effect is not None:
        return row.effect, at
    limit = deadline or STATES[row.leads_to].deadline
    return (Effect.OVERDUE, at + limit) if limit is not None else (None, None)


def apply(
    job: Job,
    row: Transition,
    at: datetime,
    given: Given = NOTHING,
    *,
    due: tuple[Effect | None, datetime | None] | None = None,
    deadline: timedelta | None = None,
) -> Job:
    """The job after `row`.

    Args:
        due: overrides what the row makes due (a retry after a delay).
        deadline: the profile's own deadline of the target state.
    """
    if row.target is None:
        moved = job._replace(version=job.version + 1)
        if row.command is Command.FLAG_OVERDUE or (row.command in _NEW_MATERIAL and job.effect is Effect.RETRY):
            effect, due_at = schedule(row, at, deadline)
            moved = moved._replace(effect=effect, due_at=due_at, lease_token=None, lease_until=None, takeovers=0)
        return moved._replace(approved=False) if row.command in _NEW_MATERIAL else moved
    effect, due_at = due if due is not None else schedule(row, at, deadline)
    moved = job._replace(
        state=row.target, version=job.version + 1, effect=effect, due_at=due_at,
        lease_token=None, lease_until=None, takeovers=0,
    )  # fmt: skip
    return _counted(moved, job, row, given)


# After these the job holds bytes that nobody has checked: they need a submit, and what was scheduled for the old
# ones is off.
_NEW_MATERIAL: Final = frozenset(
    {Command.REPLACE_VIDEO, Command.CONFIRM_VIDEO, Command.CONFIRM_COVER, Command.CONFIRM_FILE}
)


def _counted(moved: Job, job: Job, row: Transition, given: Given) -> Job:
    """What a move changes in the counters of tries."""
    if row.command is Command.START:
        return moved._replace(attempt=job.attempt + 1, run_id=given.run_id)
    if row.command in {Command.TIME_OUT, Command.RETRY}:
        failure = given.failure or job.failure
        if failure in INFRASTRUCTURE_CLASSES:
            return moved._replace(failure=failure, infra_retries=job.infra_retries + 1, run_id=None)
        return moved._replace(failure=failure, retries=job.retries + 1, run_id=None)
    if row.command is Command.FAIL:
        return moved._replace(failure=given.failure, run_id=None)
    if row.target in STAGE_OF_WAITING:
        moved = moved._replace(retries=0, infra_retries=0, failure=None, run_id=None)
    return _marked(moved, job, row)


def _marked(moved: Job, job: Job, row: Transition) -> Job:
    """What else a move changes besides state and schedule."""
    if row.target is JobState.MANUAL_VERIFY_SUCCESS:
        moved = moved._replace(approved=True)
    elif row.command is Command.SUBMIT:
        moved = moved._replace(approved=False, failure=None, run_id=None)
    elif row.command is Command.STOP:
        moved = moved._replace(run_id=None)
    elif row.command is Command.REPAIR:
        moved = moved._replace(repairs_left=job.repairs_left - 1)
    elif row.command is Command.SUSPEND:
        moved = moved._replace(suspended_from=job.state)
    elif row.command is Command.RESUME:
        moved = moved._replace(suspended_from=None)
    return moved


def change(
    job: Job,
    row: Transition,
    at: datetime,
    operator: str,
    *,
    description: str = "",
    error_code: str | None = None,
    details: dict[str, object] | None = None,
) -> Change:
    """What the log keeps of `row` asked of `job`."""
    logs = row.logs or (None,)
    return Change(
        row.command, row.actor, operator, row.source, row.leads_to, logs, job.version + 1, at,
        description, error_code, details,
    )  # fmt: skip


def replay(entries: Iterable[LogEntry]) -> JobState:
    """The state that a job's log leads to.

    Raises:
        ValueError: versions have a gap, or a move has no row in the table.
    """
    state: JobState | None = None
    version = -1
    for entry in entries:
        if entry.version == version:
            continue  # another line of the same move
        if entry.version != version + 1:
            raise ValueError(f"the log of job {entry.job_id} jumps from version {version} to {entry.version}")
        rows = ROWS.get((state, entry.command, entry.actor), ())
        if entry.target not in {row.leads_to for row in rows} or entry.source is not state:
            raise ValueError(f"the log of job {entry.job_id} has {entry.command} from {state} to {entry.target}")
        state, version = entry.target, entry.version
    if state is None:
        raise ValueError("the log is empty")
    return state
