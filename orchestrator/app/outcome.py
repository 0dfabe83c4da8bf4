"""What a step answers for a job it was given: a command to ask, or to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from orchestrator.app.moves import Ask
from orchestrator.domain.model import Job
from orchestrator.ports.store import Tx


class Outcome(NamedTuple):
    """The answer for one job.

    Attributes:
        ask: the command that tells how it went; None: nothing is wrong, look again after `snooze`.
        crashed: the step itself broke; so many times, and the job is given up at this place.
        extra: what the step's recorder writes in the transaction of the move, if the move is won.
    """

    job: Job
    ask: Ask | None = None
    snooze: timedelta | None = None
    crashed: bool = False
    extra: object = None


class Step(NamedTuple):
    """What an effect runs: `work` outside any transaction, `record` inside the one that writes the moves it won."""

    work: Callable[[Sequence[Job]], list[Outcome]]
    record: Callable[[Tx, Sequence[Outcome]], None] | None = None
