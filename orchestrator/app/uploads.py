"""Files on their way in: one finished file per set of URLs.

A row goes open, sealing, sealed, or open, aborting, aborted, each step by compare-and-set. URLs are signed for a random
staging key only; sealing copies to a final key that no URL ever reached (app/sealing.py).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.app.jobs import Jobs, actor_of
from orchestrator.app.media_use import MediaUse
from orchestrator.app.moves import Ask, plan
from orchestrator.app.sealing import BY_ADMINS, Sealing
from orchestrator.domain import uploads
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Forbidden, Invalid, Unavailable, UnderstudyError, UploadError, UploadNotOpen
from orchestrator.domain.guards import Given
from orchestrator.domain.media_items import NAMED_BY
from orchestrator.domain.model import File, FileKind, FileState, Job, JobId, Move
from orchestrator.ports.storage import UploadGone
from orchestrator.ports.store import Tx

# Kinds that belong to the job's life; attachments and pieces put in by admins have their own rules.
_VIDEOS: Final = frozenset({FileKind.TRAINING_VIDEO, FileKind.ACTION_VIDEO})
MAX_OPEN_ATTACHMENTS: Final = 20
_NAME_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the addresses of its parts: part number -> PUT URL. The URLs are secrets."""

    file: File
    urls: Mapping[int, str]
    url_expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """What the store has of a file: part number -> (ETag, bytes), and the numbers still to be sent."""

    file: File
    arrived: Mapping[int, tuple[str, int]]
    missing: Sequence[int]


def plan_of(file: File) -> uploads.PartPlan:
    """What was agreed with the uploader of `file`."""
    sizes = dict(enumerate(file.part_sizes, start=1)) if file.part_sizes else None
    return uploads.PartPlan(file.part_count, sizes)


def supersede(tx: Tx, job: Job, sealed: Sequence[File], at: datetime) -> None:
    """Let go of what was made of other material, by stages or by hand: it is no step towards what is submitted now."""
    if job.attempt:
        tx.runs.supersede(job.id)
    for file in sealed:
        if file.kind in BY_ADMINS:
            tx.files.move(file, FileState.DELETING, due_at=at)


def check_file_name(name: str, field: str = "name") -> None:
    """Raises Invalid."""
    if not 1 <= len(name) <= _NAME_LIMIT:
        raise Invalid(f"the file name has {len(name)} characters; 1 to {_NAME_LIMIT} are allowed", field=field)


def begun(
    context: Context, project_id: str, kind: FileKind, name: str, agreed: uploads.PartPlan, *, lifetime: timedelta,
    size_bytes: int | None = None, content_type: str | None = None, job_id: JobId | None = None,
) -> File:  # fmt: skip
    """A file whose upload the store has begun on a random staging key; no row knows of it yet."""
    at = context.clock()
    staging = f"staging/{new_token()}"
    guessed = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    upload_id = context.storage.create_upload(staging, guessed)
    return File(
        id=new_id(at), project_id=project_id, job_id=job_id, kind=kind, state=FileState.OPEN, version=0,
        name=name, content_type=guessed, staging_key=staging, upload_id=upload_id, part_count=agreed.count,
        part_sizes=tuple(agreed.sizes[n] for n in agreed.numbers) if agreed.sizes else (), size_bytes=size_bytes,
        final_key=None, etag=None, sha256=None, created_at=at, expires_at=at + lifetime,
    )  # fmt: skip


def due_of(context: Context, file: File) -> datetime:
    """One part: its URL dies when a sweep has seen the upload; of more, somebody says that they are all there."""
    due_at = file.created_at + context.timing.single_part_poll if file.part_count == 1 else file.expires_at
    return min(due_at, file.expires_at)


def forget(context: Context, file: File) -> None:
    """Abort an upload of which no row knows, as far as the store answers: the orphan sweep finds it days later."""
    with suppress(Unavailable):
        context.storage.abort_upload(file.staging_key, file.upload_id)


def signed(context: Context, file: File, numbers: Sequence[int]) -> Upload:
    """Fresh URLs for parts of an open upload."""
    at = context.clock()
    expires_in = min(context.timing.upload_url_lifetime, file.expires_at - at)
    urls = context.storage.presign_parts(
        file.staging_key, file.upload_id, numbers, sizes=plan_of(file).sizes, now=at, expires_in=expires_in
    )
    return Upload(file, dict(zip(numbers, urls, strict=True)), at + expires_in)


def without_media(attributes: Mapping[str, object], kinds: Collection[FileKind]) -> dict[str, object]:
    """The attributes of a job whose uploads of `kinds` take the place of the media that it names."""
    replaced = {NAMED_BY[kind] for kind in kinds if kind in NAMED_BY}
    return {name: value for name, value in attributes.items() if name not in replaced}


