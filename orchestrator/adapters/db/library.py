"""Assets as people keep them: written by compare-and-set, found by every filter, shared, thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orchestrator.adapters.db.bulk import among
from orchestrator.adapters.db.json_filters import holds, mentions, pattern, same
from orchestrator.adapters.db.tables import asset_files, asset_shares, assets, once_tokens
from orchestrator.domain.assets import (
    EVERYBODY,
    Asset,
    AssetFile,
    AssetFileState,
    AssetNotFound,
    AssetQuery,
    AssetState,
)
from orchestrator.domain.errors import NotFound, StaleJob

_FIELDS: Final = tuple(Asset.__dataclass_fields__)
_COLUMNS: Final = tuple(assets.c[name] for name in _FIELDS)
_FILE_FIELDS: Final = tuple(AssetFile.__dataclass_fields__)
_FILE_COLUMNS: Final = tuple(asset_files.c[name] for name in _FILE_FIELDS)


class SqlLibrary:
    """The assets of one transaction, for those who look after them."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    # assets

    def add(self, asset: Asset) -> None:
        self._connection.execute(sa.insert(assets).values(**_values(asset)))

    def get(self, asset_id: str, project_id: str | None, *, shared_at: datetime | None = None) -> Asset:
        """The asset of a project, or with `shared_at` also one that others share with it then. Raises AssetNotFound."""
        query = sa.select(*_COLUMNS).where(assets.c.id == asset_id, assets.c.deleted_at.is_(None))
        if project_id is not None:
            seen: sa.ColumnElement[bool] = assets.c.project_id == project_id
            if shared_at is not None:
                usable = assets.c.state == AssetState.ACTIVED
                seen = sa.or_(seen, sa.and_(usable, _shared([project_id, EVERYBODY], shared_at)))
            query = query.where(seen)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise AssetNotFound(f"there is no asset {asset_id}", asset_id=asset_id)
        return _asset(row)

    def save(self, asset: Asset, **values: object) -> Asset:
        """Compare-and-set of columns. Raises StaleJob when somebody was faster."""
        result = self._connection.execute(
            sa.update(assets)
            .where(assets.c.id == asset.id, assets.c.version == asset.version)
            .values(**values, version=asset.version + 1)
            .returning(*_COLUMNS)
        )
        row = result.one_or_none()
        if row is None:
            raise StaleJob(f"asset {asset.id} was changed by somebody else meanwhile", asset_id=asset.id)
        return _asset(row)

    def name_taken(self, project_id: str, kind: str, name: str, but: str = "") -> bool:
        """Whether another asset of the type that is not thrown away has the name."""
        gone = [AssetState.DELETING, AssetState.DELETED]
        query = sa.select(assets.c.id).where(
            assets.c.project_id == project_id, assets.c.type == kind, assets.c.name == name, assets.c.id != but,
            assets.c.state.not_in(gone), assets.c.deleted_at.is_(None),
        )  # fmt: skip
        return self._connection.execute(query.limit(1)).first() is not None

    def due(self, now: datetime, limit: int) -> list[Asset]:
        query = sa.select(*_COLUMNS).where(assets.c.due_at <= now).order_by(assets.c.due_at).limit(limit)
        return [_asset(row) for row in self._connection.execute(query)]

    def page(self, query: AssetQuery, now: datetime) -> list[Asset]:
        key = assets.c[query.sort]
        # of equal ones the newest is first, whatever the direction
        order = [key.desc() if query.descending else key.asc(), assets.c.id.desc()]
        if query.sort == "created_at":  # ids sort by time
            order = [assets.c.id.desc() if query.descending else assets.c.id.asc()]
        found = _filtered(sa.select(*_COLUMNS), query, now).order_by(*order).offset(query.offset).limit(query.limit)
        return [_asset(row) for row in self._connection.execute(found)]

    def count(self, query: AssetQuery, now: datetime) -> int:
        counted = _filtered(sa.select(sa.func.count()).select_from(assets), query, now)
        return int(self._connection.execute(counted).scalar_one())

    # shares

    def share(self, asset_id: str, project_ids: Sequence[str], expires_at: datetime) -> None:
        """Exactly these may use the asset, besides its owner."""
        self._connection.execute(sa.delete(asset_shares).where(asset_shares.c.asset_id == asset_id))
        others = dict.fromkeys(project_ids)
        rows = [{"asset_id": asset_id, "project_id": each, "expires_at": expires_at} for each in others]
        if rows:
            self._connection.execute(sa.insert(asset_shares), rows)

    # files

    def add_file(self, asset_id: str, file: AssetFile, at: datetime) -> None:
        values = {name: getattr(file, name) for name in _FILE_FIELDS} | {"facts": dict(file.facts)}
        self._connection.execute(sa.insert(asset_files).values(**values, asset_id=asset_id, created_at=at))

    def file(self, file_id: str, project_id: str) -> tuple[Asset, AssetFile]:
        """A file and its asset. Raises NotFound."""
        query = sa.select(asset_files.c.asset_id, *_FILE_COLUMNS).where(asset_files.c.id == file_id)
        row = self._connection.execute(query).one_or_none()
        if row is not None:
            try:
                return self.get(row[0], project_id), _file(row[1:])
            except AssetNotFound:
                pass
        raise NotFound(f"there is no file {file_id}", file_id=file_id)

    def files(self, asset_ids: Sequence[str]) -> dict[str, list[AssetFile]]:
        """Of every asset its files, oldest first."""
        query = sa.select(asset_files.c.asset_id, *_FILE_COLUMNS).where(
            among(self._dialect, asset_files.c.asset_id, asset_ids)
        )
        found: dict[str, list[AssetFile]] = {asset_id: [] for asset_id in asset_ids}
        for row in self._connection.execute(query.order_by(asset_files.c.created_at, asset_files.c.id)):
            found[row[0]].append(_file(row[1:]))
        return found

    def save_file(self, file: AssetFile, **values: object) -> AssetFile:
        """Compare-and-set on the state. Raises StaleJob when somebody was faster."""
        result = self._connection.execute(
            sa.update(asset_files)
            .where(asset_files.c.id == file.id, asset_files.c.state == file.state)
            .values(**values)
            .returning(*_FILE_COLUMNS)
        )
        row = result.one_or_none()
        if row is None:
            raise StaleJob(f"file {file.id} was changed by somebody else meanwhile", file_id=file.id)
        return _file(row)

    def drop_file(self, file_id: str) -> None:
        self._connection.execute(sa.delete(asset_files).where(asset_files.c.id == file_id))

    # tokens that are good for one download

    def add_token(self, token_hash: str, project_id: str, job_id: str, expires_at: datetime) -> None:
        self._connection.execute(
            sa.insert(once_tokens).values(
                token_hash=token_hash, project_id=project_id, job_id=job_id, expires_at=expires_at
            )
        )

    def use_token(self, token_hash: str, project_id: str, job_id: str, now: datetime) -> bool:
        """Take the token away; False: it was not there, not for this job, used or expired."""
        result = self._connection.execute(
            sa.delete(once_tokens).where(
                once_tokens.c.token_hash == token_hash, once_tokens.c.project_id == project_id,
                once_tokens.c.job_id == job_id, once_tokens.c.expires_at > now,
            )
        )  # fmt: skip
        return result.rowcount == 1

    def drop_expired_tokens(self, now: datetime) -> int:
        return self._connection.execute(sa.delete(once_tokens).where(once_tokens.c.expires_at <= now)).rowcount


