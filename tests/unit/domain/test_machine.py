"""The reader of the table: what is refused and how, what a move changes, and what holds whatever anybody asks."""
# ruff: noqa: E501  rows of cases

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.domain import machine
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import CommandNotAllowed, GuardRefused, Refused
from orchestrator.domain.guards import NOTHING, Given, all_of, approved, condition, files_complete, on, said_why
from orchestrator.domain.model import Change, FileKind, Job
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import LEARNING, STAGE_BY_NAME, STAGE_OF_RUNNING, STAGE_OF_WAITING
from orchestrator.domain.states import STATES, TERMINAL, JobState
from orchestrator.domain.transitions import Transition
from tests.builders import ALL, METASTUDIO, NAMED_ACCOUNT, NOW, SIMPLE, a_change, a_job, log_entries

LATER = NOW + timedelta(minutes=5)


def moved(job: Job, command: Command, actor: Actor, given: Given = NOTHING) -> Job:
    return machine.apply(job, machine.decide(job, command, actor, given), LATER, given)


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", JobState)
def test_what_has_no_row_is_refused_and_the_refusal_names_what_is_allowed(state: JobState):
    job = a_job(state)
    asked = [(c, a) for c in Command for a in Actor if (state, c, a) not in machine.ROWS]
    for command, actor in asked:
        with pytest.raises(CommandNotAllowed) as refused:
            machine.decide(job, command, actor)
        allowed = sorted(machine.commands_from(state, actor))
        assert refused.value.details["allowed"] == allowed
        assert f"job job-1 is {state}: {command} by {actor} is not allowed" in str(refused.value)
        assert str(refused.value).endswith(f"only {', '.join(allowed) or 'nothing'}")


def test_a_guard_that_refuses_gives_its_reason():
    with pytest.raises(GuardRefused, match="submit is refused: no ID card; no letter"):
        moved(a_job(), Command.SUBMIT, Actor.USER, Given(missing=("no ID card", "no letter")))


@pytest.mark.parametrize(
    ("job", "command", "actor", "given", "reason"),
    [
        (a_job(JobState.MANUAL_VERIFYING), Command.REJECT, Actor.ADMIN, Given(comment="  "), "a comment that says why"),
        (a_job(JobState.TRAINING, run_id="run-2"), Command.SUCCEED, Actor.SYSTEM, Given(run_id="run-1"), "run run-1 is not"),
        (a_job(JobState.TRAINING), Command.FAIL, Actor.SYSTEM, NOTHING, "run None is not"),
        (a_job(JobState.TRAIN_SUCCESS), Command.START, Actor.SYSTEM, NOTHING, "started with a run"),
        (a_job(JobState.TRAIN_SUCCESS, effect=None), Command.START, Actor.SYSTEM, Given(run_id="run-1"), "started already"),
        (a_job(JobState.TRAIN_FAILED), Command.RETRY, Actor.SYSTEM, NOTHING, "no retry is scheduled"),
        (a_job(JobState.TRAIN_FAILED, effect=Effect.RETRY, switches=frozenset()), Command.RETRY, Actor.SYSTEM, NOTHING, "does not have training"),
        (a_job(JobState.TRAIN_FAILED), Command.REDO_BEAUTY, Actor.ADMIN, NOTHING, "does not have the stage beauty"),
        (a_job(JobState.TRAIN_FAILED), Command.REDO_TRAINING, Actor.ADMIN, NOTHING, "has not passed its review"),
        (a_job(JobState.TRAIN_FAILED, approved=True), Command.REDO_TRAINING, Actor.ADMIN, NOTHING, "have to be run first: training_preprocess"),
        (a_job(JobState.TRAIN_FAILED), Command.RESET, Actor.ADMIN, NOTHING, "has not passed its review"),
        (a_job(JobState.TRAIN_FAILED), Command.SUBMIT, Actor.USER, NOTHING, "does not have resubmit"),
        (a_job(JobState.JOB_SUCCESS), Command.REPAIR, Actor.USER, NOTHING, "only jobs of the Flexus edition"),
        (a_job(JobState.JOB_SUCCESS, switches=ALL), Command.REPAIR, Actor.USER, NOTHING, "no retrainings are left"),
        (a_job(JobState.JOB_SUCCESS, switches=ALL), Command.DELETE, Actor.USER, NOTHING, "has keep_success"),
        (a_job(JobState.JOB_PENDING), Command.RESUME, Actor.USER, NOTHING, "was not suspended from"),
    ],
)  # fmt: skip
def test_every_guard_says_what_is_in_the_way(job: Job, command: Command, actor: Actor, given: Given, reason: str):
    with pytest.raises(GuardRefused, match=reason):
        machine.decide(job, command, actor, given)