class Uploads:
    """Use cases on uploads."""

    def __init__(self, context: Context, jobs: Jobs, sealing: Sealing, media: MediaUse) -> None:
        self._context = context
        self._jobs = jobs
        self._sealing = sealing
        self._media = media

    def open(
        self, caller: Caller, job_id: str, kind: FileKind, name: str, *, size_bytes: int | None = None,
        part_count: int | None = None, content_type: str | None = None,
    ) -> Upload:  # fmt: skip
        """Addresses for a file of a job. An earlier open upload of the kind is given up and its URLs die.

        Args:
            size_bytes: of the whole file; where told, every URL takes exactly its part's length.
            part_count: None: as few parts as are sensible for the size.

        Raises:
            Invalid: the profile takes no such file, or count and size do not fit.
            CommandNotAllowed: the job takes no files now.
        """
        check_file_name(name)
        agreed = uploads.plan(size_bytes, part_count)
        with self._context.store.read() as tx:
            job = tx.jobs.get(job_id, caller.scope)
            held = tx.files.of_job(job_id, FileState.OPEN, FileState.SEALING, FileState.SEALED)
        self._check_kind(caller, job, kind, held)
        lifetime = self._context.profile_of(job).upload_lifetime
        file = begun(
            self._context, job.project_id, kind, name, agreed, lifetime=lifetime, size_bytes=size_bytes,
            content_type=content_type, job_id=job.id,
        )  # fmt: skip
        try:
            self._jobs.transact(lambda tx: self._write_opened(tx, caller, file))
        except UnderstudyError:
            forget(self._context, file)
            raise
        return signed(self._context, file, list(agreed.numbers))

    def _write_opened(self, tx: Tx, caller: Caller, file: File) -> Move:
        job = tx.jobs.get(str(file.job_id))
        former = [] if file.kind is FileKind.ATTACHMENT else [
            f for f in tx.files.of_job(job.id, FileState.OPEN) if f.kind is file.kind
        ]  # fmt: skip
        held = [f for f in tx.files.of_job(job.id, FileState.SEALED) if f.kind is file.kind]
        replaced = file.kind in _VIDEOS and bool(former or held)
        command = Command.REPLACE_VIDEO if replaced else Command.OPEN_UPLOAD
        if file.kind is FileKind.ATTACHMENT or file.kind in BY_ADMINS:
            move = Move(job, job, ())  # belongs to a comment or to a later admin command: no move of the job
        else:
            details: dict[str, object] = {"file_id": file.id, "kind": file.kind.value}
            ask = Ask(command, actor_of(caller, job, command), caller.name, details=details)
            move = plan(self._context.profile_of(job), job, ask, file.created_at)
            told = tx.reads.sheet(job.id).attributes if file.kind in NAMED_BY else {}
            kept = without_media(told, [file.kind])
            tx.jobs.move(move, **({} if kept == told else {"attributes": kept}))
        for old in former:
            given_up = tx.files.move(old, FileState.ABORTING, due_at=file.created_at)
            tx.after_commit(partial(self._sealing.drop, given_up))
        tx.files.add(file, due_of(self._context, file))
        return move

    def _check_kind(self, caller: Caller, job: Job, kind: FileKind, held: Sequence[File]) -> None:
        if kind in {FileKind.ASSET, FileKind.MEDIA}:
            raise Invalid(f"a {kind} does not belong to a job", field="kind")
        if kind is FileKind.ATTACHMENT:  # of a comment, and everybody who sees the job may comment
            pending = sum(1 for f in held if f.kind is kind and f.comment_id is None)
            if pending >= MAX_OPEN_ATTACHMENTS:
                raise Invalid(f"{pending} attachments wait for their comment already; {MAX_OPEN_ATTACHMENTS} may")
            return
        if kind in BY_ADMINS:
            actor_of(caller, job, Command.UPLOAD_MASK)
            return
        profile = self._context.profile_of(job)
        if profile.material(kind) is None:
            taken = sorted(m.kind.value for m in profile.materials)
            raise Invalid(f"profile {profile.name} takes no {kind}; it takes {taken}", field="kind")
        plan(profile, job, Ask(Command.OPEN_UPLOAD, actor_of(caller, job, Command.OPEN_UPLOAD)), self._context.clock())

    def progress(self, caller: Caller, file_id: str) -> UploadProgress:
        """Which parts have arrived, and which are still to be sent; a sealed file misses none."""
        file = self._get(caller, file_id)
        if file.state is not FileState.OPEN:
            return UploadProgress(file, {}, [])
        try:
            parts = self._context.storage.list_parts(file.staging_key, file.upload_id)
        except UploadGone:
            parts = []
        arrived = {part.number: (part.etag, part.size_bytes) for part in parts}
        sizes = {number: size for number, (_, size) in arrived.items()}
        return UploadProgress(file, arrived, uploads.missing(plan_of(file), sizes))

    def sign_again(self, caller: Caller, file_id: str, numbers: Sequence[int] | None = None) -> Upload:
        """Fresh URLs for parts of an open upload; None: for all that are missing.

        Raises:
            UploadNotOpen: sealed, given up or expired.
            Invalid: no such part.
        """
        file = self._sendable(caller, file_id)
        at = self._context.clock()
        if file.state is not FileState.OPEN or file.expires_at <= at:
            state = "expired" if file.state is FileState.OPEN else file.state.value
            raise UploadNotOpen(
                f"the upload of file {file.id} is {state}; open a new one", file_id=file.id, state=state
            )
        wanted = list(self.progress(caller, file_id).missing if numbers is None else dict.fromkeys(numbers))
        strangers = sorted(set(wanted) - set(plan_of(file).numbers))
        if strangers:
            raise Invalid(f"file {file.id} has the parts 1 to {file.part_count}, not {strangers}", field="part_numbers")
        return signed(self._context, file, wanted)

    def confirm(self, caller: Caller, file_id: str) -> File:
        """Seal the file now: all its parts are up. Asked again of a sealed file, it answers the same.

        Raises:
            UploadIncomplete: parts are missing or have the wrong size; the upload stays open.
            UploadNotOpen: given up, expired, or being sealed by somebody else.
        """
        return self._sealing.seal(self._sendable(caller, file_id), caller)

    def give_up(self, caller: Caller, file_id: str) -> File:
        """Abort an open upload; its URLs die."""
        file = self._sendable(caller, file_id)
        if file.state is not FileState.OPEN:
            raise UploadNotOpen(f"file {file.id} is {file.state}", file_id=file.id, state=file.state.value)
        with self._context.store.begin() as tx:
            given_up = tx.files.move(file, FileState.ABORTING, due_at=self._context.clock())
        self._sealing.abort(given_up)
        return given_up

    def submit(self, caller: Caller, job_id: str) -> Job:
        """Take the media that the job names, seal whatever is complete, then submit the job for its checks.

        Raises:
            GuardRefused: required files are missing or incomplete, each named with what it lacks.
            MediaNotFound, MediaNotReady, MediaNotUsable: media that the job names cannot be its material.
        """
        detail = self._jobs.show(caller, job_id)
        # refused for another reason, it must not have sealed anything
        plan(self._context.profile_of(detail.job), detail.job,
             Ask(Command.SUBMIT, actor_of(caller, detail.job, Command.SUBMIT)), self._context.clock())  # fmt: skip
        if self._media.bind_named(caller, job_id, detail.sheet.attributes):
            detail = self._jobs.show(caller, job_id)
        problems: dict[FileKind, str] = {}
        # holds until the job is moved: the write loses then, and the next try reads anew
        read = [detail]
        for file in detail.files:
            if file.kind is FileKind.ATTACHMENT or file.kind in BY_ADMINS:
                continue
            name = file.kind.replace("_", " ")
            if file.state is FileState.SEALING:
                problems[file.kind] = f"the {name} is being sealed at this moment: submit again in a minute"
            if file.state is FileState.OPEN:
                read.clear()
                try:
                    self._sealing.seal(file, caller)
                except UploadError as exc:
                    problems[file.kind] = f"the {name} is not all there: {exc.message}"

        def work(tx: Tx) -> Move:
            now = read.pop() if read else tx.reads.detail(job_id, None)
            job, profile = now.job, self._context.profile_of(now.job)
            sealed = [file for file in now.files if file.state is FileState.SEALED]
            held = frozenset(file.kind for file in sealed)
            # what is half sent is named with what it lacks, also where it would replace something that is there
            lacking = profile.lacking(job.switches, now.sheet.attributes, held) | problems
            ask = Ask(
                Command.SUBMIT, actor_of(caller, job, Command.SUBMIT), caller.name,
                Given(missing=tuple(lacking.values())), message="",
            )  # fmt: skip
            move = plan(profile, job, ask, self._context.clock())
            tx.jobs.move(move)
            supersede(tx, job, sealed, move.changes[-1].at)
            return move

        return self._jobs.transact(work).after

    def download(self, caller: Caller, file: File) -> str | None:
        """A URL that downloads a sealed file as an attachment; None when there is nothing to download."""
        if file.state is not FileState.SEALED or file.final_key is None or not caller.may_see(file.project_id):
            return None
        return self._context.download_url(file.final_key, file.name, file.content_type)

    def _sendable(self, caller: Caller, file_id: str) -> File:
        """A file whose upload is the caller's matter: whoever may open one of its kind.

        Raises:
            NotFound, Forbidden.
        """
        file = self._get(caller, file_id)
        if file.kind is FileKind.ATTACHMENT:  # everybody who sees the job may comment
            return file
        if file.job_id is None:
            if file.project_id != caller.project_id and not caller.has(Role.ADMIN):
                raise Forbidden("an upload is for its owner", file_id=file.id)
            return file
        with self._context.store.read() as tx:
            job = tx.jobs.get(file.job_id)
        actor_of(caller, job, Command.UPLOAD_MASK if file.kind in BY_ADMINS else Command.OPEN_UPLOAD)
        return file

    def _get(self, caller: Caller, file_id: str) -> File:
        with self._context.store.read() as tx:
            return tx.files.get(file_id, caller.scope)