def _values(asset: Asset) -> dict[str, object]:
    values = {name: getattr(asset, name) for name in _FIELDS}
    return values | {"tags": list(asset.tags), "attributes": dict(asset.attributes)}


def _asset(row: Sequence[Any]) -> Asset:
    asset = Asset(**dict(zip(_FIELDS, row, strict=True)))
    return replace(asset, state=AssetState(asset.state))


def _file(row: Sequence[Any]) -> AssetFile:
    file = AssetFile(**dict(zip(_FILE_FIELDS, row, strict=True)))
    return replace(file, state=AssetFileState(file.state))


def _shared(project_ids: Sequence[str], now: datetime) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        asset_shares.c.asset_id == assets.c.id, asset_shares.c.project_id.in_(project_ids),
        asset_shares.c.expires_at > now,
    )  # fmt: skip


def _seen(query: AssetQuery, now: datetime) -> sa.ColumnElement[bool]:
    """Whose assets: the owner's, everybody's, or those that others share."""
    own = assets.c.project_id == query.project_id
    usable = sa.and_(assets.c.state == AssetState.ACTIVED, assets.c.project_id != query.project_id)
    system = sa.and_(usable, _shared([EVERYBODY], now))
    if query.role == "sharer":
        others = asset_shares.c.expires_at > now
        return sa.and_(own, sa.exists().where(asset_shares.c.asset_id == assets.c.id, others))
    if query.role == "sharee":
        return sa.and_(usable, _shared([query.project_id], now))
    return {"own": own, "system": system, "all": sa.or_(own, system)}[query.source]


def _filtered(statement: sa.Select[Any], query: AssetQuery, now: datetime) -> sa.Select[Any]:
    alive = assets.c.state.in_(query.states) if query.states else assets.c.deleted_at.is_(None)
    return statement.where(_seen(query, now), alive, *_by_columns(query), *_by_tags(query), *_by_attributes(query))


def _by_columns(query: AssetQuery) -> Iterator[sa.ColumnElement[bool]]:
    if query.ids:
        yield assets.c.id.in_(query.ids)
    if query.types:
        yield assets.c.type.in_(query.types)
    if query.name:
        exact = "name" in query.exact
        yield assets.c.name == query.name if exact else assets.c.name.icontains(query.name, autoescape=True)
    if query.since is not None:
        yield assets.c.created_at >= query.since
    if query.until is not None:
        yield assets.c.created_at <= query.until
    if query.app_user_id:
        yield assets.c.app_user_id == query.app_user_id


def _by_tags(query: AssetQuery) -> Iterator[sa.ColumnElement[bool]]:
    column, exact = assets.c.tags, "tag" in query.exact
    labels = [holds(column, tag) if exact else mentions(column, pattern(tag)) for tag in query.tags]
    if labels:
        yield sa.and_(*labels) if query.all_tags else sa.or_(*labels)


def _by_attributes(query: AssetQuery) -> Iterator[sa.ColumnElement[bool]]:
    for path, wanted in query.meta:
        value = assets.c.attributes[path]
        yield same(value, wanted) if isinstance(wanted, bool) else value.as_string().in_(list(wanted))
    for path, item, is_there in query.listing:
        held = sa.func.coalesce(holds(assets.c.attributes[path], item), sa.false())
        yield held if is_there else sa.not_(held)
    for key, told in query.properties:
        yield holds(assets.c.attributes["property_words"], f"{key}:{told}")
