"""Media in memory: what tests/contract/test_store_media.py holds against the SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Conflict, StaleJob
from orchestrator.domain.media_items import Media, MediaNotFound, MediaStatus
from orchestrator.domain.model import FileState
from orchestrator.domain.states import STATES, Phase
from tests.fakes.store.rows import RowsOfTx, revised

_AT_WORK = frozenset(state for state, info in STATES.items() if info.phase in {Phase.QUEUED, Phase.RUNNING})
_FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}


class MediaRow(NamedTuple):
    item: Media
    due_at: datetime | None
    lease_token: str | None = None
    lease_until: datetime | None = None
    deleted_at: datetime | None = None


class MemoryMedia:
    """Pages are the SQL's business."""

    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def _alive(self) -> list[MediaRow]:
        return [row for _, row in self._rows.all("media") if row.deleted_at is None]

    # what people ask

    def add(self, item: Media, due_at: datetime) -> None:
        self._rows.step("add media")
        self._hold_alone(item)
        self._rows.insert("media", item.id, MediaRow(revised(item, attributes=dict(item.attributes)), due_at))

    def _hold_alone(self, item: Media) -> None:
        """The unique place and reference: whoever is about to write the same one is waited for."""
        for name in ("place", "reference_id"):
            value = getattr(item, name)
            if value is not None:
                self._rows.lock(f"{name} of media", (item.project_id, value))
                if any(getattr(row.item, name) == value and row.item.project_id == item.project_id
                       and row.item.id != item.id for row in self._alive()):  # fmt: skip
                    raise Conflict("another item with this place or reference was made at the same moment")

    def get(self, media_id: str, project_id: str | None) -> Media:
        self._rows.step("get media")
        found = self._one(lambda item: item.id == media_id, project_id)
        if found is None:
            raise MediaNotFound(f"there is no media {media_id}", media_id=media_id)
        return found

    def get_many(self, media_ids: Sequence[str], project_id: str | None) -> list[Media]:
        self._rows.step("get media")
        found = {row.item.id: row.item for row in self._alive() if project_id in {None, row.item.project_id}}
        return [found[each] for each in dict.fromkeys(media_ids) if each in found]

    def at(self, place: str, project_id: str) -> Media | None:
        self._rows.step("media at")
        return self._one(lambda item: item.place == place, project_id)

    def referred(self, reference_id: str, project_id: str) -> Media | None:
        self._rows.step("media referred")
        return self._one(lambda item: item.reference_id == reference_id, project_id)

    def save(self, item: Media, **values: Any) -> Media:
        self._rows.step("save media")
        if values.get("reference_id") is not None:
            self._hold_alone(revised(item, reference_id=values["reference_id"]))

        def saved(row: MediaRow) -> MediaRow | None:
            return _written(row, values) if row.deleted_at is None and row.item.version == item.version else None

        if not self._rows.update("media", item.id, saved):
            raise StaleJob(f"media {item.id} was changed by somebody else meanwhile", media_id=item.id)
        row: MediaRow = self._rows.get("media", item.id)
        return row.item

    def begin_anew(self, item: Media, due_at: datetime, **values: Any) -> Media:
        return self.save(item, **values, **_FREE, due_at=due_at, tries=0)

    def delete(self, item: Media, at: datetime) -> None:
        self.save(item, **_FREE, deleted_at=at, place=None, reference_id=None, due_at=None)

    def is_in_use(self, file_id: str) -> bool:
        self._rows.step("media in use")
        source = self._rows.get("files", file_id)
        if source is None or source.file.final_key is None:
            return False
        held = [row.file for _, row in self._rows.all("files") if row.file.final_key == source.file.final_key]
        jobs = [self._rows.get("jobs", file.job_id) for file in held if file.state is FileState.SEALED and file.job_id]
        return any(
            row is not None and row.deleted_at is None
            and (row.job.state in _AT_WORK or row.job.effect is Effect.RETRY) for row in jobs
        )  # fmt: skip

    # what happens by itself

    def arrived(self, file_id: str, at: datetime) -> bool:
        self._rows.step("media arrived")
        values = {"status": MediaStatus.PREPARING, "reason": "", "due_at": at, "updated_at": at, "tries": 0, **_FREE}

        def looked_at(row: MediaRow) -> MediaRow | None:
            return _written(row, values) if row.item.file_id == file_id and row.deleted_at is None else None

        return sum(self._rows.update("media", row.item.id, looked_at) for row in self._alive()) == 1

    def claim(self, *, now: datetime, until: datetime, token: str, limit: int, media_id: str = "") -> list[Media]:
        self._rows.step("claim media")
        due = [
            row for row in self._alive()
            if row.due_at is not None and row.due_at <= now and media_id in {"", row.item.id}
            and (row.lease_until is None or row.lease_until <= now) and self._rows.is_free("media", row.item.id)
        ]  # fmt: skip
        claimed = []
        for row in sorted(due, key=lambda row: row.due_at)[:limit]:  # type: ignore[arg-type, return-value]  # of due ones it is there
            self._rows.update("media", row.item.id, lambda held: held._replace(
                item=revised(held.item, tries=held.item.tries + 1), lease_token=token, lease_until=until
            ))  # fmt: skip
            claimed.append(self._rows.get("media", row.item.id).item)
        return claimed

    def renew(self, token: str, until: datetime) -> None:
        self._rows.step("renew media")
        for key, _ in self._rows.all("media"):
            self._rows.update(
                "media", key, lambda row: row._replace(lease_until=until) if row.lease_token == token else None
            )

    def settle(self, media_id: str, token: str, due_at: datetime | None, **values: Any) -> None:
        self.hold(media_id, token, **values, **_FREE, due_at=due_at)

    def hold(self, media_id: str, token: str, **values: Any) -> None:
        self._rows.step("hold media")

        def held(row: MediaRow) -> MediaRow | None:
            return _written(row, values) if row.lease_token == token and row.deleted_at is None else None

        if not self._rows.update("media", media_id, held):
            raise StaleJob(f"media {media_id} is somebody else's by now", media_id=media_id)

    def deleted_before(self, at: datetime, limit: int) -> list[tuple[str, str | None]]:
        self._rows.step("deleted media")
        gone = [row for _, row in self._rows.all("media") if row.deleted_at is not None and row.deleted_at < at]
        return [(row.item.id, row.item.file_id) for row in sorted(gone, key=lambda row: row.deleted_at)[:limit]]

    def erase(self, media_id: str) -> None:
        self._rows.step("erase media")
        row = self._rows.get("media", media_id)
        if row is not None and row.deleted_at is not None:
            self._rows.lock("media", media_id)
            self._rows.put("media", media_id, None)

    def _one(self, fits: Callable[[Media], bool], project_id: str | None) -> Media | None:
        return next(
            (row.item for row in self._alive() if fits(row.item) and project_id in {None, row.item.project_id}), None
        )


def _written(row: MediaRow, values: dict[str, Any]) -> MediaRow:
    """The row with columns written, its version counted."""
    beside = {name: value for name, value in values.items() if name in MediaRow._fields}
    own = {name: value for name, value in values.items() if name not in beside}
    return row._replace(item=revised(row.item, **own, version=row.item.version + 1), **beside)
