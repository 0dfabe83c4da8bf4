"""Checks of the work itself: what is late, stuck, or nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import files, jobs
from orchestrator.cli.doctor.patient import Finding, Level, Patient, some
from orchestrator.domain.commands import Effect
from orchestrator.domain.states import JobState

LATE_STEP: Final = timedelta(minutes=5)
LATE_SLOT: Final = timedelta(hours=12)
LATE_FILE: Final = timedelta(hours=1)
MANY_TAKEOVERS: Final = 3
_STEPS: Final = (Effect.VERIFY, Effect.STORE_MODEL, Effect.PUBLISH)


def work(patient: Patient) -> Iterator[Finding]:
    now = patient.app.context.clock()
    has_profile = jobs.c.profile.in_(sorted(patient.app.context.profiles))
    has_state = jobs.c.state.in_([state.value for state in JobState])
    with patient.engine.connect() as connection:
        late = connection.execute(
            sa.select(jobs.c.effect, sa.func.count(), sa.func.min(jobs.c.due_at))
            .where(jobs.c.due_at <= now - LATE_STEP, jobs.c.effect != Effect.OVERDUE.value)
            .where(jobs.c.lease_token.is_(None), jobs.c.deleted_at.is_(None), has_profile, has_state)
            .group_by(jobs.c.effect)
        ).all()
        left_alone = sa.select(sa.func.count()).where(jobs.c.due_at.is_not(None), jobs.c.deleted_at.is_(None))
        newer = connection.execute(left_alone.where(sa.not_(has_state))).scalar_one()
        homeless = connection.execute(
            left_alone.add_columns(jobs.c.profile).where(sa.not_(has_profile), has_state).group_by(jobs.c.profile)
        ).all()
        steps = [step.value for step in _STEPS]
        again = connection.execute(
            sa.select(jobs.c.id, jobs.c.effect)
            .where(jobs.c.effect.in_(steps), jobs.c.deleted_at.is_(None), jobs.c.due_at.is_not(None))
            .where(sa.or_(jobs.c.takeovers >= MANY_TAKEOVERS, jobs.c.overdue_at.is_not(None)))
        ).all()
        flagged = connection.execute(
            sa.select(sa.func.count())
            .where(jobs.c.overdue_at.is_not(None), jobs.c.deleted_at.is_(None))
            .where(sa.or_(jobs.c.effect.is_(None), jobs.c.effect.not_in(steps)))
        ).scalar_one()
        stuck_files = connection.execute(
            sa.select(sa.func.count()).where(files.c.due_at <= now - LATE_FILE, files.c.state != "open")
        ).scalar_one()
    found = [*_late(patient, late), *_failing(again), *_left_alone(newer, homeless)]
    if flagged:
        message = f"{flagged} jobs wait for people for longer than their state allows"
        found.append(Finding("jobs", Level.WARNING, message, "`understudy job list --json` shows overdue_at"))
    if stuck_files:
        message = f"{stuck_files} files are neither sealed nor gone, and nobody looks at them"
        found.append(Finding("files", Level.TROUBLE, message, "is a worker alive, and the store? see above"))
    yield from found or [Finding("jobs", Level.OK, "none is stuck or overdue")]


def _late(patient: Patient, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> Iterator[Finding]:
    for effect, count, oldest in rows:
        waited = patient.age(oldest) if oldest is not None else timedelta(0)
        if effect != Effect.DISPATCH.value:
            message = f"{count} jobs wait for {effect}, the oldest for {waited}"
            yield Finding("jobs", Level.TROUBLE, message, "are workers alive, and enough of them? see above")
        elif waited > LATE_SLOT:
            message = f"{count} jobs wait for a slot, the oldest for {waited}"
            yield Finding("jobs", Level.WARNING, message, "no capacity is no fault: add slots, or trainers")


def _left_alone(newer: int, homeless: Sequence[sa.Row[*tuple[Any, ...]]]) -> Iterator[Finding]:
    """What processes with these settings, or of this version, do not work on."""
    if newer:
        message = f"{newer} jobs are in states that only a newer version knows; this one leaves them alone"
        yield Finding("jobs", Level.WARNING, message, "let workers of the newer version run")
    for count, profile in homeless:
        message = (
            f"{count} jobs are of profile {profile}, which these settings do not have; nobody with them works on it"
        )
        remedy = "put the profile back to profiles.dir, unless workers with other settings have it"
        yield Finding("jobs", Level.WARNING, message, remedy)


def _failing(rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> Iterator[Finding]:
    for step in _STEPS:
        mine = [str(row.id) for row in rows if row.effect == step.value]
        if mine:
            message = f"{step} does not come to an end for {len(mine)} jobs: {some(mine)}"
            remedy = "look for these ids in the workers' logs; store and sandbox are the usual reasons"
            yield Finding("jobs", Level.TROUBLE, message, remedy)
