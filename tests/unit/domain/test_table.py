"""The table itself is sound: everything can be reached, nothing is stuck, no row is dead, and the contract holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import pytest

from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command as C  # noqa: N817  as in the table
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import GuardRefused
from orchestrator.domain.guards import Given, condition, retry_scheduled
from orchestrator.domain.log_types import LogType as L
from orchestrator.domain.machine import ROWS, decide, schedule
from orchestrator.domain.model import FileKind, Job
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import FINISHING, LEARNING, STAGE_BY_NAME, STAGES, VIDEO_ANALYZE, Stage
from orchestrator.domain.states import STATES, TERMINAL, JobState
from orchestrator.domain.states import JobState as S
from orchestrator.domain.transitions import NOT_A_MOVE, SETTINGS, TRANSITIONS, Transition
from tests import builders
from tests.builders import ALL, METASTUDIO, NAMED_ACCOUNT, NOW, SIMPLE, a_job
from tests.unit.domain import vendor_words
from tests.unit.domain.contract_rows import CONTRACT, VERIFY_FAILED

USER, ADMIN, SYSTEM = Actor.USER, Actor.ADMIN, Actor.SYSTEM

STAGE_NAMES = frozenset(STAGE_BY_NAME)
SWITCH_SETS = (ALL, frozenset[str](), *(frozenset({s}) for s in sorted(ALL)), *(ALL - {s} for s in sorted(ALL)))
WILLING = Given(
    held=frozenset(FileKind), comment="because", completed=STAGE_NAMES, run_id="run-1", failure=FailureClass.CODE
)
GIVENS = (WILLING, WILLING._replace(failure=FailureClass.DATA))


def askers(source: JobState, switch_sets: Iterable[frozenset[str]] = SWITCH_SETS) -> Iterator[tuple[Job, Given]]:
    """Jobs in `source` with all that guards ask for, and what the asker brings along."""
    for switches in switch_sets:
        for effect in (builders.due(source)[0], Effect.RETRY):
            for suspended_from in (None, *({S.WAIT_USER_CONFIRM, S.JOB_REJECT} if source is S.JOB_PENDING else ())):
                job = a_job(
                    source, switches=switches, effect=effect, suspended_from=suspended_from, approved=True,
                    repairs_left=1, run_id="run-1",
                )  # fmt: skip
                yield from ((job, given) for given in GIVENS)


def answers(question: tuple[JobState | None, C, Actor], job: Job, given: Given) -> Transition | None:
    source, command, actor = question
    assert job.state is source
    try:
        return decide(job, command, actor, given)
    except GuardRefused:
        return None


def ways_from(switches: frozenset[str]) -> Mapping[JobState, set[JobState]]:
    """Where a job with `switches` can get to in one move."""
    ways: dict[JobState, set[JobState]] = {state: set() for state in JobState}
    for question in ROWS:
        if question[0] is not None:
            rows = (answers(question, *asker) for asker in askers(question[0], [switches]))
            ways[question[0]] |= {row.leads_to for row in rows if row is not None}
    return ways


def reached(ways: Mapping[JobState, set[JobState]], start: JobState) -> set[JobState]:
    found, todo = {start}, [start]
    while todo:
        new = ways[todo.pop()] - found
        found |= new
        todo += new
    return found


# -- every row ---------------------------------------------------------------------------------------------------


def test_every_row_answers_its_question_for_some_job():
    dead = []
    for question, rows in ROWS.items():
        if question[0] is None:
            continue
        answered = {id(answers(question, *asker)) for asker in askers(question[0])}
        dead += [row for row in rows if id(row) not in answered]
    assert dead == []


def test_of_several_rows_for_one_question_only_the_last_is_unguarded():
    for question, rows in ROWS.items():
        assert all(row.guard is not None for row in rows[:-1]), question


def test_no_two_rows_are_equal():
    keys = Counter((t.source, t.command, t.actor, t.target, condition(t.guard) if t.guard else "") for t in TRANSITIONS)
    assert [key for key, times in keys.items() if times > 1] == []


def test_only_create_starts_from_nothing_and_it_leads_to_a_draft():
    assert [(t.command, t.leads_to) for t in TRANSITIONS if t.source is None] == [(C.CREATE, S.WAIT_FILE_UPLOAD)]


def test_a_row_that_stays_makes_nothing_due():
    assert [t for t in TRANSITIONS if t.target is None and t.effect is not None] == []


def test_every_command_is_asked_by_one_kind_of_actor():
    actors = {command: {t.actor for t in TRANSITIONS if t.command is command} for command in C}
    assert {command for command, who in actors.items() if len(who) != 1} == set()


def test_every_effect_is_made_due():
    by_rows = {t.effect for t in TRANSITIONS}
    by_the_schedule = {effect for t in TRANSITIONS for effect in [schedule(t, NOW)[0]]}
    # a retry is scheduled by whoever reports a failure; the rows only wait for it
    awaited = {Effect.RETRY} if any(t.command is C.RETRY for t in TRANSITIONS) else set()
    assert (by_rows | by_the_schedule | awaited) - {None} == set(Effect)


def test_every_log_type_is_written_by_a_row_or_listed_as_no_move_never_both():
    written = {log for t in TRANSITIONS for log in t.logs}
    assert written | set(NOT_A_MOVE) == set(L)
    assert written & set(NOT_A_MOVE) == set()
    assert all(NOT_A_MOVE.values())


# -- every state -------------------------------------------------------------------------------------------------


def test_every_state_can_be_reached():
    ways = {state: set[JobState]() for state in JobState}
    for switches in SWITCH_SETS:
        for state, targets in ways_from(switches).items():
            ways[state] |= targets
    assert reached(ways, S.WAIT_FILE_UPLOAD) == set(JobState)


@pytest.mark.parametrize("switches", [ALL, METASTUDIO, NAMED_ACCOUNT, SIMPLE, frozenset({"training"})], ids=sorted)
def test_no_reachable_state_is_a_trap(switches: frozenset[str]):
    ways = ways_from(switches)
    assert [s for s in reached(ways, S.WAIT_FILE_UPLOAD) if not reached(ways, s) & TERMINAL] == []


@pytest.mark.parametrize("state", [s for s in JobState if s not in TERMINAL])
def test_whom_a_state_waits_for_has_a_way_on(state: JobState):
    owner = STATES[state].owner
    assert any(t.leads_to is not state for t in TRANSITIONS if t.source is state and t.actor in {owner, SYSTEM})


@pytest.mark.parametrize("state", [s for s in JobState if STATES[s].owner in {USER, ADMIN}])
def test_somebody_is_told_when_people_take_too_long(state: JobState):
    expected = C.DISCARD if state is S.WAIT_FILE_UPLOAD else C.FLAG_OVERDUE
    assert (state, expected, SYSTEM) in ROWS


@pytest.mark.parametrize("switches", [METASTUDIO, NAMED_ACCOUNT], ids=sorted)
def test_exactly_the_documented_states_can_be_deleted(switches: frozenset[str]):
    deletable = {
        state.name
        for state, command, actor in ROWS
        if state is not None and command is C.DELETE
        if any(answers((state, command, actor), *asker) for asker in askers(state, [switches]))
    }
    assert deletable == set(vendor_words.DELETABLE)


def test_a_finished_job_can_only_be_described_and_deleted():
    assert {t.command for t in TRANSITIONS if t.source is S.JOB_FINISH} == {C.DESCRIBE, C.DELETE, C.DELETE_VIDEO}
    assert {t.leads_to for t in TRANSITIONS if t.source is S.JOB_FINISH} == {S.JOB_FINISH}


# -- every stage -------------------------------------------------------------------------------------------------


def rows(source: JobState, command: C) -> list[Transition]:
    return [t for t in TRANSITIONS if t.source is source and t.command is command]


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_every_stage_starts_ends_fails_stops_and_is_tried_again(stage: Stage):
    assert [t.leads_to for t in rows(stage.waiting, C.START)] == [stage.running]
    assert rows(stage.running, C.SUCCEED)
    assert rows(stage.running, C.FAIL)[-1].leads_to is stage.failed
    assert [(t.leads_to, t.effect) for t in rows(stage.running, C.TIME_OUT)] == [(stage.waiting, Effect.DISPATCH)]
    assert (stage.waiting, Effect.DISPATCH) in [(t.leads_to, t.effect) for t in rows(stage.failed, C.RETRY)]
    for source in (stage.waiting, stage.running, stage.failed):
        assert [(t.leads_to, t.actor) for t in rows(source, C.STOP)] == [(stage.stopped, ADMIN)]


@pytest.mark.parametrize("stage", [*LEARNING, *FINISHING], ids=lambda s: s.name)
def test_every_stage_after_the_review_is_redone_from_failures_stops_and_results(stage: Stage):
    sources = {t.source for t in TRANSITIONS if t.command is stage.redo}
    broken = {s for other in (*LEARNING, *FINISHING) for s in (other.failed, other.stopped)}
    assert sources >= broken | {S.JOB_REJECT, S.JOB_SUCCESS, S.WAIT_ADMIN_CONFIRM, S.WAIT_USER_CONFIRM}
    assert {(t.leads_to, t.logs, t.effect) for t in TRANSITIONS if t.command is stage.redo} == {
        (stage.waiting, (stage.redo_log,), Effect.DISPATCH)
    }


def test_a_video_inspected_again_is_checked_again_first():
    assert [(t.source, t.leads_to) for t in TRANSITIONS if t.command is C.REDO_VIDEO_ANALYZE] == [
        (VIDEO_ANALYZE.failed, S.AUTO_VERIFYING)
    ]


@pytest.mark.parametrize("command", SETTINGS)
def test_a_setting_can_be_made_until_the_job_ends_and_moves_nothing(command: C):
    assert {t.source for t in TRANSITIONS if t.command is command} == set(JobState) - TERMINAL
    assert {(t.target, t.logs) for t in TRANSITIONS if t.command is command} == {(None, (SETTINGS[command],))}


# -- the contract, row by row ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "command"), sorted({(row[1] or "", row[2]) for row in CONTRACT}))
def test_the_documented_moves_are_rows(source: str, command: C):
    documented = [row[1:] for row in CONTRACT if (row[1] or "") == source and row[2] is command]
    held = [(t.source, t.command, t.leads_to, t.logs, t.actor) for t in TRANSITIONS]
    assert [row for row in documented if row not in held] == []


def test_only_a_refused_job_is_updated():
    assert {t.source for t in TRANSITIONS if t.command is C.UPDATE} == set(VERIFY_FAILED)


def test_a_scheduled_retry_is_what_every_retry_waits_for():
    job = a_job(S.TRAIN_FAILED)
    assert retry_scheduled(job, WILLING) is not None
    for row in (t for t in TRANSITIONS if t.command is C.RETRY):
        assert row.guard is not None
        assert row.guard(job, WILLING) is not None
