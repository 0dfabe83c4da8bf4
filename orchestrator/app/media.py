"""The media library of a project: registered or uploaded once, looked at by the machine, used by any number of jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Final, NamedTuple, TypeVar

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.app.media_use import MediaUse
from orchestrator.app.rereads import again
from orchestrator.app.uploads import Upload, begun, check_file_name, due_of, forget, plan_of, signed
from orchestrator.domain import uploads
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.errors import Forbidden, Invalid, UnderstudyError, UploadNotOpen
from orchestrator.domain.media_items import (
    PREPARE_MEDIA,
    Media,
    MediaExists,
    MediaInUse,
    MediaNotFound,
    MediaNotReady,
    MediaQuery,
    MediaStatus,
    MediaType,
    PlaceNotAllowed,
    ReferenceTaken,
    check_place,
    inbox_of,
    type_of,
)
from orchestrator.domain.model import File, FileKind, FileState, Job
from orchestrator.domain.views import MAX_PAGE
from orchestrator.ports.store import Tx

T = TypeVar("T")

ONCE_FOR: Final = timedelta(hours=24)
"""How long a client token stands for the request it came with."""

_NAME_LIMIT: Final = 256
_DONE: Final = 200


class Shown(NamedTuple):
    """An item, and the file that holds its bytes or will hold them."""

    media: Media
    file: File | None


class MediaPage(NamedTuple):
    """Attributes: total: of all matches, on whatever page."""

    items: Sequence[Shown]
    total: int
    has_more: bool


class MediaLibrary:
    """Use cases on media."""

    def __init__(self, context: Context, use: MediaUse) -> None:
        self._context = context
        self._use = use

    # making

    def register(
        self, caller: Caller, address: str, *, kind: MediaType | None = None, title: str = "",
        reference_id: str | None = None, business_type: str = "", attributes: Mapping[str, object] | None = None,
        overwrite: bool = False, once: str | None = None, untitled: str = "", media_id: str | None = None,
    ) -> Media:  # fmt: skip
        """An object of the store as media. A worker copies and reads it; the store is asked nothing here.

        Args:
            address: of an object below the project's inbox, see `Storage.key_of`; no other place is ever read.
            kind: None: by the ending of the name.
            overwrite: takes the place of what is registered for the address.
            once: the same word with the same request gives the same item again, for a day.
            untitled: what it is called without a title, else by its name; no part of the request.
            media_id: of a request that may have been done before: then its item is given, as it is now.

        Raises:
            PlaceNotAllowed: not in our bucket, or not below the project's inbox.
            Invalid: the ending of the name does not say what it is.
            MediaExists, ReferenceTaken: registered already; the reference is another item's.
            MediaInUse: what would be replaced is used by a job that waits or trains.
            Conflict: the word was used for another request.
        """
        key = self._place_of(caller, address)
        found = kind or type_of(key)
        if found is None:
            raise Invalid(f"{PurePosixPath(key).name!r} does not say what it is; give the type", field="media_type")
        at = self._context.clock()
        item = Media(
            media_id or new_id(at), caller.project_id, found, MediaStatus.INIT,
            title or untitled or PurePosixPath(key).stem[:_NAME_LIMIT], address, key, at, at, None, reference_id,
            business_type, dict(attributes or {}),
        )  # fmt: skip
        word = None if once is None else f"register media {once}"  # the blank keeps it apart from Idempotency-Key
        told, token = [address, found, title, reference_id, business_type, item.attributes, overwrite], new_token()

        def work(tx: Tx) -> Media:
            if (known := _there(tx, media_id, caller)) is not None:
                return known
            known = None if word is None else self._made_before(tx, item, word, told, token)
            if known is not None:
                return known
            held = tx.media.at(key, caller.project_id)
            if held is not None and not overwrite:
                raise MediaExists(f"{address} is registered already, as media {held.id}", media_id=held.id)
            if held is not None:
                self._drop(tx, held)
            _check_reference(tx, item, reference_id)
            tx.media.add(item, at)
            if word is not None:
                tx.idempotency.finish(caller.project_id, word, token, _DONE, item.id)
            tx.after_commit(partial(self._context.waker.wake, PREPARE_MEDIA))
            return item

        return self._again(work)

    def _made_before(self, tx: Tx, item: Media, word: str, told: object, token: str) -> Media | None:
        fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
        now = self._context.clock()
        kept = tx.idempotency.begin(
            item.project_id, word, fingerprint, made_id=item.id, token=token, now=now, until=now,
            expires_at=now + ONCE_FOR,
        )  # fmt: skip
        known = [] if kept.is_ours else tx.media.get_many([kept.body or kept.made_id], item.project_id)
        return known[0] if known else None

    def upload(
        self, caller: Caller, name: str, kind: MediaType, *, size_bytes: int | None = None, part_count: int | None = 1,
        title: str = "", reference_id: str | None = None, business_type: str = "",
        attributes: Mapping[str, object] | None = None, media_id: str | None = None,
    ) -> tuple[Media, Upload]:  # fmt: skip
        """An item whose bytes come by upload. One part: a sweep seals what was sent; more: somebody says when.

        Args:
            media_id: of a request that may have been done before: then its item is given, as `refresh` does.

        Raises:
            Invalid, UploadTooLarge: a name without letters; count and size do not fit.
            ReferenceTaken.
        """
        check_file_name(name)
        agreed = uploads.plan(size_bytes, part_count)
        if media_id is None:  # else the reference may be its own
            with self._context.store.read() as tx:
                _check_reference(tx, None, reference_id, caller.project_id)
        file = self._begun(caller.project_id, name, agreed, size_bytes)
        at = file.created_at
        made_id = media_id or new_id(at)
        ending = PurePosixPath(name).suffix.lower()
        place = f"media/{made_id}" + (ending if ending[1:].isascii() and ending[1:].isalnum() else "")
        item = Media(
            made_id, caller.project_id, kind, MediaStatus.INIT, title or name, self._context.storage.address_of(place),
            place, at, at, file.id, reference_id, business_type, dict(attributes or {}),
        )  # fmt: skip
        try:
            with self._context.store.begin() as tx:
                if (known := _there(tx, media_id, caller)) is None:
                    _check_reference(tx, item, reference_id)
                    tx.files.add(file, due_of(self._context, file))
                    tx.media.add(item, file.expires_at)
        except UnderstudyError:
            forget(self._context, file)
            raise
        if known is not None:
            forget(self._context, file)
            return self.refresh(caller, known.id)
        return item, signed(self._context, file, agreed.numbers)

    def refresh(self, caller: Caller, media_id: str) -> tuple[Media, Upload]:
        """Fresh addresses: of the open upload, or of a new one where the former came to nothing.

        Raises:
            UploadNotOpen: its bytes are here already and fixed for life, or it was registered.
            MediaNotReady: it is being sealed at this moment.
        """
        seen = self._owned(caller, media_id)
        former = seen.file
        if seen.media.is_registered or former is None:
            raise UploadNotOpen(f"media {media_id} was registered, not uploaded", media_id=media_id)
        if former.state is FileState.SEALING:
            raise MediaNotReady(f"media {media_id} is being sealed at this moment", media_id=media_id)
        if former.state is FileState.SEALED and seen.media.status is not MediaStatus.PREPARE_FAIL:
            raise UploadNotOpen(f"media {media_id} is uploaded already; its bytes stay as they are", media_id=media_id)
        if former.state is FileState.OPEN and former.expires_at > self._context.clock():
            return seen.media, signed(self._context, former, plan_of(former).numbers)
        anew = uploads.PartPlan(former.part_count, None)  # other bytes than the ones that were told may come
        file = self._begun(seen.media.project_id, former.name, anew, None)

        def work(tx: Tx) -> Media:
            now = tx.files.get(former.id)
            if now.state is FileState.SEALED:
                tx.files.move(now, FileState.DELETING, due_at=file.created_at)
            tx.files.add(file, due_of(self._context, file))
            return tx.media.begin_anew(
                seen.media, file.expires_at, file_id=file.id, status=MediaStatus.INIT, reason="", facts=None,
                updated_at=file.created_at,
            )  # fmt: skip

        try:
            with self._context.store.begin() as tx:
                item = work(tx)
        except UnderstudyError:
            forget(self._context, file)
            raise
        return item, signed(self._context, file, anew.numbers)

    def _begun(self, project_id: str, name: str, agreed: uploads.PartPlan, size_bytes: int | None) -> File:
        lifetime = self._context.timing.upload_url_lifetime
        return begun(self._context, project_id, FileKind.MEDIA, name, agreed, lifetime=lifetime, size_bytes=size_bytes)

    # changing

    def update(
        self, caller: Caller, media_id: str, *, reference_id: str | None = None,
        attributes: Callable[[Mapping[str, object]], Mapping[str, object]] = dict, **values: object,
    ) -> Media:  # fmt: skip
        """Change what is given.

        Args:
            attributes: makes the new ones of those there are.
            values: title, business_type.

        Raises:
            MediaNotFound, ReferenceTaken.
        """

        def work(tx: Tx) -> Media:
            item = self._own(tx, caller, media_id)
            _check_reference(tx, item, reference_id)
            if reference_id is not None:
                values["reference_id"] = reference_id
            kept = dict(attributes(item.attributes))
            return tx.media.save(item, **values, attributes=kept, updated_at=self._context.clock())

        return self._again(work)

    def delete(self, caller: Caller, media_id: str, *, with_source: bool = False) -> None:
        """Take it away, its sealed bytes too where no job holds them.

        Args:
            with_source: also delete the object in the inbox that it was registered from.

        Raises:
            MediaNotFound.
            MediaInUse: a job that waits or trains was submitted with it.
        """
        seen = self._owned(caller, media_id).media
        if with_source and seen.is_registered:
            with self._context.store.read() as tx:
                _check_unused(tx, seen)
            self._context.storage.delete(str(seen.place))
        self._again(lambda tx: self._drop(tx, self._own(tx, caller, media_id)))

    def _drop(self, tx: Tx, item: Media) -> None:
        _check_unused(tx, item)
        at = self._context.clock()
        tx.media.delete(item, at)
        for file in tx.files.get_many([item.file_id] if item.file_id else []).values():
            ending = {FileState.SEALED: FileState.DELETING, FileState.OPEN: FileState.ABORTING}.get(file.state)
            if ending is not None:  # what is being sealed sees that nobody wants it any more
                tx.files.move(file, ending, due_at=at)

    def bind(self, caller: Caller, job_id: str, wanted: Mapping[FileKind, str]) -> Job:
        """Make media the sealed material of a job: the same bytes, in rows of the job's own.

        What was uploaded is sealed now if it is all there, what was registered is copied now unless it is large.
        Whether the bytes are any good is for the job's own check. Bound already, it changes nothing.

        Args:
            wanted: kind of material -> media id. Former files of these kinds are let go.

        Raises:
            NotFound: no such job.
            MediaNotFound: no such media in the job's project.
            MediaNotUsable: of another type than the material, or without bytes.
            MediaNotReady: the bytes are not here yet; later they may be.
            CommandNotAllowed, GuardRefused: the job takes no files now.
        """
        return self._use.bind(caller, job_id, wanted)

    # looking

    def show(self, caller: Caller, media_id: str) -> Shown:
        """Raises MediaNotFound, also for another project's."""
        with self._context.store.read() as tx:
            return self._with_files(tx, [tx.media.get(media_id, caller.scope)])[0]

    def show_many(self, caller: Caller, media_ids: Sequence[str]) -> Sequence[Shown]:
        """Those of the ids that are there, in the order asked."""
        with self._context.store.read() as tx:
            return self._with_files(tx, tx.media.get_many(media_ids, caller.scope))

    def at(self, caller: Caller, address: str) -> Media:
        """The caller's own item by its address. Raises MediaNotFound."""
        key = self._context.storage.key_of(address)
        with self._context.store.read() as tx:
            found = None if key is None else tx.media.at(key, caller.project_id)
        if found is None:
            raise MediaNotFound(f"no media are registered for {address}")
        return found

    def page(self, caller: Caller, query: MediaQuery) -> MediaPage:
        """A page. Users see their own project only, whichever they ask for."""
        if not 1 <= query.limit <= MAX_PAGE:
            raise Invalid(f"the page size is {query.limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        if not caller.sees_all_projects:
            query = replace(query, project_id=caller.project_id)
        with self._context.store.read() as tx:
            found = tx.media.page(replace(query, limit=query.limit + 1))
            items = self._with_files(tx, found[: query.limit])
            return MediaPage(items, tx.media.count(query), len(found) > query.limit)

    def download(self, shown: Shown, lifetime: timedelta | None = None) -> str | None:
        """A URL that downloads the sealed bytes as an attachment; None while there are none."""
        file = shown.file
        if file is None or file.state is not FileState.SEALED or file.final_key is None:
            return None
        return self._context.download_url(file.final_key, file.name, file.content_type, lifetime)

    # inside

    def _place_of(self, caller: Caller, address: str) -> str:
        key = self._context.storage.key_of(address)
        if key is None:
            inbox = self._context.storage.address_of(inbox_of(caller.project_id))
            raise PlaceNotAllowed(f"{address!r} is not an object of this store; {inbox}... can be registered",
                                  field="input_url")  # fmt: skip
        check_place(key, caller.project_id)
        return key

    @staticmethod
    def _with_files(tx: Tx, items: Sequence[Media]) -> list[Shown]:
        ids = [item.file_id for item in items if item.file_id is not None]
        files = tx.files.get_many(ids) if ids else {}
        return [Shown(item, files.get(item.file_id or "")) for item in items]

    def _owned(self, caller: Caller, media_id: str) -> Shown:
        with self._context.store.read() as tx:
            return self._with_files(tx, [self._own(tx, caller, media_id)])[0]

    @staticmethod
    def _own(tx: Tx, caller: Caller, media_id: str) -> Media:
        item = tx.media.get(media_id, caller.scope)
        if item.project_id != caller.project_id and not caller.has(Role.ADMIN):
            raise Forbidden("media are changed by their owner")
        return item

    def _again(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction; whoever comes second looks again."""

        def once() -> T:
            with self._context.store.begin() as tx:
                return work(tx)

        return again(once)


def _there(tx: Tx, media_id: str | None, caller: Caller) -> Media | None:
    """What a request with this id has made before; who makes it now is waited for: it may be slow, not dead."""
    if media_id is None:
        return None
    tx.leases.lock(f"media:{media_id}")
    return next(iter(tx.media.get_many([media_id], caller.project_id)), None)


def _check_reference(tx: Tx, item: Media | None, reference_id: str | None, project_id: str = "") -> None:
    if reference_id is None:
        return
    held = tx.media.referred(reference_id, item.project_id if item else project_id)
    if held is not None and (item is None or held.id != item.id):
        raise ReferenceTaken(f"the reference {reference_id!r} is that of media {held.id}", field="reference_id")


def _check_unused(tx: Tx, item: Media) -> None:
    if item.file_id is not None and tx.media.is_in_use(item.file_id):
        raise MediaInUse(f"media {item.id} is used by a job that waits or trains", media_id=item.id)
