"""What is held of media and assets: bytes that are shown are there, what is gone is gone, a word makes one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.domain.assets import Asset, AssetFile, AssetFileState, AssetState, has_main
from orchestrator.domain.media_items import Media, MediaStatus
from orchestrator.domain.model import FileKind, FileState

if TYPE_CHECKING:
    from tests.simulation.world import World

_SHOWN = frozenset({AssetState.ACTIVED, AssetState.UNACTIVED})


class LibraryWatch:
    """Looks on from outside of the use cases."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tables = world.store.data.tables
        self._made: dict[str, str] = {}
        self.taken: dict[str, set[str]] = {}  # names of files that owners have asked to take out of an asset

    def made_by(self, word: str, media_id: str) -> None:
        """The same word makes the same thing, unless that was deleted meanwhile."""
        former = self._made.setdefault(word, media_id)
        row = self._tables["media"].get(former)
        is_there = row is not None and row.deleted_at is None
        self._world.watch.note(former == media_id or not is_there, f"{word!r} made {former} and {media_id}")
        self._made[word] = media_id

    def media(self) -> list[Media]:
        return [row.item for row in self._tables["media"].values() if row.deleted_at is None]

    def assets(self) -> list[Asset]:
        return [row.asset for row in self._tables["assets"].values() if row.deleted_at is None]

    def files_of(self, asset_id: str) -> list[AssetFile]:
        return [row.file for row in self._tables["asset files"].values() if row.asset_id == asset_id]

    def is_shared(self, asset_id: str) -> bool:
        return bool(self._tables["shares of asset"].get(asset_id))

    def wrong(self) -> list[str]:
        """What does not hold once nothing is left to do."""
        return [*self._wrong_media(), *self._wrong_assets()]

    def _wrong_media(self) -> list[str]:
        wrong = []
        for row in self._tables["media"].values():
            item, held = row.item, self._tables["files"].get(row.item.file_id)
            state = None if held is None else held.file.state
            if row.lease_token is not None:
                wrong.append(f"media {item.id} is still leased")
            if row.deleted_at is not None:
                continue
            waits = state is FileState.OPEN and item.status is MediaStatus.INIT
            if not waits and item.status not in {MediaStatus.NORMAL, MediaStatus.PREPARE_FAIL}:
                wrong.append(f"media {item.id} is stuck in {item.status}, its file in {state}")
            if item.status is MediaStatus.NORMAL and not self._is_kept(item.file_id):
                wrong.append(f"the bytes of media {item.id} are not there; its file is {state}")
        return wrong

    def _wrong_assets(self) -> list[str]:
        wrong = []
        for row in self._tables["assets"].values():
            asset, files = row.asset, self.files_of(row.asset.id)
            if asset.state is AssetState.DELETED and files:
                wrong.append(f"asset {asset.id} is deleted, and has {[file.name for file in files]}")
            if asset.job_id is None and asset.state in _SHOWN and not has_main(files):
                wrong.append(f"asset {asset.id} is {asset.state} without a main file")
            shown = (file.key for file in files if file.state is AssetFileState.CREATED)
            head = self._world.storage.bucket.head
            wrong += [f"the file {key} of asset {asset.id} is gone" for key in shown if head(key) is None]
        return wrong

    def _is_kept(self, file_id: str | None) -> bool:
        row = self._tables["files"].get(file_id)
        if row is None or row.file.state is not FileState.SEALED:
            return False
        there = self._world.storage.bucket.head(str(row.file.final_key))
        return there is not None and there.etag == row.file.etag

    def left(self) -> list[str]:
        """What should be gone when the longest time limit is over."""
        now = self._world.scheduler.clock()
        too_old = now - self._world.timing.keep_deleted
        owned = {item.file_id for item in self.media()} | set(self._tables["asset files"])
        return [
            *(f"deleted, and not erased: media {row.item.id}" for row in self._tables["media"].values()
              if row.deleted_at is not None and row.deleted_at < too_old),
            *(f"in the bin for too long: asset {asset.id}" for asset in self.assets()
              if asset.state is AssetState.DELETING and asset.due_at is not None and asset.due_at < now),
            *(f"bytes of nobody: {row.file.kind} {row.file.id}" for row in self._tables["files"].values()
              if row.file.state is FileState.SEALED and row.file.kind in {FileKind.MEDIA, FileKind.ASSET}
              and row.file.id not in owned),
            *(f"a word that was kept for too long: {key}" for key, row in self._tables["once"].items()
              if row.expires_at < now),
            *(f"a token that was kept for too long: {held[1]}" for held in self._tables["tokens"].values()
              if held[2] < now),
            *(f"a thumbnail that is not delivered: {each.asset_id}" for each in self._tables["deliveries"].values()),
        ]  # fmt: skip