def test_a_condition_reads_as_words():
    assert condition(files_complete) == "files complete"
    assert condition(on("video_analyze")) == "profile has `video_analyze`"
    assert condition(all_of(approved, said_why)) == "approved and said why"


def test_buttons_know_the_guards_and_texts_do_not():
    job = a_job(JobState.TRAIN_FAILED)
    assert Command.REDO_TRAINING in machine.commands_from(JobState.TRAIN_FAILED, Actor.ADMIN)
    assert Command.REDO_TRAINING not in machine.commands_open(job, Actor.ADMIN)
    ready = job._replace(approved=True)
    done = Given(completed=frozenset({"training_preprocess"}))
    assert Command.REDO_TRAINING in machine.commands_open(ready, Actor.ADMIN, done)


# -- what a move changes -----------------------------------------------------------------------------------------


def test_a_move_counts_the_version_and_gives_the_lease_back():
    job = a_job(JobState.AUTO_VERIFYING, version=3, lease_token="t", lease_until=NOW, takeovers=2)
    job = moved(job, Command.AUTO_ACCEPT, Actor.SYSTEM)
    assert (job.state, job.version) == (JobState.MANUAL_VERIFYING, 4)
    assert (job.lease_token, job.lease_until, job.takeovers) == (None, None, 0)


def test_a_state_between_has_its_deadline_due_and_the_profile_may_shorten_it():
    row = machine.decide(a_job(JobState.AUTO_VERIFYING), Command.AUTO_ACCEPT, Actor.SYSTEM)
    assert machine.schedule(row, LATER) == (Effect.OVERDUE, LATER + timedelta(days=3))
    assert machine.schedule(row, LATER, timedelta(hours=1)) == (Effect.OVERDUE, LATER + timedelta(hours=1))


def test_a_move_that_stays_leaves_the_schedule_alone():
    job = a_job(JobState.TRAINING, run_id="run-1")
    assert moved(job, Command.SET_PRIORITY, Actor.ADMIN) == job._replace(version=1)


def test_a_flag_for_being_overdue_sets_the_next_look():
    job = moved(a_job(JobState.MANUAL_VERIFYING, lease_token="t"), Command.FLAG_OVERDUE, Actor.SYSTEM)
    assert (job.effect, job.due_at, job.lease_token) == (Effect.OVERDUE, LATER + timedelta(days=3), None)


def test_a_failure_may_be_due_again_after_a_delay():
    job = a_job(JobState.TRAINING, run_id="run-1", approved=True)
    given = Given(run_id="run-1", failure=FailureClass.LOST)
    row = machine.decide(job, Command.FAIL, Actor.SYSTEM, given)
    failed = machine.apply(job, row, NOW, given, due=(Effect.RETRY, LATER))
    assert (failed.state, failed.effect, failed.due_at) == (JobState.TRAIN_FAILED, Effect.RETRY, LATER)
    again = moved(failed, Command.RETRY, Actor.SYSTEM)
    assert (again.state, again.infra_retries, again.retries) == (JobState.TRAINING_DATA_PREPROCESS_SUCCESS, 1, 0)
    assert again.failure is FailureClass.LOST


def test_a_retry_for_the_jobs_own_fault_is_counted_apart():
    job = a_job(JobState.TRAINING, run_id="run-1")
    given = Given(run_id="run-1", failure=FailureClass.TIMEOUT)
    again = moved(job, Command.TIME_OUT, Actor.SYSTEM, given)
    assert (again.infra_retries, again.retries, again.run_id) == (0, 1, None)


def test_the_next_stage_starts_with_no_tries_used():
    job = a_job(JobState.TRAINING, run_id="run-1", retries=1, infra_retries=4, failure=FailureClass.LOST)
    job = moved(job, Command.SUCCEED, Actor.SYSTEM, Given(run_id="run-1"))
    assert (job.state, job.retries, job.infra_retries, job.failure) == (JobState.TRAIN_SUCCESS, 0, 0, None)


