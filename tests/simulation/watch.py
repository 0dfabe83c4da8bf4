"""The promises, held at every commit and at the end of a schedule: no job lost, stuck or trained twice; no write to a
sealed file; no tenant sees another's data; every move is in the log."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.domain import machine
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import File, FileKind, FileState, Job, LogEntry, Move, Run
from orchestrator.domain.states import STATES, TERMINAL, JobState, Phase
from orchestrator.domain.views import JobQuery
from orchestrator.ports.trainer import RunSpec, RunState
from tests.fakes.store.jobs import JobRow
from tests.fakes.store.rows import RowsOfTx
from tests.simulation.watch_library import LibraryWatch

if TYPE_CHECKING:
    from tests.simulation.world import World

_SINGLE = frozenset(FileKind) - {FileKind.ATTACHMENT, FileKind.ASSET, FileKind.MEDIA}
_PASSING = frozenset({FileState.OPEN, FileState.SEALING, FileState.ABORTING, FileState.DELETING})
HALF_WAY = frozenset({FileState.SEALING, FileState.ABORTING, FileState.DELETING})
_WAYS = {
    FileState.OPEN: {FileState.SEALING, FileState.ABORTING},
    FileState.SEALING: {FileState.SEALING, FileState.SEALED, FileState.OPEN, FileState.ABORTING},
    FileState.SEALED: {FileState.DELETING},
    FileState.ABORTING: {FileState.ABORTED},
    FileState.DELETING: {FileState.DELETED},
    FileState.ABORTED: set(),
    FileState.DELETED: set(),
}


class Broken(AssertionError):
    """A promise was not kept."""


def _hold(condition: object, what: object) -> None:
    if not condition:
        raise Broken(what)


class Watch:
    """Looks on from outside of the use cases."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.accepted: set[str] = set()  # SHA-256 of what the prober took
        self.bad: list[Broken] = []  # told inside a use case, which may catch anything; raised by the world
        self.library = LibraryWatch(world)
        data = world.store.data
        data.committed = self._committing
        self._looks = (("jobs", self._job), ("files", self._file))
        data.moved = self._moving

    def note(self, condition: object, what: object) -> None:
        """A promise that does not hold ends the storm."""
        if not condition:
            self.complain(what)

    def complain(self, what: object) -> None:
        self.bad.append(Broken(what))
        self._world.scheduler.stop()

    # while it happens

    def writing(self, key: str, data: bytes) -> None:
        """No byte of a sealed file is written again, not even the same ones."""
        for row in self._world.store.data.table("files").values():
            file: File = row.file
            if file.final_key == key and file.state is FileState.SEALED:
                there = self._world.storage.bucket._objects.get(key)
                self.note(there is not None and there.data == data, f"sealed file {file.id} is written over")

    def submitted(self, spec: RunSpec, key: str) -> None:
        """A run is in the ledger before its backend is asked, and learns only what the checks have passed."""
        row = self._world.store.data.table("runs").get(spec.run_id)
        self.note(row is not None and row.run.key == key, f"run {key} is submitted, and not in the ledger")
        others = [
            t for t in self._world.trainer.trainings.values()
            if t.spec.job_id == spec.job_id and t.state is RunState.RUNNING
            and self._world.scheduler.now_s < t.ends_s and t.fate is not RunState.GONE
        ]  # fmt: skip
        self.note(not others or self._ended(row), f"{key} is submitted while {[t.spec.run_id for t in others]} runs")

    @staticmethod
    def _ended(row: object) -> bool:
        """Submitted by somebody slow, for a run that has ended for the ledger: it is cancelled by whoever finds out."""
        return row is not None and row.run.ended_at is not None  # type: ignore[attr-defined]  # a RunRow

    def _moving(self, move: Move, before: Job) -> None:
        """Who works off what is due of a job moves it only while the lease is theirs."""
        lease, until = before.lease_token, before.lease_until
        if lease is None or until is None or any(c.actor is not Actor.SYSTEM for c in move.changes[:1]):
            return
        command = move.changes[0].command
        self.note(move.fence == lease, f"{command} of {before.id} in {before.state} by somebody without the lease")

    def _committing(self, rows: RowsOfTx) -> None:
        own = rows.own
        for table, look in self._looks:
            if table in own:
                committed = rows.data.tables[table]
                for key, row in own[table].items():
                    former = committed.get(key)
                    if former is not None and row is not None:
                        look(former, row, rows)
        if "runs" in own or "jobs" in own:
            self._runs(rows)

    def _job(self, former: JobRow, row: JobRow, rows: RowsOfTx) -> None:
        before, after = former.job, row.job
        if before.version == after.version:
            self.note(before.state is after.state, f"{after.id} moved without a new version")
            return
        known = rows.data.table("log").get(after.id, ())
        log: tuple[LogEntry, ...] = rows.get("log", after.id)
        versions = list(dict.fromkeys(line.version for line in log[len(known) :]))
        fitting = list(range(before.version + 1, after.version + 1))
        self.note(versions == fitting, f"the log of {after.id} goes on with {versions} from {before.version}")
        self.note(before.version < after.version, f"{after.id} went back from {before.version} to {after.version}")

    def _file(self, former: object, row: object, rows: RowsOfTx) -> None:
        del rows
        old, new = former.file, row.file  # type: ignore[attr-defined]  # rows of files
        if old.version == new.version:
            self.note(old.state is new.state, f"file {new.id} moved without a new version")
        else:
            # the row of a copy says first that it is to be deleted: see `Preparation`
            taken = old.state is new.state is FileState.DELETING and old.etag is None
            adopted = old.state is FileState.DELETING and old.etag is None and new.state is FileState.SEALED
            # sealed for media that were deleted meanwhile: both moves in one transaction
            unwanted = new.kind is FileKind.MEDIA and (old.state, new.state) == (FileState.SEALING, FileState.DELETING)
            fits = taken or adopted or unwanted or new.state in _WAYS[old.state]
            self.note(fits, f"file {new.id} went from {old.state} to {new.state}")
            steps = new.version - old.version
            self.note(steps == 1 + unwanted, f"file {new.id} jumped from {old.version} to {new.version}")
        if old.state is FileState.SEALED:
            self.note((old.final_key, old.etag) == (new.final_key, new.etag), f"sealed file {new.id} was changed")

    def _runs(self, rows: RowsOfTx) -> None:
        live: list[Run] = [row.run for _, row in rows.all("runs") if row.run.ended_at is None]
        self.note(len(live) <= self._world.slots, f"{len(live)} runs in {self._world.slots} slots")
        self.note(len({run.job_id for run in live}) == len(live), f"two runs at once: {[run.key for run in live]}")
        for run in live:
            row = rows.get("jobs", run.job_id)
            stands = row is not None and row.deleted_at is None and row.job.run_id == run.id
            self.note(stands or run.cancel_at is not None, f"{run.key} goes on, and its job does not stand on it")

    # at the end

    def check_quiet(self) -> None:
        """Nothing is left to do: every job is at an end, or waits for a person."""
        for row in self.jobs():
            job = row.job
            _hold(job.lease_token is None, f"{job.id} is still leased in {job.state}")
            _hold(STATES[job.state].owner is not Actor.SYSTEM, f"{job.id} is stuck in {job.state}: {job}")
            _hold(job.state in TERMINAL or job.effect is Effect.OVERDUE, f"{job.id} has {job.effect} in {job.state}")
        self._check_logs()
        self._check_runs()
        self._check_models()
        self._check_files()
        self._check_walls()
        wrong = self.library.wrong()
        _hold(not wrong, wrong)

    def job(self, job_id: str) -> Job | None:
        """What a person sees at a glance, without asking anybody; None: it was deleted."""
        row = self._world.store.data.table("jobs").get(job_id)
        return None if row is None or row.deleted_at is not None else row.job

    def is_open(self, job_id: str) -> bool:
        """Whether it still waits for its owner to submit it."""
        job = self.job(job_id)
        return job is not None and STATES[job.state].phase in {Phase.INIT, Phase.FAILED}

    def jobs(self) -> list[JobRow]:
        return [row for row in self._world.store.data.table("jobs").values() if row.deleted_at is None]

    def _check_logs(self) -> None:
        counted: Counter[tuple[str, JobState]] = Counter()
        for row in self.jobs():
            log = self._world.store.data.table("log")[row.job.id]
            try:
                leads_to = machine.replay(log)
            except ValueError as exc:
                raise Broken(str(exc)) from exc
            _hold(leads_to is row.job.state, f"the log of {row.job.id} does not lead to {row.job.state}")
            _hold(log[-1].version == row.job.version, f"the log of {row.job.id} ends at {log[-1].version}")
            counted[row.job.project_id, row.job.state] += 1
        with self._world.store.read() as tx:
            for project in ("project-1", "project-2"):
                told = {(project, state): n for state, n in tx.reads.counts(project).items()}
                _hold(told == {k: n for k, n in counted.items() if k[0] == project}, f"counts of {project}: {told}")

    def _check_runs(self) -> None:
        rows = self._world.store.data.table("runs").values()
        live = [row.run.key for row in rows if row.run.ended_at is None or row.due_at is not None]
        _hold(not live, f"live runs: {live}")
        trainer = self._world.trainer
        for key, handle in trainer.by_key.items():
            training = trainer.trainings[handle]
            _hold(training.state is not RunState.RUNNING, f"{key} goes on at the backend, and nobody looks at it")
        tries = Counter((t.spec.job_id, t.spec.stage, t.spec.attempt) for t in trainer.trainings.values())
        _hold(all(n == 1 for n in tries.values()), f"trained twice: {tries}")

    def _check_models(self) -> None:
        data = self._world.store.data
        for row in self.jobs():
            job = row.job
            asset_id = data.table("asset of job").get(job.id)
            if job.state in {JobState.JOB_SUCCESS, JobState.JOB_FINISH, JobState.WAIT_USER_CONFIRM}:
                _hold(asset_id is not None and job.asset_id == asset_id, f"{job.id} names the model {job.asset_id}")
                self._check_parts_of_model(job.id, str(asset_id))
                for run in (each.run for each in data.table("runs").values() if each.run.job_id == job.id):
                    training = self._world.trainer.trainings.get(run.handle or "")
                    for name, sha256 in training.hashes.items() if training is not None else ():
                        _hold(
                            not name.endswith(".mp4") or sha256 in self.accepted,
                            f"{run.key} learned from {name}, which no check has passed",
                        )
        owned = Counter(each.asset.job_id for each in data.table("assets").values())
        _hold(all(n == 1 for n in owned.values()), f"models of jobs: {owned}")

    def _check_parts_of_model(self, job_id: str, asset_id: str) -> None:
        """A model has all its files, but those that its owner has taken away."""
        data = self._world.store.data
        made = [row.run for row in data.table("runs").values() if row.run.job_id == job_id and not row.superseded]
        names = {str(each["name"]) for run in made for each in run.artefacts}
        held = {file.name for file in self.library.files_of(asset_id)}
        gone = names - held - self.library.taken.get(asset_id, set())
        is_erased = data.table("assets")[asset_id].deleted_at is not None
        _hold(is_erased or not gone, f"the model of {job_id} lacks {gone}")

    def _check_files(self) -> None:
        held: Counter[tuple[str, FileKind, FileState]] = Counter()
        for file in self._files():
            _hold(file.state not in HALF_WAY, f"file {file.id} is stuck in {file.state}")
            if file.state is FileState.SEALED:
                there = self._world.storage.bucket.head(str(file.final_key))
                _hold(
                    there is not None and there.etag == file.etag, f"the bytes of sealed file {file.id} are not there"
                )
            if file.kind in _SINGLE and file.state in {FileState.SEALED, FileState.OPEN}:
                held[str(file.job_id), file.kind, file.state] += 1
        _hold(all(n == 1 for n in held.values()), f"files of one kind: {held}")

    def _files(self) -> list[File]:
        return [row.file for row in self._world.store.data.table("files").values()]

    def _check_walls(self) -> None:
        """Other projects see nothing."""
        world = self._world
        for row in self.jobs():
            with suppress(NotFound):
                world.app.jobs.show(world.strangers[row.job.project_id], row.job.id)
                raise Broken(f"a stranger sees {row.job.id}")
        for project, stranger in world.strangers.items():
            page, _ = world.app.jobs.list(stranger, JobQuery(project))
            _hold(all(each.job.project_id != project for each in page), f"a list shows jobs of {project}")

    def left(self) -> list[str]:
        """What should be gone when the longest time limit is over: uploads, staged objects, half-done and old rows."""
        world = self._world
        bucket, too_old = world.storage.bucket, world.scheduler.clock() - world.timing.keep_deleted
        sealed = {file.final_key for file in self._files() if file.state is FileState.SEALED}
        kept = {each.key for each in bucket.list("files/")}
        return [
            *(f"file {file.id} is {file.state}" for file in self._files() if file.state in _PASSING),
            *(f"staged: {each}" for each in bucket.list("staging/")),
            *(f"upload: {each}" for each in bucket.list_uploads("")),
            *(f"object of no file: {key}" for key in sorted(kept - sealed)),
            *(f"deleted, and not erased: {row.job.id}" for row in world.store.data.table("jobs").values()
              if row.deleted_at is not None and row.deleted_at < too_old),
            *self.library.left(),
        ]  # fmt: skip

    def check_clean(self) -> None:
        """After the longest time limit nothing that passes is left, and nothing that stays is gone."""
        left = self.left()
        _hold(not left, left)
        bucket = self._world.storage.bucket
        gone = [
            file.id for file in self._files() if file.state is FileState.SEALED and not bucket.head(str(file.final_key))
        ]
        _hold(not gone, f"files without an object: {gone}")
