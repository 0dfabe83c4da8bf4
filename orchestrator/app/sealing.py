"""Turning an open upload into one finished file that no URL can reach, whatever is interrupted in between.

The steps, each of which may be repeated: list the parts and hold them against what was agreed, complete, HEAD the
staged object, copy it to its final key, pin what HEAD says there, delete the staged one. A file in `sealing` that
nobody works on any more is taken up again by the sweep, which looks at what is there before it does anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.jobs import Jobs
from orchestrator.app.leases import Keeper
from orchestrator.app.moves import MACHINE, Ask, plan
from orchestrator.domain import uploads
from orchestrator.domain.actors import Actor, Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import (
    NotFound,
    Refused,
    StaleJob,
    Unavailable,
    UploadError,
    UploadIncomplete,
    UploadNotOpen,
)
from orchestrator.domain.media_items import PREPARE_MEDIA
from orchestrator.domain.model import File, FileKind, FileState, Job, Move
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, StoredPart, UploadGone
from orchestrator.ports.store import Tx

# Pictures and papers are copied in a moment; for a film somebody asks again.
_LOOKS: Final = 100
_BETWEEN_LOOKS_S: Final = 0.05
BY_ADMINS: Final = frozenset({FileKind.MASK, FileKind.ACTION_MARK, FileKind.BEAUTY_VIDEO})
_CONFIRMED: Final = {FileKind.TRAINING_VIDEO: Command.CONFIRM_VIDEO, FileKind.COVER: Command.CONFIRM_COVER}


class Sealing:
    """Seals and aborts; used by uploads, by submit and by the sweeps."""

    def __init__(self, context: Context, jobs: Jobs) -> None:
        self._context = context
        self._jobs = jobs
        self._keeper = Keeper(context)

    def seal(self, file: File, caller: Caller | None = None) -> File:
        """Seal an open upload, as its owner's command or (without caller) as the machine's own doing.

        Raises:
            UploadIncomplete: parts are missing or wrong; the upload stays open.
            UploadNotOpen: it is being sealed by somebody else, given up or gone.
            CommandNotAllowed, GuardRefused: the job takes no files now; the upload stays open.
            StorageUnavailable: the store did not answer; the sweep goes on from where this stopped.
        """
        if file.state is FileState.SEALED:
            return file
        if file.state is not FileState.OPEN:
            raise UploadNotOpen(f"file {file.id} is {file.state}", file_id=file.id, state=file.state.value)
        if file.expires_at <= self._context.clock():
            raise UploadNotOpen(f"the upload of file {file.id} is expired", file_id=file.id, state="expired")
        if file.job_id is not None:
            with self._context.store.read() as tx:
                self.confirmed(tx.jobs.get(file.job_id), file, caller)
        self._checked_parts(file)
        with self._context.store.begin() as tx:
            file = tx.files.move(file, FileState.SEALING, due_at=self._context.clock() + self._context.timing.lease)
        return self.finish(file, caller)

    def take_over(self, file: File) -> File:
        """Go on with a file in `sealing` whose completer went silent. Raises as `finish` does."""
        with self._context.store.begin() as tx:
            file = tx.files.move(file, FileState.SEALING, due_at=self._context.clock() + self._context.timing.lease)
        return self.finish(file)

    def awaited(self, file: File) -> File:
        """The file, when whoever seals it at this moment has had a little time to end."""
        for _ in range(_LOOKS):
            if file.state is not FileState.SEALING:
                break
            time.sleep(_BETWEEN_LOOKS_S)
            with self._context.store.read() as tx:
                file = tx.files.get(file.id)
        return file

    def finish(self, file: File, caller: Caller | None = None) -> File:
        """Do what is left to do of a file in `sealing`.

        Raises:
            UploadIncomplete: parts were changed at the last moment; the upload is open again.
            UploadNotOpen: nothing is left to seal, or the job takes no files any more; the file is given up.
            StorageUnavailable: the store did not answer; the sweep goes on from where this stopped.
        """
        try:
            with self._keeper.kept(lambda tx, until: tx.files.postpone(file, until)):
                final = self._copied(file)
        except UploadIncomplete:
            with self._context.store.begin() as tx:
                poll_at = self._context.clock() + self._context.timing.single_part_poll
                tx.files.move(file, FileState.OPEN, due_at=poll_at if file.part_count == 1 else file.expires_at)
            raise
        except (ObjectMissing, ObjectChanged) as exc:
            raise self._given_up(file, exc.message) from exc
        except Unavailable:
            with self._context.store.begin() as tx:  # not before a call that got no answer has surely ended
                is_ours = tx.files.postpone(file, self._context.clock() + self._context.timing.abort_retry)
            if is_ours:
                raise
            return self._outcome_of_other(file)  # what it misses was taken away with the job
        sealed = self._write_sealed(file, final, caller)
        with suppress(Unavailable):  # then the orphan sweep deletes it; no URL can change what is sealed
            self._context.storage.delete(file.staging_key)
        return sealed

    def _copied(self, file: File) -> ObjectInfo:
        """The final object, made now or found."""
        storage, final_key = self._context.storage, final_key_of(file)
        staged = storage.head(file.staging_key) or self._completed(file)
        final = storage.copy(staged, final_key) if staged else storage.head(final_key)
        if final is None:
            raise ObjectMissing("nothing is left of it")
        if file.size_bytes is not None and final.size_bytes != file.size_bytes:
            raise ObjectChanged(f"it has {final.size_bytes} bytes; {file.size_bytes} were agreed")
        return final

    def _completed(self, file: File) -> ObjectInfo | None:
        """The staged object, joined now; None when there is nothing to join any more."""
        storage = self._context.storage
        try:
            parts = self._checked_parts(file)
        except UploadNotOpen:  # completed by a call whose answer was lost, or gone: HEAD tells
            return storage.head(file.staging_key)
        if not self._renewed(file):  # two of these calls at a time spoil the object on some stores
            raise UploadNotOpen(f"file {file.id} is being sealed by somebody else", file_id=file.id)
        with suppress(UploadGone):
            storage.complete_upload(file.staging_key, file.upload_id, parts)
        return storage.head(file.staging_key)

    def _renewed(self, file: File) -> bool:
        """Hold on to a file in `sealing`; a copy of 500 GB takes minutes. False: somebody else has taken it over."""
        with self._context.store.begin() as tx:
            return tx.files.postpone(file, self._context.clock() + self._context.timing.lease)

    def _checked_parts(self, file: File) -> Sequence[StoredPart]:
        """The parts that have arrived, which are the ones that were agreed."""
        try:
            parts = self._context.storage.list_parts(file.staging_key, file.upload_id)
        except UploadGone as exc:
            raise UploadNotOpen(
                f"the store knows the upload of file {file.id} no more; open a new one", file_id=file.id
            ) from exc
        agreed = uploads.PartPlan(
            file.part_count, dict(enumerate(file.part_sizes, start=1)) if file.part_sizes else None
        )
        problems = uploads.check_complete(agreed, {part.number: part.size_bytes for part in parts})
        if problems:
            raise UploadIncomplete("; ".join(problems), file_id=file.id, problems=problems)
        return parts

    def confirmed(self, job: Job, file: File, caller: Caller | None, details: dict[str, object] | None = None) -> Move:
        """What sealing `file` writes to its job. Raises Refused: the job takes no such file now."""
        if file.kind is FileKind.ATTACHMENT or file.kind in BY_ADMINS:
            return Move(job, job, ())  # belongs to a comment, or to an admin's next command: the job does not move
        command = _CONFIRMED.get(file.kind, Command.CONFIRM_FILE)
        ask = Ask(command, Actor.USER, caller.name if caller else MACHINE, details=details)
        return plan(self._context.profile_of(job), job, ask, self._context.clock())

    def _write_sealed(self, file: File, final: ObjectInfo, caller: Caller | None) -> File:
        at = self._context.clock()
        if file.job_id is None:
            return self._write_sealed_alone(file, final, at)
        details: dict[str, object] = {
            "file_id": file.id, "kind": file.kind.value, "size_bytes": final.size_bytes, "etag": final.etag,
        }  # fmt: skip
        written: list[File] = []

        def work(tx: Tx) -> Move:
            move = self.confirmed(tx.jobs.get(str(file.job_id)), file, caller, details)
            sealed = tx.files.move(
                file, FileState.SEALED, final_key=final.key, etag=final.etag, size_bytes=final.size_bytes, sealed_at=at
            )
            written.append(sealed)
            if file.kind is not FileKind.ATTACHMENT:
                for former in tx.files.of_job(move.before.id, FileState.SEALED):
                    if former.kind is file.kind and former.id != file.id:
                        tx.files.move(former, FileState.DELETING, due_at=at)
            if move.changes:
                tx.jobs.move(move)
            return move

        try:
            self._jobs.transact(work)
        except StaleJob:
            raise  # the job is never left alone for long enough: the sweep finishes this
        except (Refused, NotFound) as exc:
            # the job was submitted, or deleted, while the bytes were copied: nobody will look at these
            raise self._given_up(file, exc.message) from exc
        except UploadError:
            return self._outcome_of_other(file)
        return written[-1]

    def _write_sealed_alone(self, file: File, final: ObjectInfo, at: datetime) -> File:
        """The same of a file that is no job's."""
        with self._context.store.begin() as tx:
            sealed = tx.files.move(
                file, FileState.SEALED, final_key=final.key, etag=final.etag, size_bytes=final.size_bytes, sealed_at=at
            )
            if file.kind is FileKind.MEDIA:
                tx.after_commit(lambda: self._context.waker.wake(PREPARE_MEDIA))
                if not tx.media.arrived(file.id, at):  # its item was deleted while the bytes were copied
                    return tx.files.move(sealed, FileState.DELETING, due_at=at)
            return sealed

    def _outcome_of_other(self, file: File) -> File:
        """Somebody else moved the file while this one copied it."""
        with self._context.store.read() as tx:
            now = tx.files.get(file.id)
        if now.state is FileState.SEALED:
            return now
        if now.state in {FileState.ABORTING, FileState.ABORTED}:
            with suppress(Unavailable):
                self._context.storage.delete(final_key_of(file))
        raise UploadNotOpen(f"file {file.id} is {now.state}", file_id=file.id, state=now.state.value)

    def _given_up(self, file: File, why: str) -> UploadNotOpen:
        """Give up a file in `sealing`; gives the error that says so."""
        with self._context.store.begin() as tx:
            tx.files.move(file, FileState.ABORTING, due_at=self._context.clock())
        return UploadNotOpen(
            f"the upload of file {file.id} came to nothing: {why}; open a new one", file_id=file.id, state="aborting"
        )

    def abort(self, file: File) -> bool:
        """Drop an upload in `aborting` at the store; True once the store knows nothing of it and the row says so."""
        storage = self._context.storage
        try:
            gone = storage.abort_upload(file.staging_key, file.upload_id)
            if gone:
                storage.delete(file.staging_key)
                storage.delete(final_key_of(file))  # sealing may have come as far as the copy
        except Unavailable:
            gone = False
        with self._context.store.begin() as tx:
            if gone:
                tx.files.move(file, FileState.ABORTED)
            else:
                tx.files.postpone(file, self._context.clock() + self._context.timing.abort_retry)
        return gone

    def drop(self, given_up: File) -> None:
        """Abort an upload that was given up, if the sweep was not faster."""
        with suppress(UploadError):
            self.abort(given_up)

    def delete(self, file: File) -> None:
        """Remove the object of a file in `deleting`, unless another file has the same bytes: then it is that one's."""
        if file.etag is None:  # a copy, which a slow worker may be about to seal: whoever writes its row first has it
            with self._context.store.begin() as tx:
                file = tx.files.move(file, FileState.DELETING, due_at=self._context.clock())
        with self._context.store.read() as tx:
            is_shared = tx.files.is_shared(file)
        if file.final_key is not None and not is_shared:
            self._context.storage.delete(file.final_key)
        with suppress(UploadError), self._context.store.begin() as tx:  # somebody else may have deleted it
            tx.files.move(file, FileState.DELETED)


def final_key_of(file: File) -> str:
    """Where the sealed bytes go: a key that no URL is ever signed for."""
    return f"files/{file.id}"
