"""Turning an open upload into one finished file that no URL can reach, whatever is interrupted in between.

The steps, each of which may be repeated: list the parts and hold them against what was agreed, complete, HEAD the
staged object, copy it to its final key, pin what HEAD says there, delete the staged one. A file in `sealing` that nobody
works on any more is taken up again by the sweep, which looks at what is there before it does anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.jobs import Jobs
from orchestrator.app.moves import MACHINE, Ask, plan
from orchestrator.domain import machine, uploads
from orchestrator.domain.actors import Actor, Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Refused, Unavailable, UploadIncomplete, UploadNotOpen
from orchestrator.domain.model import File, FileKind, FileState, Move
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, StoredPart, UploadGone
from orchestrator.ports.store import Tx

# A copy of 500 GB within one store takes minutes; nobody else may complete meanwhile.
SEAL_LEASE: Final = timedelta(minutes=15)
_CONFIRMED: Final = {FileKind.TRAINING_VIDEO: Command.CONFIRM_VIDEO, FileKind.COVER: Command.CONFIRM_COVER}


class Sealing:
    """Seals and aborts; used by uploads, by submit and by the sweeps."""

    def __init__(self, context: Context, jobs: Jobs) -> None:
        self._context = context
        self._jobs = jobs

    def seal(self, file: File, caller: Caller | None = None) -> File:
        """Seal an open upload, as its owner's command or (without caller) as the machine's own doing.

        Raises:
            UploadIncomplete: parts are missing or wrong; the upload stays open.
            UploadNotOpen: it is being sealed by somebody else, given up or gone.
            StorageUnavailable: the store did not answer; the sweep goes on from where this stopped.
        """
        if file.state is FileState.SEALED:
            return file
        if file.state is not FileState.OPEN:
            raise UploadNotOpen(f"file {file.id} is {file.state}", file_id=file.id, state=file.state.value)
        self._checked_parts(file)
        with self._context.store.begin() as tx:
            file = tx.files.move(file, FileState.SEALING, due_at=self._context.clock() + SEAL_LEASE)
        return self.finish(file, caller)

    def finish(self, file: File, caller: Caller | None = None) -> File:
        """Do what is left to do of a file in `sealing`."""
        from_store = self._context.storage
        final_key = f"files/{file.id}"
        try:
            staged = from_store.head(file.staging_key) or self._complete(file)
            final = from_store.copy(staged, final_key) if staged else from_store.head(final_key)
            if final is None:
                raise ObjectMissing(f"nothing is left of the upload of file {file.id}")
            if file.size_bytes is not None and final.size_bytes != file.size_bytes:
                raise UploadIncomplete(f"the file has {final.size_bytes} bytes; {file.size_bytes} were agreed")
        except UploadIncomplete:
            self._reopen(file)
            raise
        except (ObjectMissing, ObjectChanged) as exc:
            with self._context.store.begin() as tx:
                tx.files.move(file, FileState.ABORTING, due_at=self._context.clock())
            raise UploadNotOpen(
                f"the upload of file {file.id} came to nothing: {exc.message}; open a new one", file_id=file.id
            ) from exc
        sealed = self._write_sealed(file, final, caller)
        try:
            from_store.delete(file.staging_key)
        except Unavailable:
            pass  # the orphan sweep deletes it; no URL can change what is sealed
        return sealed

    def _checked_parts(self, file: File) -> list[StoredPart]:
        """The parts that have arrived, which are exactly the agreed ones."""
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

    def _complete(self, file: File) -> ObjectInfo | None:
        """The staged object, joined now; None when it has been moved on already."""
        storage = self._context.storage
        try:
            # joined by the very list that was checked: a part sent again meanwhile makes the store refuse
            storage.complete_upload(file.staging_key, file.upload_id, self._checked_parts(file))
        except (UploadGone, UploadNotOpen):
            pass  # completed by a call whose answer was lost, or gone: HEAD tells which
        return storage.head(file.staging_key)

    def _reopen(self, file: File) -> None:
        with self._context.store.begin() as tx:
            tx.files.move(file, FileState.OPEN, due_at=file.expires_at)

    def _write_sealed(self, file: File, final: ObjectInfo, caller: Caller | None) -> File:
        at = self._context.clock()
        written: list[File] = []

        def work(tx: Tx) -> Move:
            sealed = tx.files.move(
                file, FileState.SEALED, final_key=final.key, etag=final.etag, size_bytes=final.size_bytes, sealed_at=at
            )
            written.append(sealed)
            job = tx.jobs.get(str(file.job_id))
            if file.kind is FileKind.ATTACHMENT:
                return Move(job, job, ())
            for former in tx.files.of_job(job.id, FileState.SEALED):
                if former.kind is file.kind and former.id != file.id:
                    tx.files.move(former, FileState.DELETING, due_at=at)
            command = _CONFIRMED.get(file.kind, Command.CONFIRM_FILE)
            if (job.state, command, Actor.USER) not in machine.ROWS:
                return Move(job, job, ())  # put in by an admin, whose next command moves the job
            details: dict[str, object] = {
                "file_id": file.id, "kind": file.kind.value, "size_bytes": final.size_bytes, "etag": final.etag,
            }  # fmt: skip
            ask = Ask(command, Actor.USER, caller.name if caller else MACHINE, details=details)
            move = plan(self._context.profile_of(job), job, ask, at)
            tx.jobs.move(move)
            return move

        self._jobs.transact(work)
        return written[-1]

    def abort(self, file: File) -> bool:
        """Drop an upload in `aborting` at the store; True once the store knows nothing of it and the row says so."""
        try:
            gone = self._context.storage.abort_upload(file.staging_key, file.upload_id)
            if gone:
                self._context.storage.delete(file.staging_key)
        except Unavailable:
            gone = False
        with self._context.store.begin() as tx:
            if gone:
                tx.files.move(file, FileState.ABORTED)
            else:
                tx.files.postpone(file, self._context.clock() + self._context.timing.abort_retry)
        return gone

    def delete(self, file: File) -> None:
        """Remove the object of a file in `deleting`."""
        if file.final_key is not None:
            self._context.storage.delete(file.final_key)
        try:
            with self._context.store.begin() as tx:
                tx.files.move(file, FileState.DELETED)
        except Refused:
            pass  # somebody else deleted it
