"""What a step answers for a job it was given: a command to ask, or to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable
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
        within: what else is written in the transaction of the move, if the move is won.
    """

    job: Job
    ask: Ask | None = None
    snooze: timedelta | None = None
    crashed: bool = False
    within: Callable[[Tx], None] | None = None
