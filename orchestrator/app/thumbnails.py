"""Thumbnails that owners want at an address of theirs: written after training, tried again for a while, never lost.

The order is written with the model it belongs to, in one transaction; a sweep carries it out: into the project's own
inbox of our store, or by the courier to wherever the operator allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.assets import COVER, COVER_LIMIT_BYTES, Asset, AssetFile, AssetNotFound, Delivery
from orchestrator.domain.errors import Refused, StaleJob, Unavailable
from orchestrator.domain.media_items import PlaceNotAllowed, check_place, inbox_of
from orchestrator.ports.courier import NotDelivered
from orchestrator.ports.storage import ObjectMissing
from orchestrator.ports.store import Tx

WANTED: Final = "thumbnail"
"""The attribute of a job, and of its model, that says where its owner wants the thumbnail."""

WRITTEN_AT: Final = "thumbnail_written_at"
REFUSED: Final = "thumbnail_refused"
TRIES: Final = 10  # over about two hours and a half
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=30)
_THREADS: Final = 8


def order(tx: Tx, asset: Asset, files: Sequence[AssetFile], at: datetime) -> None:
    """Have the thumbnail of a model written where its owner wants it, if anywhere."""
    url = asset.attributes.get(WANTED)
    cover = next((file for file in files if file.category == COVER), None)
    if isinstance(url, str) and url and cover is not None:
        tx.deliveries.add(Delivery(asset.id, asset.project_id, url, cover.key, cover.content_type, 0, at))


def written_to(asset: Asset) -> str | None:
    """Where the thumbnail of a model was written for its owner; None: nowhere, or not yet."""
    url = asset.attributes.get(WANTED)
    return url if isinstance(url, str) and url and WRITTEN_AT in asset.attributes else None


class Thumbnails:
    """What the sweep of deliveries does."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        with self._context.store.read() as tx:
            return list(tx.deliveries.due(now, limit))

    def deliver(self, due: list[Delivery]) -> list[str]:
        """Try each once, several at a time; gives a line for each."""
        if not due:
            return []
        with ThreadPoolExecutor(min(_THREADS, len(due)), "thumbnails") as pool:
            return list(pool.map(self._deliver, due))

    def _deliver(self, each: Delivery) -> str:
        try:
            self._write(each)
        except (Refused, ObjectMissing) as exc:
            return self._end(each, REFUSED, exc.message)
        except Unavailable as exc:
            if each.tries + 1 >= TRIES:
                return self._end(each, REFUSED, exc.message)
            wait = min(_FIRST_WAIT * 2**each.tries, _LONGEST_WAIT)
            with self._context.store.begin() as tx:
                tx.deliveries.postpone(each, self._context.clock() + wait)
            return f"thumbnail of {each.asset_id}: {exc.message}; tried again in {wait.total_seconds():.0f} s"
        return self._end(each, WRITTEN_AT, self._context.clock().isoformat())

    def _write(self, each: Delivery) -> None:
        storage = self._context.storage
        info = storage.head(each.key)
        if info is None:
            raise ObjectMissing("the thumbnail is not there any more")
        if info.size_bytes > COVER_LIMIT_BYTES:
            raise NotDelivered(f"the thumbnail has {info.size_bytes} bytes; {COVER_LIMIT_BYTES} are delivered")
        content = storage.read_range(each.key, 0, info.size_bytes, etag=info.etag)
        own = storage.key_of(each.url)
        if own is None:
            self._context.courier.put(each.url, content, each.content_type)
            return
        try:
            check_place(own, each.project_id)
        except PlaceNotAllowed as exc:
            raise NotDelivered(f"in this store only {inbox_of(each.project_id)}... takes the thumbnail") from exc
        storage.put(own, content, each.content_type)

    def _end(self, each: Delivery, word: str, told: str) -> str:
        """Say on the model how it went, and be done."""
        for _ in range(3):
            try:
                with self._context.store.begin() as tx:
                    tx.deliveries.drop(each)
                    self._say(tx, each, word, told)
                break
            except StaleJob:  # its owner has just changed it
                continue
        return f"thumbnail of {each.asset_id}: {word} {told}"

    @staticmethod
    def _say(tx: Tx, each: Delivery, word: str, told: str) -> None:
        try:
            asset = tx.library.get(each.asset_id, each.project_id)
        except AssetNotFound:
            return
        kept = {name: value for name, value in asset.attributes.items() if name not in {WRITTEN_AT, REFUSED}}
        tx.library.save(asset, attributes={**kept, word: told})
