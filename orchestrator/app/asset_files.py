"""Files of assets: addresses, confirmation, a look at what came, the state of the asset that follows."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from orchestrator.app.context import Context
from orchestrator.app.library import changed, drop_file
from orchestrator.app.sealing import Sealing, final_key_of
from orchestrator.app.stored import StoredObject
from orchestrator.app.uploads import Upload, begun, forget, signed
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import (
    ANY_TYPE,
    CATEGORIES,
    COVER,
    COVER_LIMIT_BYTES,
    MAIN,
    PROBED,
    Asset,
    AssetCommand,
    AssetCoverExists,
    AssetFile,
    AssetFileState,
    AssetFileTooLarge,
    AssetMainExists,
    decide,
    has_main,
)
from orchestrator.domain.errors import CommandNotAllowed, Invalid, NotFound, UnderstudyError, UploadNotOpen
from orchestrator.domain.media import MediaKind, MediaRules
from orchestrator.domain.model import File, FileKind, FileState
from orchestrator.domain.uploads import PartPlan
from orchestrator.ports.storage import ObjectInfo
from orchestrator.ports.store import Tx

MAX_FILES: Final = 1000  # of one asset
# Read whole to compare the MD5; the store has compared larger ones, when their header came with them.
HASHED_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 8 * 1024 * 1024
_ONE_EACH: Final = {MAIN: AssetMainExists, COVER: AssetCoverExists}
_IN_THE_WAY: Final = frozenset(
    {AssetFileState.UPLOADED, AssetFileState.CREATED, AssetFileState.REVIEW, AssetFileState.BLOCK}
)
_PENDING: Final = frozenset({AssetFileState.CREATING, AssetFileState.FAILED})


class AssetFiles:
    """Use cases on files of assets."""

    def __init__(self, context: Context, sealing: Sealing) -> None:
        self._context = context
        self._sealing = sealing

    def open(
        self, caller: Caller, asset_id: str, category: str, name: str, *, size_bytes: int | None, parts: int = 1,
        md5: str | None = None, file_type: str = "",
    ) -> Upload:  # fmt: skip
        """Addresses for a file.

        Raises:
            AssetNotFound, CommandNotAllowed: no such asset, or one that is thrown away or frozen.
            Invalid: the type of asset takes no such file.
            AssetMainExists, AssetCoverExists, AssetFileTooLarge.
        """
        with self._context.store.read() as tx:
            self._check(tx, tx.library.get(asset_id, caller.project_id), category, size_bytes)
        guessed = mimetypes.guess_type(f"x.{file_type}" if file_type else name)[0]
        agreed = PartPlan(parts, {1: size_bytes} if parts == 1 and size_bytes else None)
        file = begun(
            self._context, caller.project_id, FileKind.ASSET, name, agreed,
            lifetime=self._context.timing.upload_url_lifetime, size_bytes=size_bytes, content_type=guessed,
        )  # fmt: skip
        held = AssetFile(
            file.id, category, name, final_key_of(file), file.content_type, size_bytes or 0, None,
            AssetFileState.CREATING, md5, file_type,
        )  # fmt: skip

        def work(tx: Tx, asset: Asset) -> Asset:
            saved = tx.library.save(asset)  # a write, so that of two who add a file the second one sees the first
            self._check(tx, saved, category, size_bytes)
            tx.files.add(file, file.expires_at)
            tx.library.add_file(asset_id, held, file.created_at)
            return saved

        try:
            changed(self._context, caller, asset_id, work)
        except UnderstudyError:
            forget(self._context, file)
            raise
        return signed(self._context, file, list(agreed.numbers))

    def _check(self, tx: Tx, asset: Asset, category: str, size_bytes: int | None) -> None:
        decide(asset, AssetCommand.TAKE_FILE)
        allowed = CATEGORIES.get(asset.type)
        if allowed is not None and category not in allowed | ANY_TYPE:
            taken = sorted(allowed | ANY_TYPE)
            raise Invalid(f"an asset of type {asset.type} takes {taken}, not {category}", field="category")
        if category == COVER and size_bytes is not None and size_bytes > COVER_LIMIT_BYTES:
            raise AssetFileTooLarge(f"the cover has {size_bytes} bytes")
        files = tx.library.files([asset.id])[asset.id]
        if len(files) >= MAX_FILES:
            raise Invalid(f"asset {asset.id} has {len(files)} files; {MAX_FILES} are allowed")
        if category in _ONE_EACH and any(f.category == category and self._stands(tx, f) for f in files):
            raise _ONE_EACH[category](f"asset {asset.id} has a {category} file")

    def _stands(self, tx: Tx, file: AssetFile) -> bool:
        """Whether a file is in the way of another one of its kind: it is there, or still on its way."""
        if file.state is not AssetFileState.CREATING:
            return file.state in _IN_THE_WAY
        try:
            held = tx.files.get(file.id)
        except NotFound:
            return False
        return held.state is not FileState.OPEN or held.expires_at > self._context.clock()

    def confirm(self, caller: Caller, file_id: str) -> AssetFile:
        """The file is up: seal it, look at it, and let its asset follow. Asked again, it answers the same.

        Raises:
            NotFound, UploadIncomplete, UploadNotOpen.
            Invalid: the bytes are not the ones that were announced; the file has failed.
        """
        asset, file = self._get(caller, file_id)
        if file.state is AssetFileState.CREATED:
            return file
        _check_state(file, {AssetFileState.CREATING})
        decide(asset, AssetCommand.TAKE_FILE)
        with self._context.store.read() as tx:
            held = tx.files.get(file_id, caller.project_id)
        sealed = self._sealing.seal(held, caller)
        if file.md5 is not None and not self._is_as_told(sealed, file.md5):
            self._end(caller, file_id, AssetFileState.FAILED, "the MD5 is not the one that was told")
            raise Invalid(f"the MD5 of file {file_id} is not the one that was told", field="file_md5")
        facts = self._facts(asset, file, sealed)
        with self._context.store.begin() as tx:
            asset, file = tx.library.file(file_id, caller.project_id)
            if file.state is AssetFileState.CREATED:  # confirmed by somebody else meanwhile
                return file
            _check_state(file, {AssetFileState.CREATING})  # given up meanwhile, its bytes are deleted
            done = tx.library.save_file(
                file, state=AssetFileState.CREATED, key=sealed.final_key, size_bytes=sealed.size_bytes, facts=facts
            )
            self._follow(tx, asset, file, AssetCommand.MAIN_READY)
        return done

    def fail(self, caller: Caller, file_id: str, *, cancelled: bool) -> AssetFile:
        """The upload failed, or was given up; its URLs die."""
        ending = AssetFileState.CANCELLED if cancelled else AssetFileState.FAILED
        return self._end(caller, file_id, ending, "")

    def _end(self, caller: Caller, file_id: str, ending: AssetFileState, reason: str) -> AssetFile:
        at = self._context.clock()
        with self._context.store.begin() as tx:
            asset, file = tx.library.file(file_id, caller.project_id)
            _check_state(file, _PENDING)
            held = tx.files.get(file_id, caller.project_id)
            if held.state is FileState.SEALING:
                raise UploadNotOpen(f"file {file_id} is being sealed at this moment; ask again in a minute")
            ends = {FileState.OPEN: FileState.ABORTING, FileState.SEALED: FileState.DELETING}
            if held.state in ends:
                tx.files.move(held, ends[held.state], due_at=at)
            done = tx.library.save_file(file, state=ending, reason=reason)
            if ending is AssetFileState.FAILED:
                self._follow(tx, asset, file, AssetCommand.MAIN_FAILED)
        return done

    def delete(self, caller: Caller, file_id: str) -> None:
        """Take a file out of its asset. Raises NotFound."""
        with self._context.store.begin() as tx:
            asset, file = tx.library.file(file_id, caller.project_id)
            decide(asset, AssetCommand.TAKE_FILE)
            drop_file(self._context, tx, file, self._context.clock())
            if not has_main(tx.library.files([asset.id])[asset.id]):
                self._follow(tx, asset, file, AssetCommand.MAIN_GONE)

    def _follow(self, tx: Tx, asset: Asset, file: AssetFile, command: AssetCommand) -> None:
        """An asset is what its main file is."""
        at = self._context.clock()
        if file.category == MAIN:
            with suppress(CommandNotAllowed):  # a main file beside another one that stands
                tx.library.save(asset, state=decide(asset, command), updated_at=at)
        else:
            tx.library.save(asset, updated_at=at)

    def _get(self, caller: Caller, file_id: str) -> tuple[Asset, AssetFile]:
        with self._context.store.read() as tx:
            return tx.library.file(file_id, caller.project_id)

    def _is_as_told(self, sealed: File, md5: str) -> bool:
        size = sealed.size_bytes or 0
        if size > HASHED_BYTES:
            return True
        found = hashlib.md5(usedforsecurity=False)
        for start in range(0, size, _CHUNK):
            found.update(self._context.storage.read_range(str(sealed.final_key), start, min(_CHUNK, size - start)))
        return base64.b64encode(found.digest()).decode() == md5

    def _facts(self, asset: Asset, file: AssetFile, sealed: File) -> dict[str, object]:
        """What the probe says of a file whose type can be looked at; a file that cannot be read says why."""
        kind = MediaKind.IMAGE if file.category == COVER else PROBED.get(asset.type)
        if kind is None or file.category not in {MAIN, COVER}:
            return {}
        info = ObjectInfo(str(sealed.final_key), str(sealed.etag), sealed.size_bytes or 0)
        verdict = self._context.prober.judge(StoredObject(self._context.storage, info), kind, MediaRules())
        facts = verdict.facts.as_dict()
        if not verdict.accepted:
            facts["reasons"] = [reason.message for reason in verdict.reasons][:3]
        return facts


def _check_state(file: AssetFile, allowed: Collection[AssetFileState]) -> None:
    if file.state not in allowed:
        raise CommandNotAllowed(
            f"file {file.id} is {file.state}; it would have to be {sorted(allowed)}", file_id=file.id
        )
