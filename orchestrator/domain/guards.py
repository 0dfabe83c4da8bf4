"""Named pure predicates used by rows of the table: None allows, a string is the reason for refusing."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Final, NamedTuple

from orchestrator.domain.commands import Effect
from orchestrator.domain.editions import FLEXUS
from orchestrator.domain.model import FileKind, Job
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import BEAUTY, LEARNING, Stage
from orchestrator.domain.states import JobState


class Given(NamedTuple):
    """What the asker brings along, beyond the job itself.

    Attributes:
        missing: what the material still lacks, one sentence each.
        held: kinds of sealed files that the job has.
        comment: what the asker wrote.
        completed: stages with a successful run whose artefacts stand.
        run_id: the run that an outcome is about.
        failure: how that run failed.
    """

    missing: tuple[str, ...] = ()
    held: frozenset[FileKind] = frozenset()
    comment: str = ""
    completed: frozenset[str] = frozenset()
    run_id: str | None = None
    failure: FailureClass | None = None


NOTHING = Given()
RESUBMIT: Final = "resubmit"
"""The switch of a simpler life: the owner mends and resubmits whatever failed."""

Guard = Callable[[Job, Given], str | None]


def condition(guard: Guard) -> str:
    """What `guard` asks for, in words; for the tables that people read."""
    name = guard.__name__ if isinstance(guard, FunctionType) else repr(guard)
    return name.replace("_", " ") if name.isidentifier() else name


def all_of(*guards: Guard) -> Guard:
    def check(job: Job, given: Given) -> str | None:
        return next((reason for guard in guards if (reason := guard(job, given)) is not None), None)

    check.__name__ = " and ".join(condition(guard) for guard in guards)
    return check


def on(switch: str) -> Guard:
    def check(job: Job, _: Given) -> str | None:
        return None if switch in job.switches else f"the profile {job.profile} does not have {switch}"

    check.__name__ = f"profile has `{switch}`"
    return check


def off(switch: str) -> Guard:
    def check(job: Job, _: Given) -> str | None:
        return f"the profile {job.profile} has {switch}" if switch in job.switches else None

    check.__name__ = f"profile lacks `{switch}`"
    return check


def files_complete(_: Job, given: Given) -> str | None:
    return "; ".join(given.missing) or None


def holds(kind: FileKind) -> Guard:
    """The file that the command tells of is up and sealed."""
    name = kind.replace("_", " ")

    def check(_: Job, given: Given) -> str | None:
        return None if kind in given.held else f"the {name} is missing: upload it first"

    check.__name__ = f"the {name} is there"
    return check


def said_why(_: Job, given: Given) -> str | None:
    return None if given.comment.strip() else "a comment that says why is needed"


def current_run(job: Job, given: Given) -> str | None:
    """Fencing: only the run that the job stands on may move it."""
    if job.run_id is None or given.run_id != job.run_id:
        return f"run {given.run_id} is not the run this job waits for"
    return None


def data_failure(_: Job, given: Given) -> str | None:
    return None if given.failure is FailureClass.DATA else "the data are not at fault"


def awaiting_dispatch(job: Job, given: Given) -> str | None:
    if given.run_id is None:
        return "a stage is started with a run, or nobody could ever end it"
    return None if job.effect is Effect.DISPATCH else "the stage has been started already"


def retry_scheduled(job: Job, _: Given) -> str | None:
    return None if job.effect is Effect.RETRY else "no retry is scheduled"


def no_retry_ahead(job: Job, _: Given) -> str | None:
    """Owners of a simpler life see five phases, and a stage that is tried again by itself is still at work there."""
    if RESUBMIT in job.switches and job.effect is Effect.RETRY:
        return "what failed is about to be tried again by itself"
    return None


def has_repairs_left(job: Job, _: Given) -> str | None:
    if FLEXUS not in job.switches:
        return "only jobs of the Flexus edition can be repaired by their owner"
    return None if job.repairs_left > 0 else "no retrainings are left"


def suspended_from(state: JobState) -> Guard:
    def check(job: Job, _: Given) -> str | None:
        return None if job.suspended_from is state else f"the job was not suspended from {state}"

    check.__name__ = f"suspended from `{state}`"
    return check


# A file that an admin puts in stands for the stage that would have made it.
_BY_HAND: Final = {FileKind.BEAUTY_VIDEO: BEAUTY.name}


def ready_for(stage: Stage) -> Guard:
    """The job has the stage, passed its review, and every learning stage before it has left its artefacts."""
    names = [s.name for s in LEARNING]
    before = names[: names.index(stage.name)] if stage in LEARNING else names

    def check(job: Job, given: Given) -> str | None:
        if stage.name not in job.switches:
            return f"the profile {job.profile} does not have the stage {stage.name}"
        if not job.approved:
            return "the job has not passed its review"
        done = given.completed | {_BY_HAND[kind] for kind in given.held if kind in _BY_HAND}
        lacking = [name for name in before if name in job.switches and name not in done]
        return f"these stages have to be run first: {', '.join(lacking)}" if lacking else None

    check.__name__ = f"profile has `{stage.name}` and approved and the stages before it are done"
    return check


def approved(job: Job, _: Given) -> str | None:
    return None if job.approved else "the job has not passed its review"
