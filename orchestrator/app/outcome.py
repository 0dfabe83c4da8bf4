"""What a step answers for a job it was given: a command to ask, or to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from orchestrator.app.moves import Ask
from orchestrator.domain.model import Job, Move, Run
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
    """What an effect runs: `work` outside any transaction, `record` inside the one that writes the moves it won.

    `reads_only`: the work only reads the database, so it is done ahead of the write that makes it due, and both moves
    are one write.
    """

    work: Callable[[Sequence[Job]], list[Outcome]]
    record: Callable[[Tx, Sequence[Outcome]], None] | None = None
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """Runs that were written to the ledger and have to be submitted, with the moves that started them."""

    moves: tuple[Move, ...] = ()
    runs: tuple[Run, ...] = ()
    took_all: bool = False  # all slots that were free: there may be more to start as soon as one is free again