@pytest.mark.parametrize("command", [Command.REPLACE_VIDEO, Command.CONFIRM_VIDEO, Command.CONFIRM_FILE])
def test_new_material_calls_off_a_scheduled_retry_and_the_review(command: Command):
    job = a_job(JobState.VIDEO_ANALYZE_FAILED, effect=Effect.RETRY, due_at=LATER, approved=True)
    job = moved(job, command, Actor.USER)
    assert not job.approved
    assert (job.effect, job.due_at) == (Effect.OVERDUE, LATER + timedelta(days=30))
    assert machine.commands_open(job, Actor.SYSTEM) == {Command.FLAG_OVERDUE}
    assert moved(job, Command.SUBMIT, Actor.USER).state is JobState.AUTO_VERIFYING


@pytest.mark.parametrize("state", [JobState.TRAIN_FAILED, JobState.TRAINING_DATA_PREPROCESS_FAILED])
def test_what_is_tried_again_by_itself_is_at_work_for_owners_of_a_simpler_life(state: JobState):
    job = a_job(state, switches=SIMPLE, effect=Effect.RETRY, due_at=LATER, approved=True)
    assert machine.commands_open(job, Actor.USER) == {Command.DESCRIBE}
    given_up = job._replace(effect=Effect.OVERDUE)
    assert {Command.SUBMIT, Command.EDIT, Command.DELETE} <= machine.commands_open(given_up, Actor.USER)
    assert Command.DELETE in machine.commands_open(job._replace(switches=frozenset()), Actor.USER)


def test_a_model_that_could_not_be_stored_is_stored_again_where_no_stage_stands_before():
    job = moved(a_job(JobState.WAIT_MAIN_FILE_UPLOAD, switches=SIMPLE), Command.FAIL, Actor.SYSTEM)
    job = moved(job._replace(effect=Effect.RETRY), Command.RETRY, Actor.SYSTEM)
    assert (job.state, job.effect) == (JobState.WAIT_MAIN_FILE_UPLOAD, Effect.STORE_MODEL)


def test_a_repair_uses_one_up():
    job = a_job(JobState.JOB_SUCCESS, switches=ALL, repairs_left=2, approved=True)
    assert moved(job, Command.REPAIR, Actor.USER).repairs_left == 1


@pytest.mark.parametrize("state", [JobState.WAIT_USER_CONFIRM, JobState.JOB_REJECT])
def test_a_suspended_job_comes_back_to_where_it_was(state: JobState):
    job = moved(a_job(state), Command.SUSPEND, Actor.USER)
    assert job.state is JobState.JOB_PENDING
    job = moved(job, Command.RESUME, Actor.USER)
    assert (job.state, job.suspended_from) == (state, None)


# -- going on by itself ------------------------------------------------------------------------------------------

SWITCHES = (ALL, METASTUDIO, NAMED_ACCOUNT, SIMPLE, frozenset[str](), *(ALL - {name} for name in sorted(ALL)))


@pytest.mark.parametrize("state", JobState)
def test_a_job_follows_to_a_place_where_something_is_due_and_somebody_can_act(state: JobState):
    for switches in SWITCHES:
        job = a_job(state, switches=switches, approved=True)
        steps = 0
        while (row := machine.follow(job)) is not None:
            job = machine.apply(job, row, NOW)
            steps += 1
            assert steps <= 2, f"{state} goes on and on"
        assert job.state in TERMINAL or job.effect is not None
        if steps:
            owner = STATES[job.state].owner
            asked = {(command, actor) for source, command, actor in machine.ROWS if source is job.state}
            assert any(actor is owner and command is not Command.ADVANCE for command, actor in asked)


@pytest.mark.parametrize("state", [s for s in JobState if (s, Command.ADVANCE, Actor.SYSTEM) in machine.ROWS])
def test_a_state_between_is_left_at_once_unless_a_stage_starts_there(state: JobState):
    stage = STAGE_OF_WAITING.get(state)
    for switches in SWITCHES:
        row = machine.follow(a_job(state, switches=switches))
        assert (row is None) is (stage is not None and stage.name in switches)


