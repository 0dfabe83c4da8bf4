"""What a step answers for a job it was given: a command to ask, or to be left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestrator.app.moves import Ask
from orchestrator.domain.model import Job, JobId, Move, Run
from orchestrator.domain.views import Dossier
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

    `ahead` answers for jobs whose effect this very transaction makes due, as far as their dossiers in it say enough:
    both moves are one write then. The others have their turn.
    """

    work: Callable[[Sequence[Job]], list[Outcome]]
    record: Callable[[Tx, Sequence[Outcome]], None] | None = None
    ahead: Callable[[Sequence[Job], Mapping[str, Dossier]], list[Outcome]] | None = None


Record = Callable[[Tx, Collection[JobId]], None]  # given the jobs whose moves were won
# Within the transaction that writes moves: gives them with what their asker carries on at once, and the recorder of it.
# The dossiers are those that are known by then.
Ahead = Callable[[Tx, Sequence[Move], datetime, Mapping[str, Dossier]], tuple[list[Move], Record]]


def nothing_ahead(
    _tx: Tx, moves: Sequence[Move], _now: datetime, _dossiers: Mapping[str, Dossier]
) -> tuple[list[Move], Record]:
    """Leave what is due to whoever claims it."""
    return list(moves), lambda _tx, _won: None


@dataclass(frozen=True, slots=True)
class Written:
    """What one transaction wrote.

    Attributes:
        took_all: all slots that were free: there may be more to start as soon as one is free again.
        dossiers: of moved jobs, as far as they were read. Whoever goes on with a job at once need not read its again:
            another move of it would make theirs too late.
    """

    moves: tuple[Move, ...] = ()
    took_all: bool = False
    dossiers: Mapping[str, Dossier] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What the moves started; it has to be submitted."""
        return tuple(move.starts[0] for move in self.moves if move.starts is not None)
