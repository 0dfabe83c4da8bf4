"""Whatever anybody asks, in whatever order, whoever dies: the job stays whole, and in the end it gets somewhere.

Walks over the use cases themselves, on a real database, with the store, the prober, the trainer and the clock in the
hands of the test. `HYPOTHESIS_PROFILE=nightly` walks farther.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from orchestrator.adapters.db.tables import asset_files, assets, files, job_counts, jobs, runs
from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain import machine
from orchestrator.domain.actors import Actor, Caller
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.errors import NotFound, StorageUnavailable, UnderstudyError
from orchestrator.domain.model import FileKind, FileState
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import STAGE_BY_NAME
from orchestrator.domain.states import STATES, TERMINAL, JobState
from orchestrator.domain.transitions import SETTINGS
from orchestrator.domain.views import JobQuery
from orchestrator.ports.trainer import RunState
from tests.databases import SQLiteFiles
from tests.fakes.app import REFUSED, VIDEO, Died, World, a_database, die

BAD = b"something else"
BREAKABLE = ("create_upload", "list_parts", "complete_upload", "abort_upload", "head", "copy", "delete", "read_range")
KINDS = (FileKind.TRAINING_VIDEO, FileKind.TRAINING_VIDEO, FileKind.COVER, FileKind.ATTACHMENT, FileKind.MASK,
         FileKind.PORTRAIT)  # fmt: skip
who = st.sampled_from(("owner", "owner", "stranger", "reviewer", "admin"))
PROFILE_NAMES = st.sampled_from(("plain", "reviewed", "full", "mending"))
which = st.integers(0, 2)
PLAIN_COMMANDS = sorted(
    set(Command) - {Command.CREATE, Command.SUBMIT, Command.DELETE, Command.STOP, *SETTINGS}
    - {c for _, c, actor in machine.ROWS if actor is Actor.SYSTEM}
)  # fmt: skip


@cache
def _sqlite_files() -> SQLiteFiles:
    return SQLiteFiles(Path(tempfile.mkdtemp(prefix="understudy-walk-")))


class Walk(RuleBasedStateMachine):
    """Everybody at once, on up to three jobs."""

    def __init__(self) -> None:
        super().__init__()
        self._database = _sqlite_files().migrated()
        self._path = self._database.__enter__()
        self.world = World(a_database(self._path))
        self.world.prober.refuse[BAD] = (REFUSED,)
        self.job_ids: list[str] = []
        self.files: list[tuple[str, str]] = []  # file id, its last URL

    def teardown(self) -> None:
        try:
            self.the_machine_runs_on_and_nothing_is_stuck()
        finally:
            self.world.database.dispose()
            self._database.__exit__(None, None, None)
            Path(self._path.removeprefix("sqlite:///")).unlink()

    # people

    @initialize(profile=PROFILE_NAMES, come=st.sampled_from(("draft", "submitted", "waiting", "training", "published")))
    def create_the_first(self, profile: str, come: str) -> None:
        """Somewhere on its way already, or short walks would never get far."""
        made = getattr(self.world, come)(profile)
        self.job_ids.append((made[0] if come == "training" else made).id)

    @rule(profile=PROFILE_NAMES)
    def create(self, profile: str) -> None:
        if len(self.job_ids) < 3:
            self.job_ids.append(self.world.draft(profile).id)

    @rule(caller=who, job=which, command=st.sampled_from(PLAIN_COMMANDS), comment=st.sampled_from(("", "because")))
    def ask(self, caller: str, job: int, command: Command, comment: str) -> None:
        reviewing = {Command.APPROVE: self._approve, Command.REJECT: self._reject}
        answering = {Command.ACCEPT_RESULT, Command.REJECT_RESULT, Command.ANSWER}
        app = self.world.app
        if command in reviewing:
            self._ask(lambda who, job_id: reviewing[command](who, job_id, comment), caller, job)
        elif command in answering:
            self._ask(lambda who, job_id: app.review.answer_result(who, job_id, command, comment), caller, job)
        elif command is Command.DELETE_VIDEO:
            self._ask(app.jobs.delete_video, caller, job)
        elif command not in {Command.OPEN_UPLOAD, Command.REPLACE_VIDEO, Command.CONFIRM_VIDEO, Command.CONFIRM_COVER,
                             Command.CONFIRM_FILE}:  # fmt: skip
            self._ask(lambda who, job_id: app.jobs.ask(who, job_id, command, comment=comment), caller, job)

    def _approve(self, caller: Caller, job_id: str, comment: str) -> object:
        return self.world.app.review.approve(caller, job_id, comment)

    def _reject(self, caller: Caller, job_id: str, comment: str) -> object:
        return self.world.app.review.reject(caller, job_id, [comment])

    @rule(caller=who, job=which)
    def approve(self, caller: str, job: int) -> None:
        self._ask(self.world.app.review.approve, caller, job)

    @rule(caller=who, job=which)
    def submit(self, caller: str, job: int) -> None:
        # a submit that is refused may have sealed what was complete before it knew
        self._ask(self.world.app.uploads.submit, caller, job, unchanged=False)

    @rule(caller=who, job=which, stage=st.sampled_from(sorted(STAGE_BY_NAME)), what=st.integers(0, 4))
    def steer(self, caller: str, job: int, stage: str, what: int) -> None:
        use_cases = self.world.app.jobs
        self._ask(
            (
                use_cases.stop,
                lambda who, job_id: use_cases.retrain(who, job_id, stage, ["again"]),
                lambda who, job_id: use_cases.retrain(who, job_id, "training", ["again"]),
                use_cases.reset,
                use_cases.delete,
            )[what],
            caller,
            job,
        )

    @rule(caller=who, job=which, number=st.integers(-101, 12), setting=st.sampled_from(sorted(SETTINGS)))
    def set_something(self, caller: str, job: int, number: int, setting: Command) -> None:
        use_cases = self.world.app.jobs
        self._ask(lambda who, job_id: use_cases.set_priority(who, job_id, number), caller, job)
        self._ask(lambda who, job_id: use_cases.set_retry_count(who, job_id, number), caller, job)
        self._ask(lambda who, job_id: use_cases.configure(who, job_id, setting, number), caller, job)
        self._ask(lambda who, job_id: self.world.app.review.comment(who, job_id, "well"[number:]), caller, job)

    # files

    @rule(caller=who, job=which, kind=st.sampled_from(KINDS))
    def open_upload(self, caller: str, job: int, kind: FileKind) -> None:
        def work(who: Caller, job_id: str) -> None:
            upload = self.world.app.uploads.open(who, job_id, kind, f"{kind}.mp4")
            self.files.append((upload.file.id, upload.urls[1]))

        self._ask(work, caller, job)

    @rule(job=which)
    def upload_and_submit(self, job: int) -> None:
        """The usual way, so that walks get far."""

        def work(who: Caller, job_id: str) -> None:
            upload = self.world.app.uploads.open(who, job_id, FileKind.TRAINING_VIDEO, "video.mp4")
            self.files.append((upload.file.id, upload.urls[1]))
            self.world.storage.put_url(upload.urls[1], VIDEO)
            self.world.app.uploads.submit(who, job_id)

        self._ask(work, "owner", job, unchanged=False)

    @rule(file=st.integers(0, 5), data=st.sampled_from((VIDEO, BAD)))
    def put(self, file: int, data: bytes) -> None:
        if self.files:
            self.world.storage.put_url(self.files[-1 - file % len(self.files)][1], data)

    @rule(caller=who, file=st.integers(0, 5), what=st.sampled_from(("confirm", "sign_again", "give_up", "progress")))
    def about_file(self, caller: str, file: int, what: str) -> None:
        if self.files:
            use_case = getattr(self.world.app.uploads, what)
            file_id = self.files[-1 - file % len(self.files)][0]
            # a seal that is refused gives up what cannot be sealed any more
            self._refusable(lambda: use_case(getattr(self.world, caller), file_id), unchanged=what != "confirm")

    # the machine and its mishaps

    @rule()
    def work(self) -> None:
        self.world.tick()

    @rule()
    def work_for_a_minute(self) -> None:
        for _ in range(4):
            self.world.tick()
            self.world.clock.advance(20)

    @rule(effect=st.sampled_from((Effect.VERIFY, Effect.DISPATCH, Effect.STORE_MODEL, Effect.PUBLISH)))
    def drain(self, effect: Effect) -> None:
        self.world.app.engine.drain(effect)

    @rule(name=st.sampled_from([sweep.name for sweep in SWEEPS]), dry_run=st.booleans())
    def sweep(self, name: str, *, dry_run: bool) -> None:
        before = self.world.snapshot() if dry_run else None
        self.world.sweep(name, dry_run=dry_run)
        assert before is None or before == self.world.snapshot()

    @rule(effect=st.sampled_from((Effect.VERIFY, Effect.STORE_MODEL, Effect.PUBLISH)))
    def worker_dies(self, effect: Effect) -> None:
        """It has claimed, and is killed in the middle of its step: the leases stay."""
        app = self.world.process()

        app.engine._steps[effect] = app.engine._steps[effect]._replace(work=lambda _jobs: die())
        with suppress(Died):
            app.engine.drain(effect)

    @rule()
    def dispatcher_dies(self) -> None:
        """The run is in the ledger, and its backend was never asked."""
        self.world.dying_dispatcher()

    @rule(is_down=st.booleans())
    def trainer_backend(self, *, is_down: bool) -> None:
        self.world.trainer.is_down = is_down

    @rule(
        run=st.integers(0, 3),
        outcome=st.sampled_from(("succeed", "succeed", "succeed", "running", "gone", *FailureClass)),
    )
    def trainer_says(self, run: int, outcome: str) -> None:
        handles = list(self.world.trainer.submitted)
        if not handles:
            return
        handle = handles[-1 - run % len(handles)]
        if self.world.trainer._statuses[handle].state not in {RunState.PENDING, RunState.RUNNING}:
            return
        known = {r.handle: r for r in self.world.live_runs()}
        if outcome == "succeed":
            if handle in known:
                self.world.succeed(known[handle])
        elif outcome in {"running", "gone"}:
            self.world.trainer.say(handle, RunState(outcome), heartbeat_at=self.world.clock())
        else:
            self.world.trainer.say(handle, RunState.FAILED, failure=FailureClass(outcome), message="no")

    @rule(name=st.sampled_from(BREAKABLE), how=st.sampled_from(("before", "after")))
    def store_breaks(self, name: str, how: str) -> None:
        self.world.storage.breaks[name].append(how)

    @rule(data=st.sampled_from((REFUSED, None)))
    def prober_breaks(self, data: object) -> None:
        self.world.prober.trouble.append(StorageUnavailable("no answer") if data else ValueError("a bug"))

    @rule(by=st.sampled_from((1.0, 31.0, 90.0, 3600.0, 5 * 86400.0, 31 * 86400.0)))
    def time_passes(self, by: float) -> None:
        self.world.clock.advance(by)

    # what always holds

    @invariant()
    def the_log_leads_to_the_state(self) -> None:
        with self.world.database.read() as tx:
            for job_id, job in tx.jobs.get_many(self.job_ids).items():
                log = tx.reads.log(job_id)
                assert machine.replay(log) is job.state
                assert log[-1].version == job.version

    @invariant()
    def the_counts_are_right(self) -> None:
        counted = sa.select(job_counts.c.project_id, job_counts.c.state, sa.func.sum(job_counts.c.jobs)).group_by(
            job_counts.c.project_id, job_counts.c.state
        )
        real = sa.select(jobs.c.project_id, jobs.c.state, sa.func.count()).where(jobs.c.deleted_at.is_(None))
        rows = {tuple(row) for row in self._rows(counted) if row[2]}
        assert rows == {tuple(row) for row in self._rows(real.group_by(jobs.c.project_id, jobs.c.state))}

    @invariant()
    def one_of_each(self) -> None:
        live = self._rows(sa.select(runs.c.job_id).where(runs.c.ended_at.is_(None)))
        assert len(live) == len(set(live)), "two runs of one job at once"
        owned = self._rows(sa.select(assets.c.job_id))
        assert len(owned) == len(set(owned))
        single = files.c.kind.not_in([FileKind.ATTACHMENT, FileKind.ACTION_VIDEO])
        for state in (FileState.SEALED, FileState.OPEN):
            held = self._rows(sa.select(files.c.job_id, files.c.kind).where(files.c.state == state, single))
            assert len(held) == len(set(held)), f"two {state} files of one kind"

    @invariant()
    def live_runs_hold_slots(self) -> None:
        live = self._rows(sa.select(runs.c.id).where(runs.c.outcome.in_(["starting", "running"])))
        due = self._rows(sa.select(runs.c.id).where(runs.c.due_at.is_not(None)))
        assert sorted(live) == sorted(due)
        assert len(live) <= self.world.slots

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Who is not at an end has something due; who trains has a run that somebody looks at."""
        with self.world.database.read() as tx:
            for job in tx.jobs.get_many(self.job_ids).values():
                if job.state not in TERMINAL:
                    assert job.effect is not None, job
                    assert job.due_at is not None, job
                if job.state is JobState.AUTO_VERIFYING:
                    held = {f.kind for f in tx.files.of_job(job.id, FileState.SEALED)}
                    assert FileKind.TRAINING_VIDEO in held

    @invariant()
    def other_projects_see_nothing(self) -> None:
        app, stranger = self.world.app, self.world.stranger
        assert app.jobs.list(stranger, JobQuery(None)) == ([], 0)
        for job_id in self.job_ids:
            with pytest.raises(NotFound):
                app.jobs.show(stranger, job_id)
        for file_id, _ in self.files:
            with pytest.raises(NotFound):
                app.uploads.progress(stranger, file_id)

    @invariant()
    def what_is_sealed_is_there(self) -> None:
        for key, etag in self._rows(sa.select(files.c.final_key, files.c.etag).where(files.c.state == "sealed")):
            info = self.world.storage._objects.get(key)
            assert info is not None
            assert info.info.etag == etag

    # and in the end

    def the_machine_runs_on_and_nothing_is_stuck(self) -> None:
        world = self.world
        world.trainer.is_down = False
        world.storage.breaks.clear()
        world.prober.trouble.clear()
        world.clock.advance(timedelta(hours=1))  # whatever waits for its next try has waited long enough
        world.settle(ticks=100, step=60)
        with world.database.read() as tx:
            for job in tx.jobs.get_many(self.job_ids).values():
                info = STATES[job.state]
                assert info.owner is not Actor.SYSTEM, f"{job.id} is stuck in {job.state}: {job} {world.reports[-3:]}"
                assert job.lease_token is None
                assert job.state in TERMINAL or job.effect is Effect.OVERDUE, job
        assert world.live_runs() == []
        self._published_files_are_there()
        world.clock.advance(timedelta(days=40))
        for _ in range(4):
            world.tick()
            world.clock.advance(timedelta(hours=2))
        left = self._rows(
            sa.select(files.c.state).where(files.c.state.in_(["open", "sealing", "aborting", "deleting"]))
        )
        assert left == []
        assert list(world.storage.list("staging/")) == []
        assert list(world.storage.list_uploads("")) == []
        sealed = {key for (key,) in self._rows(sa.select(files.c.final_key).where(files.c.state == "sealed"))}
        assert {info.key for info in world.storage.list("files/")} == sealed

    def _published_files_are_there(self) -> None:
        query = sa.select(asset_files.c.key).join(assets).join(jobs, jobs.c.id == assets.c.job_id)
        for (key,) in self._rows(query.where(jobs.c.deleted_at.is_(None))):
            assert self.world.storage.head(key) is not None

    # helpers

    def _ask(self, use_case: Callable[[Caller, str], object], caller: str, job: int, *, unchanged: bool = True) -> None:
        if self.job_ids:
            job_id = self.job_ids[job % len(self.job_ids)]
            self._refusable(lambda: use_case(getattr(self.world, caller), job_id), unchanged=unchanged)

    def _refusable(self, work: Callable[[], object], *, unchanged: bool) -> None:
        """Ask; if it is refused, nothing may have changed. A store that gave no answer is no refusal."""
        before = self.world.snapshot()
        try:
            work()
        except StorageUnavailable:
            pass
        except UnderstudyError:
            if unchanged:
                assert self.world.snapshot() == before

    def _rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        with self.world.database.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]


def test_whatever_anybody_asks_the_job_stays_whole_and_gets_somewhere() -> None:
    nightly = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=1000 if nightly else 12,
            stateful_step_count=80 if nightly else 25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
