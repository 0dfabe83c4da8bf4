"""Media in the database: written by compare-and-set, claimed like jobs, found by page, place and reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import files, jobs, media
from orchestrator.adapters.db.words import Words, known, readable
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Conflict, StaleJob
from orchestrator.domain.media_items import Media, MediaNotFound, MediaQuery, MediaStatus, MediaType
from orchestrator.domain.model import FileState
from orchestrator.domain.states import STATES, Phase

_FIELDS: Final = tuple(Media.__dataclass_fields__)
_TYPES: Final = Words(MediaType)
_STATUSES: Final = Words(MediaStatus)
_KNOWN: Final = sa.and_(sa.text(known("media.type", MediaType)), sa.text(known("media.status", MediaStatus)))
_COLUMNS: Final = tuple(media.c[name] for name in _FIELDS)
_ALIVE: Final = media.c.deleted_at.is_(None)
_FREE: Final[dict[str, object]] = {"lease_token": None, "lease_until": None}
_AT_WORK: Final = [state.value for state, info in STATES.items() if info.phase in {Phase.QUEUED, Phase.RUNNING}]


class SqlMedia:
    """The media of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    # what people ask

    def add(self, item: Media, due_at: datetime) -> None:
        """A new item. Raises Conflict when its place or reference is taken."""
        values = {name: getattr(item, name) for name in _FIELDS} | {"attributes": dict(item.attributes)}
        try:
            self._connection.execute(sa.insert(media).values(**values, due_at=due_at))
        except sa.exc.IntegrityError as exc:
            raise Conflict("another item with this place or reference was made at the same moment") from exc

    def get(self, media_id: str, project_id: str | None) -> Media:
        """Raises MediaNotFound, also for one of another project."""
        found = self._one(media.c.id == media_id, project_id)
        if found is None:
            raise MediaNotFound(f"there is no media {media_id}", media_id=media_id)
        return found

    def get_many(self, media_ids: Sequence[str], project_id: str | None) -> list[Media]:
        """Those of the ids that are there, in the order asked."""
        query = sa.select(*_COLUMNS).where(media.c.id.in_(media_ids), _ALIVE)
        if project_id is not None:
            query = query.where(media.c.project_id == project_id)
        found = {row.id: _media(row) for row in self._connection.execute(query)}
        return [found[each] for each in dict.fromkeys(media_ids) if each in found]

    def at(self, place: str, project_id: str) -> Media | None:
        return self._one(media.c.place == place, project_id)

    def referred(self, reference_id: str, project_id: str) -> Media | None:
        return self._one(media.c.reference_id == reference_id, project_id)

    def save(self, item: Media, **values: object) -> Media:
        """Compare-and-set of columns.

        Raises:
            StaleJob: somebody was faster.
            Conflict: the reference is taken.
        """
        statement = (
            sa.update(media)
            .where(media.c.id == item.id, media.c.version == item.version, _ALIVE)
            .values(**values, version=item.version + 1)
            .returning(*_COLUMNS)
        )
        try:
            row = self._connection.execute(statement).one_or_none()
        except sa.exc.IntegrityError as exc:
            raise Conflict("another item has this reference") from exc
        if row is None:
            raise StaleJob(f"media {item.id} was changed by somebody else meanwhile", media_id=item.id)
        return _media(row)

    def begin_anew(self, item: Media, due_at: datetime, **values: object) -> Media:
        """The same, and whoever prepares it now has lost it: it is due again."""
        return self.save(item, **values, **_FREE, due_at=due_at, tries=0)

    def delete(self, item: Media, at: datetime) -> None:
        """Hide it and free its place and reference. Raises StaleJob when somebody was faster."""
        self.save(item, **_FREE, deleted_at=at, place=None, reference_id=None, due_at=None)

    def page(self, query: MediaQuery) -> list[Media]:
        """One page; deep pages cost what the first one does."""
        found = _filtered(sa.select(*_COLUMNS), query)
        if query.after is not None:
            found = found.where(media.c.id > query.after if query.oldest_first else media.c.id < query.after)
        order = media.c.id.asc() if query.oldest_first else media.c.id.desc()  # ids sort by time
        return [_media(row) for row in self._connection.execute(found.order_by(order).limit(query.limit))]

    def count(self, query: MediaQuery) -> int:
        counted = _filtered(sa.select(sa.func.count()).select_from(media), query)
        return int(self._connection.execute(counted).scalar_one())

    def is_in_use(self, file_id: str) -> bool:
        """Whether a job that waits or trains holds the same bytes as a file."""
        key = sa.select(files.c.final_key).where(files.c.id == file_id).scalar_subquery()
        query = (
            sa.select(jobs.c.id)
            .join(files, files.c.job_id == jobs.c.id)
            .where(files.c.final_key == key, files.c.state == FileState.SEALED)
            .where(sa.or_(jobs.c.state.in_(_AT_WORK), jobs.c.effect == Effect.RETRY), jobs.c.deleted_at.is_(None))
        )
        return self._connection.execute(query.limit(1)).first() is not None

    # what happens by itself

    def arrived(self, file_id: str, at: datetime) -> bool:
        """The bytes of uploaded media are sealed: somebody may look at them. False: nobody wants them any more."""
        result = self._connection.execute(
            sa.update(media)
            .where(media.c.file_id == file_id, _ALIVE)
            .values(
                status=MediaStatus.PREPARING, reason="", due_at=at, updated_at=at, tries=0, **_FREE,
                version=media.c.version + 1,
            )
        )  # fmt: skip
        return result.rowcount == 1

    def claim(self, *, now: datetime, until: datetime, token: str, limit: int, media_id: str = "") -> list[Media]:
        """Take due items that nobody holds, or whose holder went silent; a claim is a try until it is settled.

        Args:
            media_id: only this one.
        """
        free = sa.or_(media.c.lease_until.is_(None), media.c.lease_until <= now)
        due = sa.select(media.c.id).where(media.c.due_at <= now, free, _ALIVE, _KNOWN)
        due = due.order_by(media.c.due_at).limit(limit)
        if media_id:
            due = due.where(media.c.id == media_id)
        chosen: sa.ColumnElement[bool] = media.c.id.in_(due)
        if self._dialect == "postgresql":  # as an array: see `one_of`
            due = due.with_for_update(skip_locked=True)
            chosen = media.c.id == sa.any_(sa.func.array(due.scalar_subquery()))
        taken = (
            sa.update(media)
            .where(chosen)
            .values(lease_token=token, lease_until=until, tries=media.c.tries + 1)
            .returning(*_COLUMNS)
        )
        return readable(_media, self._connection.execute(taken))

    def renew(self, token: str, until: datetime) -> None:
        self._connection.execute(sa.update(media).where(media.c.lease_token == token).values(lease_until=until))

    def settle(self, media_id: str, token: str, due_at: datetime | None, **values: object) -> None:
        """Write what came of a claim and let go of it.

        Raises:
            StaleJob: it is not ours any more; deleted, or taken over after our lease ran out.
        """
        self.hold(media_id, token, **values, **_FREE, due_at=due_at)

    def hold(self, media_id: str, token: str, **values: object) -> None:
        """Write something of a claim and keep it. Raises StaleJob as `settle`."""
        result = self._connection.execute(
            sa.update(media)
            .where(media.c.id == media_id, media.c.lease_token == token, _ALIVE)
            .values(**values, version=media.c.version + 1)
        )
        if result.rowcount != 1:
            raise StaleJob(f"media {media_id} is somebody else's by now", media_id=media_id)

    def deleted_before(self, at: datetime, limit: int) -> list[tuple[str, str | None]]:
        """(id, file id) of media deleted before `at`, oldest first."""
        query = sa.select(media.c.id, media.c.file_id).where(media.c.deleted_at < at).order_by(media.c.deleted_at)
        return [(row.id, row.file_id) for row in self._connection.execute(query.limit(limit))]

    def erase(self, media_id: str) -> None:
        """Remove a deleted item for good."""
        self._connection.execute(sa.delete(media).where(media.c.id == media_id, media.c.deleted_at.is_not(None)))

    def _one(self, condition: sa.ColumnElement[bool], project_id: str | None) -> Media | None:
        query = sa.select(*_COLUMNS).where(condition, _ALIVE)
        if project_id is not None:
            query = query.where(media.c.project_id == project_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _media(row)


def _filtered(found: sa.Select[Any], query: MediaQuery) -> sa.Select[Any]:
    found = found.where(_ALIVE, _KNOWN)
    if query.project_id is not None:
        found = found.where(media.c.project_id == query.project_id)
    if query.types:
        found = found.where(media.c.type.in_(query.types))
    if query.statuses:
        found = found.where(media.c.status.in_(query.statuses))
    if query.business_type:
        found = found.where(media.c.business_type == query.business_type)
    if query.id:
        found = found.where(media.c.id == query.id)
    if query.since is not None:
        found = found.where(media.c.created_at > query.since)
    if query.until is not None:
        found = found.where(media.c.created_at <= query.until)
    return found


def _media(row: sa.Row[*tuple[Any, ...]]) -> Media:
    values = dict(row._mapping)  # noqa: SLF001  public in SQLAlchemy despite its name
    values["type"], values["status"] = _TYPES[values["type"]], _STATUSES[values["status"]]
    return Media(**values)