# -- the log -----------------------------------------------------------------------------------------------------


def created() -> Change:
    return a_change()


def test_the_lines_of_one_move_share_its_version():
    job = a_job()
    change = machine.change(job, machine.decide(job, Command.SUBMIT, Actor.USER), NOW, "ada", description="at last")
    entries = log_entries([created(), change])
    assert [entry.version for entry in entries] == [0, 1, 1]
    assert machine.replay(entries) is JobState.AUTO_VERIFYING


def test_a_move_without_a_word_still_leaves_a_line():
    job = a_job()
    change = machine.change(job, machine.decide(job, Command.EDIT, Actor.USER), NOW, "ada")
    assert change.logs == (None,)
    assert machine.replay(log_entries([created(), change])) is JobState.WAIT_FILE_UPLOAD


def test_a_log_with_a_gap_or_a_move_without_a_row_does_not_replay():
    first, second = log_entries(
        [created(), a_change(command=Command.EDIT, source=JobState.WAIT_FILE_UPLOAD, version=1, logs=(None,))]
    )
    assert machine.replay([first, second]) is JobState.WAIT_FILE_UPLOAD
    with pytest.raises(ValueError, match="empty"):
        machine.replay([])
    with pytest.raises(ValueError, match="jumps from version 0 to 2"):
        machine.replay([first, replace(second, version=2)])
    with pytest.raises(ValueError, match="has edit from wait_file_upload to training"):
        machine.replay([first, replace(second, target=JobState.TRAINING)])
    with pytest.raises(ValueError, match="has edit from wait_file_upload to wait_file_upload"):
        machine.replay([first, replace(second, source=JobState.TRAINING)])


# -- anybody asks anything ---------------------------------------------------------------------------------------

RUN_IDS = st.sampled_from([None, "stale", "current"])
GIVENS = st.builds(
    Given,
    missing=st.sampled_from([(), ("no cover",)]),
    held=st.sampled_from([frozenset[FileKind](), frozenset(FileKind)]),
    comment=st.sampled_from(["", "because"]),
    completed=st.sampled_from([frozenset[str](), frozenset({"training_preprocess"}), frozenset(STAGE_BY_NAME)]),
    run_id=RUN_IDS,
    failure=st.sampled_from([None, *FailureClass]),
)
CHANGES_MATERIAL = {Command.REPLACE_VIDEO, Command.CONFIRM_VIDEO, Command.CONFIRM_COVER, Command.CONFIRM_FILE}
OUTCOMES = {Command.SUCCEED, Command.FAIL, Command.TIME_OUT}


WANTED = (
    Command.SUBMIT, Command.AUTO_ACCEPT, Command.APPROVE, Command.START, Command.SUCCEED, Command.RETRY,
    Command.MODEL_STORED, Command.PUBLISH, Command.ACCEPT, Command.UPLOAD_MASK, Command.CONFIRM_ACTION,
    Command.CONFIRM_ACTION_MARK, Command.BEAUTIFY_BY_HAND, Command.UPLOAD_BEAUTY_VIDEO,
)  # fmt: skip


