"""Intake for APIs that hand out the addresses of all files at once, and leave it to the review to say what lacks.

Uploads of one call are begun side by side at the store, and written with the job in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final, NamedTuple

from orchestrator.app.context import Context
from orchestrator.app.jobs import Jobs, actor_of, check_name, hand_over
from orchestrator.app.media_use import MediaUse
from orchestrator.app.moves import Ask, plan
from orchestrator.app.sealing import BY_ADMINS, Sealing
from orchestrator.app.uploads import (
    Upload,
    UploadProgress,
    Uploads,
    begun,
    check_file_name,
    due_of,
    forget,
    plan_of,
    signed,
    supersede,
    without_media,
)
from orchestrator.domain import uploads
from orchestrator.domain.actors import Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import (
    Invalid,
    Refused,
    UnderstudyError,
    UploadError,
    UploadIncomplete,
    UploadNotOpen,
)
from orchestrator.domain.guards import Given
from orchestrator.domain.model import CommentType, File, FileKind, FileState, Job, JobId, Move
from orchestrator.domain.views import MAX_PAGE, JobQuery, JobSummary
from orchestrator.ports.store import Tx

THREADS: Final = 8
MAX_ATTACHMENTS: Final = 20  # of one comment
_ARRIVED: Final = (FileState.SEALED, FileState.DELETING, FileState.DELETED)


class Want(NamedTuple):
    """Addresses for one file. `name` is what it is called when it is downloaded."""

    kind: FileKind
    part_count: int = 1
    content_type: str = "application/octet-stream"
    name: str = ""


class Intake:
    """Use cases on whole jobs with their files."""

    def __init__(self, context: Context, jobs: Jobs, uploads: Uploads, sealing: Sealing, media: MediaUse) -> None:
        self._context = context
        self._jobs = jobs
        self._uploads = uploads
        self._sealing = sealing
        self._media = media

    def create(
        self, caller: Caller, profile: str, name: str, wants: Sequence[Want], *, switches: frozenset[str] = frozenset(),
        sheet: Mapping[str, object] | None = None,
    ) -> tuple[Job, Mapping[FileKind, Upload]]:  # fmt: skip
        """A draft with addresses for its files. The project's attribute `named_account` becomes the job's switch."""
        with self._context.store.read() as tx:
            if tx.keys.project_attributes(caller.project_id).get("named_account") is True:
                switches |= {"named_account"}
        files = self._begun(caller.project_id, wants, self._context.profile(profile).upload_lifetime)

        def also(tx: Tx, job: Job) -> None:
            nonlocal files
            files = [_of_job(file, job) for file in files]
            for file in files:
                tx.files.add(file, due_of(self._context, file))

        try:
            job = self._jobs.create(caller, profile, name, switches=switches, sheet=sheet, also=also)
        except UnderstudyError:
            self._forget(files)
            raise
        return job, {file.kind: self._signed(file) for file in files}

    def update(
        self, caller: Caller, job_id: str, wants: Callable[[Mapping[str, object]], Sequence[Want]], *,
        sheet: Mapping[str, object],
        attributes: Callable[[Mapping[str, object], frozenset[str]], Mapping[str, object]], replaces_video: bool,
    ) -> Mapping[FileKind, Upload]:  # fmt: skip
        """Change a job whose review failed, and give fresh addresses; earlier ones of the same kinds die.

        Args:
            wants: which files addresses are for, by the new attributes.
            attributes: makes the new ones of those the job has, and of its switches.
            replaces_video: the log says so.

        Raises:
            CommandNotAllowed: the job is in another state.
        """
        with self._context.store.read() as tx:
            seen = tx.jobs.get(job_id, caller.project_id)
            wanted = wants(attributes(tx.reads.sheet(job_id).attributes, seen.switches))
        profile = self._context.profile_of(seen)
        if "name" in sheet:
            check_name(str(sheet["name"]), profile)
        ask = Ask(Command.UPDATE, actor_of(caller, seen, Command.UPDATE), caller.name)
        plan(profile, seen, ask, self._context.clock())  # before anything is begun at the store
        files = [_of_job(file, seen) for file in self._begun(seen.project_id, wanted, profile.upload_lifetime)]
        given_up: list[File] = []

        def work(tx: Tx) -> Move:
            at = self._context.clock()
            job = tx.jobs.get(job_id)
            move = plan(profile, job, ask._replace(details={"fields": sorted(sheet)}), at)
            told = attributes(tx.reads.sheet(job_id).attributes, job.switches)
            tx.jobs.move(move, **sheet, attributes=without_media(told, [file.kind for file in files]))
            if replaces_video:
                video = Ask(Command.REPLACE_VIDEO, ask.actor, caller.name)
                move = plan(profile, move.after, video, at)
                tx.jobs.move(move)
            given_up[:] = [
                tx.files.move(old, FileState.ABORTING, due_at=at)
                for old in tx.files.of_job(job_id, FileState.OPEN)
                if old.kind in {file.kind for file in files}
            ]
            for file in files:
                tx.files.add(file, due_of(self._context, file))
            return move

        try:
            self._jobs.transact(work)
        except UnderstudyError:
            self._forget(files)
            raise
        for old in given_up:
            with suppress(UploadError):  # the sweep was faster
                self._sealing.abort(old)
        return {file.kind: self._signed(file) for file in files}

    def progress(self, caller: Caller, job_id: str, kind: FileKind, command: Command) -> UploadProgress:
        """Which parts of a file have arrived; of a sealed one all, with the ETag of the whole.

        Args:
            command: what would be asked with the file, and has to be open to the job now.

        Raises:
            UploadNotOpen: nothing of the kind was begun.
        """
        file = self._newest(caller, job_id, kind, command)
        if file.state is FileState.OPEN:
            return self._uploads.progress(caller, file.id)
        sizes = file.part_sizes or (0,) * file.part_count
        return UploadProgress(file, {n: (str(file.etag), sizes[n - 1]) for n in plan_of(file).numbers}, [])

    def confirm(self, caller: Caller, job_id: str, kind: FileKind, command: Command) -> File:
        """Seal the file of a kind; sealed already, or just now by another call, it answers the same.

        Raises:
            UploadIncomplete, UploadNotOpen.
        """
        file = self._newest(caller, job_id, kind, command)
        try:
            return self._uploads.confirm(caller, file.id)
        except UploadNotOpen:
            there = self._sealing.awaited(self._now(file))
            if there.state is not FileState.SEALED:
                raise
            return there

    def _newest(self, caller: Caller, job_id: str, kind: FileKind, command: Command) -> File:
        with self._context.store.read() as tx:
            job = tx.jobs.get(job_id, caller.project_id)
            held = tx.files.of_job(job_id, FileState.OPEN, FileState.SEALING, FileState.SEALED)
        plan(self._context.profile_of(job), job, Ask(command, actor_of(caller, job, command)), self._context.clock())
        found = [file for file in held if file.kind is kind]
        if not found:
            name = kind.replace("_", " ")
            raise UploadNotOpen(f"no {name} was uploaded, and no upload of it is open", kind=kind.value)
        return found[-1]

    def submit(
        self, caller: Caller, job_id: str, confirmed_first: Collection[FileKind], why: str = "", *,
        there_first: Collection[FileKind] = (),
    ) -> Job:  # fmt: skip
        """Take the media that the job names, seal what is complete, submit. What lacks is for the review to say.

        Args:
            confirmed_first: kinds that their owner has to have confirmed; required ones have to be there.
            there_first: kinds that have to be there where they are required; sealed here.

        Raises:
            GuardRefused: one of these is not confirmed or not there, or a file is half sent.
            MediaNotFound, MediaNotReady, MediaNotUsable: media that the job names cannot be its material.
        """
        with self._context.store.read() as tx:
            job = tx.jobs.get(job_id, caller.project_id)
            attributes = tx.reads.sheet(job_id).attributes
        profile = self._context.profile_of(job)
        ask = Ask(Command.SUBMIT, actor_of(caller, job, Command.SUBMIT), caller.name, description=why, message="")
        plan(profile, job, ask, self._context.clock())
        self._media.bind_named(caller, job_id, attributes)
        with self._context.store.read() as tx:
            held = tx.files.of_job(job_id, FileState.OPEN, FileState.SEALING, FileState.SEALED)
        problems = {}
        for file in held:
            if file.kind is not FileKind.ATTACHMENT and file.kind not in BY_ADMINS:
                lack = self._settled(caller, file, sealed_by_us=file.kind not in confirmed_first)
                if lack is not None:
                    problems[file.kind] = lack

        def work(tx: Tx) -> Move:
            now = tx.jobs.get(job_id)
            sealed = tx.files.of_job(job_id, FileState.SEALED)
            held_now = frozenset(file.kind for file in sealed)
            said = tx.reads.sheet(job_id).attributes
            lacking = {
                kind: f"{kind.replace('_', ' ')} not confirmed" if kind in confirmed_first else lack
                for kind, lack in profile.lacking(now.switches, said, held_now).items()
                if kind in confirmed_first or kind in there_first
            }
            given = Given(missing=tuple((lacking | problems).values()))
            move = plan(profile, now, ask._replace(given=given), self._context.clock())
            tx.jobs.move(move)
            supersede(tx, now, sealed, move.changes[-1].at)
            return move

        return self._jobs.transact(work).after

    def _settled(self, caller: Caller, file: File, *, sealed_by_us: bool) -> str | None:
        """Seal what has arrived; a sentence for what is half sent. An upload that nobody began concerns nobody."""
        name = file.kind.replace("_", " ")
        if file.state is FileState.OPEN:
            if not self._uploads.progress(caller, file.id).arrived and self._now(file).state is FileState.OPEN:
                return None
            if not sealed_by_us:
                return f"{name} not confirmed"
            try:
                self._sealing.seal(file, caller)
            except UploadIncomplete as exc:
                return f"{name} is not all there: {exc.message}"
            except (UploadError, Refused):  # somebody else has it, or has submitted already
                file = self._now(file)
        if self._sealing.awaited(file).state is FileState.SEALING:
            return f"{name} is being sealed at this moment: submit again in a minute"
        return None

    def _now(self, file: File) -> File:
        with self._context.store.read() as tx:
            return tx.files.get(file.id)

    def say(
        self, caller: Caller, job_id: str, command: Command, kind: CommentType, *, title: str, text: str,
        attachments: Sequence[str] = (), why: str = "",
    ) -> tuple[Job, Sequence[Upload]]:  # fmt: skip
        """Answer a result, with the words and addresses for their attachments, in one transaction.

        Raises:
            Invalid: too many attachments, or a name without letters.
            CommandNotAllowed, GuardRefused: as `Jobs.ask`.
        """
        if len(attachments) > MAX_ATTACHMENTS:
            raise Invalid(f"{len(attachments)} attachments; {MAX_ATTACHMENTS} are allowed", field="attachment_name")
        for name in attachments:
            check_file_name(name, "attachment_name")
        said = text.strip() or title.strip()
        with self._context.store.read() as tx:
            seen = tx.jobs.get(job_id, caller.project_id)
        profile = self._context.profile_of(seen)
        actor = actor_of(caller, seen, command)
        ask = Ask(command, actor, caller.name, Given(comment=said), description=why or said)
        plan(profile, seen, ask, self._context.clock())
        wants = [Want(FileKind.ATTACHMENT, name=name) for name in attachments]
        files = [_of_job(file, seen) for file in self._begun(seen.project_id, wants, profile.upload_lifetime)]

        def work(tx: Tx) -> Move:
            at = self._context.clock()
            move = plan(profile, tx.jobs.get(job_id), ask, at)
            tx.jobs.move(move)
            hand_over(tx, move)
            if said:
                comment_id = tx.comments.add(job_id, at=at, author=caller.name, kind=kind, title=title, text=text)
                for file in files:
                    tx.files.add(_with(file, comment_id=comment_id), due_of(self._context, file))
            return move

        try:
            job = self._jobs.transact(work).after
        except UnderstudyError:
            self._forget(files)
            raise
        return job, [self._signed(file) for file in files] if said else []

    def page(self, caller: Caller, query: JobQuery) -> tuple[Sequence[JobSummary], int, Mapping[str, Sequence[File]]]:
        """A page of jobs, the number of all matches, and the files of its jobs that are or were sealed.

        Of a project that the caller may not ask for there are none.
        """
        if query.project_id != caller.project_id and not caller.speaks_for_the_system:
            return [], 0, {}
        if not 1 <= query.limit <= MAX_PAGE:
            raise Invalid(f"the page size is {query.limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        with self._context.store.read() as tx:
            found = tx.reads.page(query)
            held = tx.files.of_jobs([each.job.id for each in found], *_ARRIVED) if found else {}
            return found, tx.reads.count(query), held

    # uploads of one call

    def _begun(self, project_id: str, wants: Sequence[Want], lifetime: timedelta) -> list[File]:
        """Files whose uploads the store has begun; no row knows of them yet, and no job."""
        agreed = [uploads.plan(None, want.part_count) for want in wants]
        made: list[File] = []

        def begin(want: Want, parts: uploads.PartPlan) -> File:
            file = begun(
                self._context, project_id, want.kind, want.name or want.kind.value, parts, lifetime=lifetime,
                content_type=want.content_type,
            )  # fmt: skip
            made.append(file)
            return file

        try:
            if len(wants) > 1:
                with ThreadPoolExecutor(min(THREADS, len(wants)), "begin-uploads") as pool:
                    return list(pool.map(begin, wants, agreed))
            return [begin(want, parts) for want, parts in zip(wants, agreed, strict=True)]
        except UnderstudyError:
            self._forget(made)
            raise

    def _forget(self, files: Sequence[File]) -> None:
        for file in files:
            forget(self._context, file)

    def _signed(self, file: File) -> Upload:
        return signed(self._context, file, plan_of(file).numbers)


def _of_job(file: File, job: Job) -> File:
    """The file as the job's, named after it where nobody named it otherwise."""
    return _with(file, job_id=JobId(job.id), name=file.name.replace("{job_id}", job.id))


def _with(file: File, **values: object) -> File:
    return replace(file, **values)  # type: ignore[arg-type]  # fields by name
