"""What people and public APIs ask of jobs. One method, one transaction; the table decides, here the role is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from orchestrator.app.context import Context, new_id
from orchestrator.app.library import let_go
from orchestrator.app.moves import Ask, plan, wake
from orchestrator.app.rereads import again
from orchestrator.domain import machine
from orchestrator.domain.actors import Actor, Caller, Role
from orchestrator.domain.assets import AssetNotFound, AssetState
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Forbidden, GuardRefused, Invalid, NotFound, StaleJob
from orchestrator.domain.guards import Given
from orchestrator.domain.model import Change, FileKind, FileState, Job, JobId, JobSheet, Move
from orchestrator.domain.profile import SWITCHES, Profile
from orchestrator.domain.stages import LEARNING, STAGE_BY_NAME, STAGES
from orchestrator.domain.states import TERMINAL, JobState
from orchestrator.domain.transitions import SETTINGS
from orchestrator.domain.views import MAX_PAGE, JobDetail, JobQuery, JobSummary
from orchestrator.ports.store import Tx

PRIORITIES: Final = range(-100, 101)
MAX_RETRIES: Final = 10  # MetaStudio's bound of flexus_retry_count
_CREATED = machine.ROWS[None, Command.CREATE, Actor.USER][0]
_REVIEWING: Final = frozenset({Command.APPROVE, Command.REJECT})
_BY_OWNERS: Final = frozenset(command for _, command, who in machine.ROWS if who is Actor.USER)
# These learn from the material again, so it must still be there: its owner may have deleted the video since.
_LEARNS_AGAIN: Final = frozenset({Command.RESET, Command.REPAIR, *(stage.redo for stage in LEARNING)})
_NEEDS_MATERIAL: Final = _LEARNS_AGAIN | {Command.REDO_VIDEO_ANALYZE}
# These say that a file has been put in by hand.
_TELLS_OF_FILES: Final = frozenset({Command.UPLOAD_MASK, Command.UPLOAD_ACTION_MARK, Command.UPLOAD_BEAUTY_VIDEO})
_LOOKS_AT_FILES: Final = _NEEDS_MATERIAL | _TELLS_OF_FILES | {stage.redo for stage in STAGES}


def actor_of(caller: Caller, job: Job, command: Command) -> Actor:
    """As whom the caller may ask `command`.

    Raises:
        NotFound: the job is of a project the caller may not see.
        Forbidden: the caller's role is not enough.
    """
    if not caller.may_see(job.project_id):
        raise NotFound(f"there is no job {job.id}", job_id=job.id)
    if command in _BY_OWNERS:
        if caller.project_id != job.project_id and not caller.has(Role.ADMIN):
            raise Forbidden(f"{command} is for the owner of the job", command=command.value)
        return Actor.USER
    needed = Role.REVIEWER if command in _REVIEWING else Role.ADMIN
    caller.require(needed, command)
    return Actor.ADMIN


class Jobs:
    """Use cases on jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # making

    def create(
        self, caller: Caller, profile: str, name: str, *, switches: frozenset[str] = frozenset(), priority: int = 0,
        repairs: int | None = None, sheet: Mapping[str, object] | None = None,
        also: Callable[[Tx, Job], None] | None = None, job_id: str | None = None,
    ) -> Job:  # fmt: skip
        """A draft.

        Args:
            switches: added to the profile's own (named_account, flexus ...).
            repairs: owner-asked retrainings; None: the profile's number.
            sheet: further fields of JobSheet.
            also: what is written in the same transaction.
            job_id: of a request that may have been done before: then its job is given, as it is now.

        Raises:
            Invalid: unknown profile or switch, a name or priority outside its limits.
        """
        kind = self._context.profile(profile)
        check_name(name, kind)
        _check_priority(priority)
        if unknown := sorted(switches - kind.all_switches - set(SWITCHES)):
            raise Invalid(f"there are no switches {unknown}; there are {sorted(SWITCHES)}", field="switches")
        at = self._context.clock()
        due, due_at = machine.schedule(_CREATED, at, kind.deadlines.get(_CREATED.leads_to))
        may_be_there, job_id = job_id is not None, job_id or new_id(at)
        job = Job(
            JobId(job_id), caller.project_id, profile, _CREATED.leads_to, 0, priority, due, due_at, None, None, 0,
            kind.all_switches | switches, 0, 0, 0, None, None, approved=False,
            repairs_left=kind.repairs if repairs is None else repairs,
            suspended_from=None, run_id=None, asset_id=None, pool=None,
        )  # fmt: skip
        change = Change(Command.CREATE, Actor.USER, caller.name, None, _CREATED.leads_to, _CREATED.logs, 0, at)
        written = JobSheet(name=name, owner=caller.name, app_user_id=caller.app_user_id, **dict(sheet or {}))  # type: ignore[arg-type]  # checked by the dialect's model
        with self._context.store.begin() as tx:
            if may_be_there:
                tx.leases.lock(f"job:{job_id}")  # who asked first may be slow, not dead
                with suppress(NotFound):
                    return tx.jobs.get(job_id, caller.project_id)
            tx.jobs.add(job, written, change)
            if also is not None:
                also(tx, job)
        return job

    # asking

    def ask(
        self, caller: Caller, job_id: str, command: Command, *, comment: str = "", description: str = "",
        details: dict[str, object] | None = None,
        sheet: Mapping[str, object] | Callable[[Tx], Mapping[str, object]] | None = None,
        assign: Mapping[str, object] | None = None,
    ) -> Job:  # fmt: skip
        """Ask `command`; state, log and what is due next are written together or not at all.

        Args:
            sheet: fields of JobSheet to write with it, or what reads them in the same transaction.
            assign: columns of Job to write with it.

        Raises:
            NotFound, Forbidden, CommandNotAllowed, GuardRefused.
        """

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            actor = actor_of(caller, job, command)
            completed = frozenset(tx.runs.succeeded([job.id])[job.id]) if job.approved else frozenset()
            held = _held(tx, job) if command in _LOOKS_AT_FILES else frozenset()
            missing = self._missing(job, tx.reads.sheet(job_id), held) if command in _NEEDS_MATERIAL else ()
            ask = Ask(
                command, actor, caller.name, Given(missing, held, comment, completed),
                description=description or comment, details=details, assign=assign,
                message=_message_after(command, comment),
            )  # fmt: skip
            at = self._context.clock()
            move = plan(self._context.profile_of(job), job, ask, at)
            if missing:
                raise GuardRefused(
                    f"job {job.id} is {job.state}: {command} is refused: {'; '.join(missing)}",
                    job_id=job.id, state=job.state.value, command=command.value, reason="; ".join(missing),
                )  # fmt: skip
            tx.jobs.move(move, **dict(sheet(tx) if callable(sheet) else sheet or {}))
            hand_over(tx, move)
            return move

        return self.transact(work).after

    def _missing(self, job: Job, sheet: JobSheet, held: frozenset[FileKind]) -> tuple[str, ...]:
        return tuple(self._context.profile_of(job).lacking(job.switches, sheet.attributes, held).values())

    def transact(self, work: Callable[[Tx], Move]) -> Move:
        """Run `work` in a transaction; whoever comes second looks again. Wakes whom the move concerns."""

        def once() -> Move:
            with self._context.store.begin() as tx:
                move = work(tx)
                tx.after_commit(lambda: wake(self._context, [move], self._context.clock()))
                return move

        return again(once)

    def edit(self, caller: Caller, job_id: str, command: Command = Command.EDIT, **sheet: object) -> Job:
        """Change name, description and free fields, where the table lets the owner. Unknown fields are a TypeError."""
        JobSheet(**({"name": ""} | sheet))  # type: ignore[arg-type]  # refuses unknown fields
        name = sheet.get("name")
        if name is not None:
            with self._context.store.read() as tx:
                kind = self._context.profile_of(tx.jobs.get(job_id, caller.scope))
            check_name(str(name), kind)
        return self.ask(caller, job_id, command, details={"fields": sorted(sheet)}, sheet=sheet)

    def change(
        self, caller: Caller, job_id: str, *, name: str | None = None, description: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> Job:  # fmt: skip
        """Change what is given: name and description wherever the job is, and of its model too; the rest as `edit`.

        Args:
            attributes: laid over those the job has.

        Raises:
            CommandNotAllowed: attributes are given, and the job is at work or done.
        """
        told = {key: text for key, text in (("name", name), ("description", description)) if text is not None}
        command = Command.EDIT if attributes else Command.DESCRIBE

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id, caller.scope)
            kind = self._context.profile_of(job)
            if name is not None:
                check_name(name, kind)
            changed: dict[str, object] = {"fields": sorted({*told, *(attributes or {})})}
            ask = Ask(command, actor_of(caller, job, command), caller.name, details=changed)
            at = self._context.clock()
            move = plan(kind, job, ask, at)
            values: dict[str, object] = dict(told)
            if attributes:
                values["attributes"] = {**tx.reads.sheet(job_id).attributes, **attributes}
            tx.jobs.move(move, **values)
            if told and job.asset_id is not None:
                with suppress(AssetNotFound):  # thrown away since
                    tx.library.save(tx.library.get(job.asset_id, job.project_id), **told, updated_at=at)
            return move

        return self.transact(work).after

    def delete(self, caller: Caller, job_id: str) -> None:
        """Take the job away with its files and its model; objects follow by the retention sweep."""

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            at = self._context.clock()
            ask = Ask(Command.DELETE, actor_of(caller, job, Command.DELETE), caller.name)
            move = plan(self._context.profile_of(job), job, ask, at)
            discard(tx, move)
            return move

        self.transact(work)

    def delete_video(self, caller: Caller, job_id: str) -> Job:
        """Delete the videos of a job that no longer needs them."""

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            at = self._context.clock()
            ask = Ask(Command.DELETE_VIDEO, actor_of(caller, job, Command.DELETE_VIDEO), caller.name)
            move = plan(self._context.profile_of(job), job, ask, at)
            tx.jobs.move(move)
            for file in tx.files.of_job(job.id, FileState.SEALED):
                if file.kind.endswith("_video"):
                    tx.files.move(file, FileState.DELETING, due_at=at)
            return move

        return self.transact(work).after

    # admin verbs

    def stop(self, caller: Caller, job_id: str, reason: str = "") -> Job:
        """Stop the stage at work or waited for; its run is asked to end."""

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            at = self._context.clock()
            ask = Ask(
                Command.STOP, actor_of(caller, job, Command.STOP), caller.name,
                description=reason, message=reason or f"stopped by {caller.name}",
            )  # fmt: skip
            move = plan(self._context.profile_of(job), job, ask, at)
            tx.jobs.move(move)
            if tx.runs.ask_to_stop(job.id, at):
                tx.after_commit(lambda: self._context.waker.wake("observe_runs"))
            return move

        return self.transact(work).after

    def retrain(self, caller: Caller, job_id: str, stage: str, reasons: Sequence[str] = ()) -> Job:
        """Run a stage and what follows it again.

        Raises:
            Invalid: no such stage.
        """
        found = STAGE_BY_NAME.get(stage)
        if found is None:
            raise Invalid(f"there is no stage {stage!r}; there are {sorted(STAGE_BY_NAME)}", field="stage")
        details: dict[str, object] = {"redo_reasons": list(reasons)}
        return self.ask(caller, job_id, found.redo, description="; ".join(reasons), details=details)

    def reset(self, caller: Caller, job_id: str, reasons: Sequence[str] = ()) -> Job:
        """Begin the machine work of an approved job anew."""
        return self.ask(
            caller, job_id, Command.RESET, description="; ".join(reasons), details={"redo_reasons": list(reasons)}
        )

    def set_priority(self, caller: Caller, job_id: str, priority: int) -> Job:
        _check_priority(priority)
        return self.ask(
            caller, job_id, Command.SET_PRIORITY, details={"priority": priority}, assign={"priority": priority}
        )

    def set_retry_count(self, caller: Caller, job_id: str, count: int) -> Job:
        """How many retries the job has left: of its present stage by the machine, and of retrainings by its owner."""
        if not 0 <= count <= MAX_RETRIES:
            raise Invalid(f"the retry count is {count}; 0 to {MAX_RETRIES} are allowed", field="retry_count")
        assign = {"retry_limit": count, "repairs_left": count, "retries": 0}
        return self.ask(caller, job_id, Command.SET_RETRY_COUNT, details={"retry_count": count}, assign=assign)

    def configure(self, caller: Caller, job_id: str, command: Command, value: object) -> Job:
        """Set one of the settings that reach the trainer.

        Raises:
            Invalid: not a setting.
        """
        if command not in SETTINGS:
            raise Invalid(f"{command} is no setting; there are {sorted(SETTINGS)}", field="setting")

        def settings(tx: Tx) -> dict[str, object]:
            return {"settings": {**tx.reads.sheet(job_id).settings, command.removeprefix("set_"): value}}

        return self.ask(caller, job_id, command, details={"value": value}, sheet=settings)

    # looking

    def show(self, caller: Caller, job_id: str) -> JobDetail:
        """A job with its log, comments, files and runs. Raises NotFound, also for another project's job."""
        with self._context.store.read() as tx:
            return tx.reads.detail(job_id, caller.scope)

    def list(self, caller: Caller, query: JobQuery) -> tuple[Sequence[JobSummary], int]:
        """A page of jobs and the number of all matches; users see their own project only."""
        if not 1 <= query.limit <= MAX_PAGE:
            raise Invalid(f"the page size is {query.limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        if not caller.sees_all_projects:
            query = replace(query, project_id=caller.project_id)
        with self._context.store.read() as tx:
            return tx.reads.page(query), tx.reads.count(query)

    def counts(self, caller: Caller) -> dict[JobState, int]:
        with self._context.store.read() as tx:
            return tx.reads.counts(caller.scope)

    def open_commands(self, caller: Caller, detail: JobDetail) -> Sequence[Command]:
        """What this caller may ask of this job now: buttons, and hints in errors."""
        job = detail.job
        held = frozenset(file.kind for file in detail.files if file.state is FileState.SEALED)
        missing = self._missing(job, detail.sheet, held)
        completed: frozenset[str] = frozenset()
        if job.approved and caller.role is not Role.USER:  # only admins' commands ask for it, of approved jobs
            with self._context.store.read() as tx:
                completed = frozenset(tx.runs.succeeded([job.id])[job.id])
        given = Given(missing=missing, held=held, completed=completed, comment="?", run_id=job.run_id)
        actors = [Actor.USER, *([Actor.ADMIN] if caller.role is not Role.USER else [])]
        found = {command for actor in actors for command in machine.commands_open(job, actor, given)}
        if caller.role is Role.REVIEWER:
            found -= {command for command in found - _REVIEWING if command not in _BY_OWNERS}
        if caller.project_id != job.project_id and not caller.has(Role.ADMIN):
            found -= _BY_OWNERS
        return sorted(found - _LEARNS_AGAIN if missing else found)


def _held(tx: Tx, job: Job) -> frozenset[FileKind]:
    return frozenset(file.kind for file in tx.files.of_job(job.id, FileState.SEALED))


def discard(tx: Tx, move: Move) -> None:
    """Write a deleting move and let go of everything the job holds."""
    at = move.changes[-1].at
    tx.jobs.delete(move)
    tx.runs.ask_to_stop(move.before.id, at)
    for file in tx.files.of_job(move.before.id, FileState.OPEN, FileState.SEALING, FileState.SEALED):
        ending = FileState.DELETING if file.state is FileState.SEALED else FileState.ABORTING
        tx.files.move(file, ending, due_at=at)
    let_go(tx, tx.assets.drop_of_job(move.before.id, at), at)


def hand_over(tx: Tx, move: Move) -> None:
    """The asset of a job whose result has just been accepted is in use from now on."""
    before, after = move.before, move.after
    if after.asset_id is not None and after.state in TERMINAL and before.state not in TERMINAL:
        with suppress(StaleJob):  # it is in use already
            tx.assets.set_state(after.asset_id, AssetState.UNACTIVED, AssetState.ACTIVED, move.changes[-1].at)


def check_name(name: str, profile: Profile) -> None:
    """Raises Invalid."""
    if not 1 <= len(name) <= profile.name_limit:
        said = f"the name has {len(name)} characters; {profile.name} takes 1 to {profile.name_limit}"
        raise Invalid(said, field="name")


def _check_priority(priority: int) -> None:
    if priority not in PRIORITIES:
        raise Invalid(f"the priority is {priority}; {PRIORITIES[0]} to {PRIORITIES[-1]} are allowed", field="priority")


def _message_after(command: Command, comment: str) -> str | None:
    """What the job says of itself after a command: reviewers' reasons stay readable, all other moves clear it."""
    if command is Command.REJECT:
        return comment
    moves = any(row.target is not None for key, rows in machine.ROWS.items() if key[1] is command for row in rows)
    return "" if moves else None