class JobLifecycle(RuleBasedStateMachine):
    """One job and everybody who may ask something of it; `checked` and `reviewed` are told apart from the machine."""

    @initialize(
        switches=st.sets(st.sampled_from(sorted(ALL))) | st.sampled_from([ALL, METASTUDIO, NAMED_ACCOUNT, SIMPLE])
    )
    def somebody_makes_a_job(self, switches):
        self.job = a_job(switches=frozenset(switches), repairs_left=2)
        self.changes = [created()]
        self.checked = self.reviewed = False
        self.runs = 0

    def ask(self, command: Command, actor: Actor, given: Given, *, retry: bool = False) -> None:
        if given.run_id == "current":
            given = given._replace(run_id=self.job.run_id)
        if command is Command.START and given.run_id is not None:
            self.runs += 1
            given = given._replace(run_id=f"run-{self.runs}")
        try:
            row = machine.decide(self.job, command, actor, given)
        except Refused:
            return
        self.take(row, given, (Effect.RETRY, LATER) if retry and row.command is Command.FAIL else None)

    def take(self, row: Transition, given: Given, due: tuple[Effect, object] | None = None) -> None:
        before = self.job
        self.changes.append(machine.change(before, row, NOW, "somebody"))
        self.job = machine.apply(before, row, NOW, given, due=due)
        assert self.job.version == before.version + 1
        if row.command in CHANGES_MATERIAL:
            self.checked = self.reviewed = False
        if row.command is Command.AUTO_ACCEPT:
            self.checked = True
        if row.target is JobState.MANUAL_VERIFY_SUCCESS:
            assert self.checked
            self.reviewed = True
        if row.command is Command.START:
            self.a_run_starts(before)
        if row.command in OUTCOMES and before.state in STAGE_OF_RUNNING:
            assert before.run_id is not None
            assert given.run_id == before.run_id

    def a_run_starts(self, before: Job) -> None:
        stage = STAGE_OF_RUNNING[self.job.state]
        assert stage.name in self.job.switches
        assert self.checked
        assert self.job.run_id == f"run-{self.runs}"
        assert self.job.attempt == before.attempt + 1
        if stage in LEARNING:
            assert self.job.approved
            assert self.reviewed

    @rule(command=st.sampled_from(Command), actor=st.sampled_from(Actor), given=GIVENS, retry=st.booleans())
    def anybody_asks_anything(self, command, actor, given, retry):
        self.ask(command, actor, given, retry=retry)

    @rule(data=st.data(), actor=st.sampled_from(Actor), given=GIVENS, retry=st.booleans())
    def somebody_asks_what_the_state_allows(self, data, actor, given, retry):
        allowed = sorted(machine.commands_from(self.job.state, actor))
        if allowed:
            self.ask(data.draw(st.sampled_from(allowed)), actor, given, retry=retry)

    @rule(times=st.integers(min_value=1, max_value=12), failing=st.sampled_from([None, Command.FAIL, Command.STOP]))
    def everybody_does_what_is_wanted(self, times, failing):
        """So that the walk gets far; at the end what runs may fail or be stopped."""
        for _ in range(times):
            self.the_job_goes_on_by_itself()
            self.do_first_of(WANTED)
        if failing is not None and self.job.state in STAGE_OF_RUNNING:
            self.do_first_of([failing])

    def do_first_of(self, commands: Iterable[Command]) -> None:
        given = Given(
            held=frozenset(FileKind),
            comment="because",
            completed=frozenset(STAGE_BY_NAME),
            run_id="current",
            failure=FailureClass.LOST,
        )
        for command, actor in product(commands, Actor):
            if (self.job.state, command, actor) in machine.ROWS:
                version = self.job.version
                self.ask(
                    command, actor, given._replace(run_id="new") if command is Command.START else given, retry=True
                )
                if self.job.version != version:
                    return

    @precondition(lambda self: self.job.state in STAGE_OF_RUNNING)
    @rule(command=st.sampled_from(sorted(OUTCOMES)), failure=st.sampled_from(FailureClass))
    def a_stale_run_reports(self, command, failure):
        with pytest.raises(GuardRefused):
            machine.decide(self.job, command, Actor.SYSTEM, Given(run_id="run-0", failure=failure))

    @rule()
    def the_job_goes_on_by_itself(self):
        row = machine.follow(self.job)
        if row is not None:
            self.take(row, NOTHING)

    @invariant()
    def something_is_due_until_the_end(self):
        assert (self.job.effect is None) is (self.job.state in TERMINAL)
        assert (self.job.due_at is None) is (self.job.effect is None)

    @invariant()
    def counters_are_never_negative(self):
        job = self.job
        assert min(job.version, job.attempt, job.retries, job.infra_retries, job.repairs_left, job.takeovers) >= 0

    @invariant()
    def only_a_reviewed_job_is_approved(self):
        assert not self.job.approved or self.reviewed

    @invariant()
    def a_running_job_has_its_run(self):
        if self.job.state in STAGE_OF_RUNNING and self.job.effect is not Effect.DISPATCH:
            assert self.job.run_id is not None

    @invariant()
    def the_log_replays_to_the_state(self):
        assert machine.replay(log_entries(self.changes)) is self.job.state


JobLifecycle.TestCase.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
TestJobLifecycle = JobLifecycle.TestCase
