"""Media as the material of jobs: the same bytes, in rows of the job's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from orchestrator.app.context import Context, new_id
from orchestrator.app.jobs import Jobs, actor_of
from orchestrator.app.media_prepare import Preparation
from orchestrator.app.sealing import Sealing
from orchestrator.domain.actors import Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Invalid, UploadError
from orchestrator.domain.media_items import NAMED_BY, PROBED_AS, Media, MediaNotReady, MediaNotUsable
from orchestrator.domain.model import File, FileKind, FileState, Job, Move
from orchestrator.domain.profile import Material
from orchestrator.ports.store import Tx


class MediaUse:
    """Ties media to jobs."""

    def __init__(self, context: Context, jobs: Jobs, sealing: Sealing, preparation: Preparation) -> None:
        self._context = context
        self._jobs = jobs
        self._sealing = sealing
        self._preparation = preparation

    def bind(self, caller: Caller, job_id: str, wanted: Mapping[FileKind, str]) -> Job:
        """See `MediaLibrary.bind`."""
        with self._context.store.read() as tx:
            job = tx.jobs.get(job_id, caller.scope)
            items = {kind: tx.media.get(media_id, job.project_id) for kind, media_id in wanted.items()}
        actor_of(caller, job, Command.CONFIRM_FILE)
        profile = self._context.profile_of(job)
        for kind, item in items.items():
            material = profile.material(kind)
            if material is None:
                taken = sorted(m.kind.value for m in profile.materials)
                raise Invalid(f"profile {profile.name} takes no {kind}; it takes {taken}", field="kind")
            _check_type(item, material)
        for kind, item in items.items():
            file = self._sealed(caller, item)
            self._sealing.confirmed(job, replace(file, kind=kind), caller)  # refused before anything is written

        def work(tx: Tx) -> Move:
            found = tx.jobs.get(job_id)
            move = Move(found, found, ())
            for kind, media_id in wanted.items():
                move = self._bound(tx, caller, move.after, kind, media_id)
            return move

        return self._jobs.transact(work).after

    def bind_named(self, caller: Caller, job_id: str, attributes: Mapping[str, object]) -> bool:
        """Bind the media that `attributes`, those of the job, name, as `bind` does. False: they name none."""
        wanted = {
            kind: told for kind, name in NAMED_BY.items() if isinstance(told := attributes.get(name), str) and told
        }
        if wanted:
            self.bind(caller, job_id, wanted)
        return bool(wanted)

    def _sealed(self, caller: Caller, item: Media) -> File:
        """The bytes of media, sealed now if they are all there. Raises MediaNotReady, MediaNotUsable."""
        if item.is_registered:
            return self._preparation.sealed_now(item.id, item.project_id)
        with self._context.store.read() as tx:
            file = self._sealing.awaited(tx.files.get(str(item.file_id)))
        if file.state in {FileState.OPEN, FileState.SEALING}:
            try:
                return self._sealing.seal(file, caller)
            except UploadError as exc:
                raise MediaNotReady(f"media {item.id} is not uploaded: {exc.message}", media_id=item.id) from exc
        if file.state is not FileState.SEALED:
            raise MediaNotUsable(f"media {item.id} cannot be used: it was never uploaded", media_id=item.id)
        return file

    def _bound(self, tx: Tx, caller: Caller, job: Job, kind: FileKind, media_id: str) -> Move:
        at = self._context.clock()
        item = tx.media.get(media_id, job.project_id)
        source = tx.files.get(str(item.file_id))
        if source.state is not FileState.SEALED:
            raise MediaNotReady(f"media {media_id} is being uploaded anew", media_id=media_id)
        # a write, so that whoever deletes the media at this moment looks again: the bytes cannot go before we hold them
        tx.media.save(item)
        held = [file for file in tx.files.of_job(job.id) if file.kind is kind]
        if any(file.state is FileState.SEALED and file.final_key == source.final_key for file in held):
            return Move(job, job, ())
        for file in held:
            if file.state is FileState.OPEN:
                given_up = tx.files.move(file, FileState.ABORTING, due_at=at)
                tx.after_commit(partial(self._sealing.drop, given_up))
            elif file.state is FileState.SEALED:
                tx.files.move(file, FileState.DELETING, due_at=at)
        file_id = new_id(at)
        own = replace(
            source, id=file_id, project_id=job.project_id, job_id=job.id, kind=kind, version=0,
            staging_key=f"media/{file_id}", upload_id="", created_at=at, sealed_at=at, facts=None,
        )  # fmt: skip
        tx.files.add(own, None)
        details: dict[str, object] = {
            "file_id": file_id, "kind": kind.value, "media_id": media_id, "size_bytes": own.size_bytes,
            "etag": own.etag,
        }  # fmt: skip
        move = self._sealing.confirmed(job, own, caller, details)
        tx.jobs.move(move)
        return move


def _check_type(item: Media, material: Material) -> None:
    if PROBED_AS.get(item.type) is not material.judged_as:
        name = material.kind.replace("_", " ")
        raise MediaNotUsable(
            f"media {item.id} is of type {item.type}; the {name} has to be of type {material.judged_as}",
            media_id=item.id, field=material.kind.value,
        )  # fmt: skip
