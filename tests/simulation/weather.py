"""What goes wrong, how often: drawn once for every schedule, so that quiet ones and stormy ones both come."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Weather:
    """Chances of one event each time that it could happen.

    Attributes:
        switch: somebody else may go on here.
        hang: this call takes 5 to 90 seconds, which is more than any lease.
        database, store, trainer: a call gets no answer; half of the time it was done all the same.
        late: such a call to the store is done only after its caller has given up.
        kill: the process that makes the call dies here.
        lost_wake, doubled_wake: of a wake-up.
        jump: per turn of the demon, all clocks go forward at once.
        week: the same, by more than the recycle bin and most addresses last.
        skew_s: how far clocks of processes are apart.
        run_fails: a training ends badly; of these, some are lost without a word, and some of them finish all the same.
        bad_video: the owner sends something that does not pass.
        media: jobs are made of media of the library, and somebody keeps assets.
        meddling: how many commands admins and owners ask in between.
    """

    switch: float = 0.0
    hang: float = 0.0
    database: float = 0.0
    store: float = 0.0
    trainer: float = 0.0
    late: float = 0.0
    kill: float = 0.0
    lost_wake: float = 0.0
    doubled_wake: float = 0.0
    jump: float = 0.0
    week: float = 0.0
    skew_s: float = 0.0
    run_fails: float = 0.0
    bad_video: float = 0.0
    media: float = 0.0
    meddling: int = 0


CALM = Weather()


def drawn(chance: random.Random) -> Weather:
    """Each fault is off in about half of the schedules, so that each is also met alone."""

    def some(most: float) -> float:
        return most * chance.random() ** 2 if chance.random() < 0.6 else 0.0

    return Weather(
        switch=chance.choice((0.2, 0.5, 0.9)), hang=some(0.02), database=some(0.06), store=some(0.12),
        trainer=some(0.3), late=some(0.6), kill=some(0.03), lost_wake=some(1.0), doubled_wake=some(0.5),
        jump=some(0.3), week=some(0.05), skew_s=some(4.0), run_fails=some(0.8), bad_video=some(0.5),
        media=chance.choice((0, 0, 0.3, 0.9)), meddling=chance.choice((0, 0, 1, 3, 6)),
    )  # fmt: skip
