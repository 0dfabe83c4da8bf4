"""What the machine does with media: copy registered bytes to a place of our own, then look at what is sealed.

The row is the queue entry, as a job's is: `due_at` and a lease in it, wake-ups only hurry it. What was interrupted at
any point is claimed again, and a worker whose lease ran out writes nothing any more.
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Final

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.app.engine import BUDGET, Report
from orchestrator.app.leases import Keeper
from orchestrator.app.sealing import final_key_of
from orchestrator.app.stored import StoredObject
from orchestrator.domain.errors import (
    CheckBrokenOff,
    DatabaseUnavailable,
    NotFound,
    StaleJob,
    Unavailable,
    UnderstudyError,
)
from orchestrator.domain.media import MediaRules
from orchestrator.domain.media_items import (
    PREPARE_MEDIA,
    PROBED_AS,
    Media,
    MediaNotReady,
    MediaNotUsable,
    MediaStatus,
)
from orchestrator.domain.model import File, FileKind, FileState
from orchestrator.domain.uploads import GIB
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing

THREADS: Final = 4  # probes are child processes, copies happen in the store: threads only wait
# A copy whose process died is deleted after this; no copy takes as long.
ADOPTED_WITHIN: Final = timedelta(days=1)
# Larger ones are copied by workers only: whoever asks does not wait so long.
COPIED_AT_ONCE_BYTES: Final = GIB
_LOOKS: Final = 100
_BETWEEN_LOOKS_S: Final = 0.05
_REASON_LIMIT: Final = 2000  # characters

# Whatever our reader understands; what a kind of job takes is judged with the job.
RULES: Final = MediaRules(name="the media library", containers=("mp4", "mov", "webm", "matroska"))


class _Failed(Exception):
    """The media can never be prepared as they are; says why."""


@dataclass(frozen=True, slots=True)
class _Later(Exception):
    """Not now; nothing is wrong with the media."""

    after: timedelta


class Preparation:
    """Works off media that are due. One per process; several threads may drain at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keeper = Keeper(context)
        self.report: Report = lambda _event, _fields: None
        self.stopping: Callable[[], bool] = lambda: False

    def drain(self) -> int:
        """Prepare until nothing is due; gives how many were settled."""
        clock = self._context.clock
        ends_at, settled = clock() + BUDGET, 0
        while not self.stopping():
            token = new_token()
            items = self._claimed(token, THREADS)
            if not items:
                break
            renew = lambda tx, until, token=token: tx.media.renew(token, until)  # noqa: E731  one claim's
            with self._keeper.kept(renew), ThreadPoolExecutor(len(items), "prepare-media") as pool:
                settled += sum(pool.map(lambda item, token=token: self._prepare(item, token), items))
            if clock() >= ends_at:
                self._context.waker.wake(PREPARE_MEDIA)
                break
        return settled

    def sealed_now(self, media_id: str, project_id: str) -> File:
        """The sealed bytes of registered media, copied at this moment if nobody has come to it yet.

        Raises:
            MediaNotReady: they are large, or somebody is at it for longer than anybody wants to wait.
            MediaNotUsable: they cannot be had.
        """
        for _ in range(_LOOKS):
            with self._context.store.read() as tx:
                item = tx.media.get(media_id, project_id)
                file = None if item.file_id is None else tx.files.get(item.file_id)
            if file is not None and file.state is FileState.SEALED:
                return file
            if item.status is MediaStatus.PREPARE_FAIL:
                raise MediaNotUsable(f"media {media_id} cannot be used: {item.reason}", media_id=media_id)
            found = self._context.storage.head(str(item.place))
            if found is not None and found.size_bytes > COPIED_AT_ONCE_BYTES:
                break
            token = new_token()
            claimed = self._claimed(token, 1, media_id)
            if not claimed:
                time.sleep(_BETWEEN_LOOKS_S)
                continue
            if claimed[0].file_id is not None:  # copied since it was read
                self._release(claimed[0], token, timedelta(0))
                continue
            with self._keeper.kept(lambda tx, until, token=token: tx.media.renew(token, until)):  # type: ignore[misc]  # one claim's
                self._copy_and_leave(claimed[0], token)
        raise MediaNotReady(f"media {media_id} is being prepared; ask again in a moment", media_id=media_id)

    def _claimed(self, token: str, limit: int, media_id: str = "") -> list[Media]:
        now = self._context.clock()
        until = now + self._context.timing.lease
        with self._context.store.lease() as tx:
            return tx.media.claim(now=now, until=until, token=token, limit=limit, media_id=media_id)

    def _copy_and_leave(self, item: Media, token: str) -> None:
        """Seal the bytes; looking at them is for the workers."""
        try:
            self._copied(item, token)
        except _Failed as exc:
            self._settle(item, token, MediaStatus.PREPARE_FAIL, reason=str(exc))
        except (Unavailable, ObjectChanged):
            self._release(item, token, self._context.timing.step_retry)
            raise
        else:
            self._release(item, token, timedelta(0))
            self._context.waker.wake(PREPARE_MEDIA)

    # one claimed item

    def _prepare(self, item: Media, token: str) -> bool:
        """Do what is due of it and write what came of it; False: it is due again later, or somebody else's by now."""
        timing = self._context.timing
        try:
            try:
                self._look(item, token, self._bytes_of(item, token))
            except _Failed as exc:
                self._settle(item, token, MediaStatus.PREPARE_FAIL, reason=str(exc))
        except _Later as later:
            self._release(item, token, later.after)
        except DatabaseUnavailable:
            raise
        except StaleJob:
            pass  # deleted, or taken over after our lease ran out
        except CheckBrokenOff:
            self._release(item, token, timing.step_retry, tries=item.tries)
        except Unavailable:
            self._release(item, token, timing.step_retry)
        except Exception as exc:  # noqa: BLE001  broken media must not take others along; the try is counted
            self.report("media_crashed", {"media_id": item.id, "error": repr(exc)})
            self._release(item, token, timing.step_retry, tries=item.tries)
        else:
            return True
        return False

    def _bytes_of(self, item: Media, token: str) -> File:
        """The sealed file. Raises _Failed, _Later."""
        if item.tries > self._context.timing.max_takeovers:
            raise _Failed(f"its preparation broke off {item.tries - 1} times; an operator has to look at it")
        file = self._file_of(item)
        if file is None:
            if not item.is_registered:
                raise _Failed("nothing was uploaded")
            return self._copied(item, token)
        if file.state is FileState.SEALED:
            return file
        if file.state is FileState.SEALING:
            raise _Later(self._context.timing.step_retry)
        left = file.expires_at - self._context.clock()
        if file.state is FileState.OPEN and left > timedelta(0):
            raise _Later(left)
        raise _Failed(f"nothing was uploaded until {file.expires_at:%Y-%m-%dT%H:%M:%SZ}; ask for a new upload address")

    def _file_of(self, item: Media) -> File | None:
        if item.file_id is None:
            return None
        try:
            with self._context.store.read() as tx:
                return tx.files.get(item.file_id)
        except NotFound:
            return None

    def _copied(self, item: Media, token: str) -> File:
        """A copy of registered bytes at a key that nobody else can write. Raises _Failed, ObjectChanged."""
        storage, place = self._context.storage, str(item.place)
        source = storage.head(place)
        if source is None:
            raise _Failed(f"there is no object at {item.input_url}")
        at = self._context.clock()
        file_id = new_id(at)
        guessed = mimetypes.guess_type(place)[0] or "application/octet-stream"
        # the row comes first, and says that the object is to be deleted: whoever dies while it is copied leaves nothing
        copy = File(
            id=file_id, project_id=item.project_id, job_id=None, kind=FileKind.MEDIA, state=FileState.DELETING,
            version=0, name=PurePosixPath(place).name[-256:], content_type=guessed, staging_key=f"registered/{file_id}",
            upload_id="", part_count=1, part_sizes=(), size_bytes=source.size_bytes, final_key=f"files/{file_id}",
            etag=None, sha256=None, created_at=at, expires_at=at + ADOPTED_WITHIN,
        )  # fmt: skip
        with self._context.store.begin() as tx:
            tx.files.add(copy, copy.expires_at)
        try:
            final = storage.copy(source, final_key_of(copy))
            with self._context.store.begin() as tx:
                sealed = tx.files.move(copy, FileState.SEALED, etag=final.etag, sealed_at=self._context.clock())
                tx.media.hold(
                    item.id, token, file_id=file_id, status=MediaStatus.PREPARING, reason="",
                    updated_at=self._context.clock(),
                )  # fmt: skip
        except ObjectMissing as exc:
            self._give_up(copy)
            raise _Failed(f"the object at {item.input_url} was deleted while it was copied") from exc
        except UnderstudyError:
            self._give_up(copy)
            raise
        return sealed

    def _give_up(self, copy: File) -> None:
        """Have the copy deleted, once the store has surely ended what it gave no answer to: it may still make it."""
        with self._context.store.begin() as tx:
            tx.files.postpone(copy, self._context.clock() + self._context.timing.abort_retry)
            is_forgotten = tx.files.get(copy.id).state is FileState.DELETED
        if is_forgotten:  # it took longer than any copy does: the sweep was there before the object was
            self._context.storage.delete(final_key_of(copy))

    def _look(self, item: Media, token: str, file: File) -> None:
        """Measure the bytes and write what was found."""
        kind = PROBED_AS.get(item.type)
        if kind is None:
            self._settle(item, token, MediaStatus.NORMAL)
            return
        info = ObjectInfo(str(file.final_key), str(file.etag), file.size_bytes or 0)
        try:
            verdict = self._context.prober.judge(StoredObject(self._context.storage, info), kind, RULES)
        except (ObjectMissing, ObjectChanged) as exc:
            raise _Failed(f"its bytes are not what was sealed: {exc.message}") from exc
        facts = verdict.facts.as_dict()
        reason = " ".join(each.message for each in verdict.reasons)[:_REASON_LIMIT]
        status = MediaStatus.NORMAL if verdict.accepted else MediaStatus.PREPARE_FAIL
        self._settle(item, token, status, reason=reason, facts=facts, file=file)

    def _settle(
        self, item: Media, token: str, status: MediaStatus, *, reason: str = "",
        facts: dict[str, object] | None = None, file: File | None = None,
    ) -> None:  # fmt: skip
        at = self._context.clock()
        with self._context.store.begin() as tx:
            tx.media.settle(item.id, token, None, status=status, reason=reason, facts=facts, tries=0, updated_at=at)
            if file is not None:
                tx.files.record(file.id, facts=facts)

    def _release(self, item: Media, token: str, after: timedelta, tries: int = 0) -> None:
        try:
            with self._context.store.begin() as tx:
                tx.media.settle(item.id, token, self._context.clock() + after, tries=tries)
        except StaleJob:
            return
