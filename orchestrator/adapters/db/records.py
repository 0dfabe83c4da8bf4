"""The smaller tables: projects and keys, comments, assets, leases, idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.adapters.db.bulk import among, giving, rows_json, source
from orchestrator.adapters.db.tables import (
    access_keys,
    asset_files,
    assets,
    comments,
    idempotency_keys,
    leases,
    projects,
)
from orchestrator.domain.actors import Role
from orchestrator.domain.assets import Asset, AssetFile, AssetState
from orchestrator.domain.errors import Conflict, NotFound, StaleJob
from orchestrator.domain.model import CommentType
from orchestrator.ports.store import OnceKey


def insert_ignoring(connection: sa.Connection, table: sa.Table) -> Any:  # noqa: ANN401  one of two dialects' Insert
    """INSERT that leaves existing rows alone."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: str
    project_id: str
    role: Role
    name: str
    secret_encrypted: str | None
    disabled_at: datetime | None
    token_hash: str | None
    is_temporary: bool


class SqlKeys:
    """Projects and their access keys."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add_project(self, project_id: str, name: str, at: datetime, attributes: Mapping[str, object]) -> bool:
        """A new project. False: it was there already."""
        statement = insert_ignoring(self._connection, projects).values(
            id=project_id, name=name, created_at=at, attributes=dict(attributes)
        )
        return self._connection.execute(statement.returning(projects.c.id)).first() is not None

    def project_attributes(self, project_id: str) -> Mapping[str, object]:
        row = self._connection.execute(
            sa.select(projects.c.attributes).where(projects.c.id == project_id)
        ).one_or_none()
        if row is None:
            raise NotFound(f"there is no project {project_id}", project_id=project_id)
        return dict(row.attributes)

    def shares(self, project_ids: Sequence[str]) -> dict[str, int]:
        """Weight of each project in the fair share of slots."""
        query = sa.select(projects.c.id, projects.c.share).where(
            among(self._connection.dialect.name, projects.c.id, project_ids)
        )
        return {row.id: row.share for row in self._connection.execute(query)}

    def add(
        self, key_id: str, project_id: str, *, role: Role, name: str, at: datetime,
        secret_encrypted: str | None, token_hash: str | None, ends_at: datetime | None = None,
    ) -> None:  # fmt: skip
        """A new key; with `ends_at` a temporary one. Raises Conflict."""
        try:
            self._connection.execute(
                sa.insert(access_keys).values(
                    id=key_id, project_id=project_id, role=role, name=name, created_at=at,
                    secret_encrypted=secret_encrypted, token_hash=token_hash, disabled_at=ends_at,
                    is_temporary=ends_at is not None,
                )
            )  # fmt: skip
        except sa.exc.IntegrityError as exc:
            raise Conflict(f"key {key_id} exists already, or project {project_id} does not exist") from exc

    def by_id(self, key_id: str) -> KeyRow | None:
        return self._one(access_keys.c.id == key_id)

    def by_token(self, token_hash: str) -> KeyRow | None:
        return self._one(access_keys.c.token_hash == token_hash)

    def all(self) -> list[KeyRow]:
        return [_key(row) for row in self._connection.execute(_KEYS.order_by(access_keys.c.created_at))]

    def disable(self, key_id: str, at: datetime) -> bool:
        """Refuse the key from `at` on. False: no such key, or one that is refused by then anyway."""
        later = sa.or_(access_keys.c.disabled_at.is_(None), access_keys.c.disabled_at > at)
        query = sa.update(access_keys).where(access_keys.c.id == key_id, later)
        return self._connection.execute(query.values(disabled_at=at)).rowcount == 1

    def _one(self, condition: sa.ColumnElement[bool]) -> KeyRow | None:
        row = self._connection.execute(_KEYS.where(condition)).one_or_none()
        return None if row is None else _key(row)


_KEYS = sa.select(
    access_keys.c.id, access_keys.c.project_id, access_keys.c.role, access_keys.c.name,
    access_keys.c.secret_encrypted, access_keys.c.disabled_at, access_keys.c.token_hash, access_keys.c.is_temporary,
)  # fmt: skip


def _key(row: sa.Row[*tuple[Any, ...]]) -> KeyRow:
    return KeyRow(
        row.id,
        row.project_id,
        Role(row.role),
        row.name,
        row.secret_encrypted,
        row.disabled_at,
        row.token_hash,
        row.is_temporary,
    )


class SqlComments:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, job_id: str, *, at: datetime, author: str, kind: CommentType, title: str, text: str) -> int:
        """A new comment; gives its id."""
        statement = sa.insert(comments).values(job_id=job_id, at=at, author=author, type=kind, title=title, text=text)
        return int(self._connection.execute(statement.returning(comments.c.id)).scalar_one())


@lru_cache
def _publish_sql(dialect: str) -> sa.TextualSelect:
    attributes = "json(v.attributes)" if dialect == "sqlite" else "v.attributes"
    columns = {
        "id": "text", "project_id": "text", "job_id": "text", "type": "text", "state": "text", "name": "text",
        "description": "text", "attributes": "json", "at": "at", "app_user_id": "text",
    }  # fmt: skip
    statement = f"""
        INSERT INTO assets
          (id, project_id, job_id, type, state, version, name, description, attributes, app_user_id,
           created_at, updated_at)
        SELECT v.id, v.project_id, v.job_id, v.type, v.state, 0, v.name, v.description, {attributes}, v.app_user_id,
          v.at, v.at
        FROM {source(dialect, columns)} WHERE true
        ON CONFLICT (job_id) DO UPDATE SET state = excluded.state, name = excluded.name,
          attributes = excluded.attributes, updated_at = excluded.updated_at, version = assets.version + 1,
          deleted_at = NULL
        RETURNING id, version
    """  # noqa: S608  only our own column names
    return giving(sa.text(statement), "id", "version")


class SqlAssets:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def publish_many(self, published: Sequence[tuple[Asset, Sequence[AssetFile]]], at: datetime) -> list[str]:
        """Assets of jobs with exactly these files, new or in the place of the jobs' former models.

        The unique job id makes it one asset per job, however often publishing is tried; a model that is published
        again keeps its id, which the job carries. Gives the ids of the files that went with the former models.
        """
        rows = [
            {"id": a.id, "project_id": a.project_id, "job_id": a.job_id, "type": a.type, "state": a.state,
             "name": a.name, "description": a.description, "attributes": a.attributes, "at": at,
             "app_user_id": a.app_user_id}
            for a, _ in published
        ]  # fmt: skip
        statement = _publish_sql(self._connection.dialect.name)
        written = self._connection.execute(statement, {"rows": rows_json(rows)}).all()
        again = [asset_id for asset_id, version in written if version]
        gone = self._drop_files(again) if again else []
        contents = [
            {"id": c.id, "asset_id": asset.id, "category": c.category, "name": c.name, "key": c.key,
             "content_type": c.content_type, "size_bytes": c.size_bytes, "sha256": c.sha256, "created_at": at}
            for asset, held in published for c in held
        ]  # fmt: skip
        if contents:
            self._connection.execute(sa.insert(asset_files), contents)
        return gone

    def set_state(self, asset_id: str, source: AssetState, target: AssetState, at: datetime) -> None:
        """Compare-and-set of the state. Raises StaleJob when it is another one."""
        result = self._connection.execute(
            sa.update(assets)
            .where(assets.c.id == asset_id, assets.c.state == source)
            .values(state=target, updated_at=at, version=assets.c.version + 1)
        )
        if result.rowcount != 1:
            raise StaleJob(f"asset {asset_id} is not {source} any more", asset_id=asset_id)

    def get(self, asset_id: str, project_id: str | None = None) -> tuple[Asset, list[AssetFile]]:
        """The asset and its files. Raises NotFound, also for one of another project."""
        query = sa.select(*_ASSET).where(assets.c.id == asset_id, assets.c.deleted_at.is_(None))
        if project_id is not None:
            query = query.where(assets.c.project_id == project_id)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"there is no asset {asset_id}", asset_id=asset_id)
        contents = self._connection.execute(
            sa.select(*_ASSET_FILE).where(asset_files.c.asset_id == asset_id).order_by(asset_files.c.name)
        )
        return _asset(row), [AssetFile(*each) for each in contents]

    def page(self, project_id: str | None, before: str | None, limit: int) -> list[Asset]:
        """Newest first, below the id `before`."""
        query = sa.select(*_ASSET).where(assets.c.deleted_at.is_(None)).order_by(assets.c.id.desc()).limit(limit)
        if project_id is not None:
            query = query.where(assets.c.project_id == project_id)
        if before is not None:
            query = query.where(assets.c.id < before)
        return [_asset(row) for row in self._connection.execute(query)]

    def drop_of_job(self, job_id: str, at: datetime) -> list[str]:
        """Hide the asset of a job, whoever changes it at this moment; gives the ids of the files that went with it."""
        hidden = self._connection.execute(
            sa.update(assets)
            .where(assets.c.job_id == job_id, assets.c.deleted_at.is_(None))
            .values(state=AssetState.DELETED, deleted_at=at, due_at=None, version=assets.c.version + 1)
            .returning(assets.c.id)
        ).scalar()
        return [] if hidden is None else self._drop_files([hidden])

    def _drop_files(self, asset_ids: Sequence[str]) -> list[str]:
        """Behind a write of the assets, which whoever adds a file waits for."""
        held = among(self._connection.dialect.name, asset_files.c.asset_id, asset_ids)
        return list(self._connection.execute(sa.delete(asset_files).where(held).returning(asset_files.c.id)).scalars())


_ASSET = tuple(assets.c[name] for name in Asset.__dataclass_fields__)
_ASSET_FILE = tuple(asset_files.c[name] for name in AssetFile.__dataclass_fields__)


def _asset(row: sa.Row[*tuple[Any, ...]]) -> Asset:
    values = dict(row._mapping)  # noqa: SLF001  public in SQLAlchemy despite its name
    return Asset(**(values | {"state": AssetState(values["state"])}))


class SqlLeases:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def take(self, name: str, token: str, now: datetime, until: datetime, *, not_since: datetime | None = None) -> bool:
        """Take a lease that is free or has run out.

        Args:
            not_since: refuse if the work was last done after this instant, whoever did it.
        """
        self._connection.execute(
            insert_ignoring(self._connection, leases).values(name=name, token="", lease_until=_LONG_AGO)
        )
        free = [leases.c.name == name, leases.c.lease_until <= now]
        if not_since is not None:
            free.append(sa.or_(leases.c.last_run_at.is_(None), leases.c.last_run_at <= not_since))
        result = self._connection.execute(sa.update(leases).where(*free).values(token=token, lease_until=until))
        return result.rowcount == 1

    def renew(self, name: str, token: str, until: datetime) -> None:
        """Keep a lease that nobody else has taken meanwhile."""
        self._connection.execute(
            sa.update(leases).where(leases.c.name == name, leases.c.token == token).values(lease_until=until)
        )

    def end(self, name: str, token: str, now: datetime) -> None:
        """Give the lease back, the work done. A renewal that comes after it finds another token."""
        self._connection.execute(
            sa.update(leases)
            .where(leases.c.name == name, leases.c.token == token)
            .values(token="", lease_until=now, last_run_at=now)
        )

    def lock(self, name: str) -> None:
        """Hold others off until this transaction ends. Writes nothing, so a look that finds nothing costs no flush."""
        if self._connection.dialect.name == "postgresql":  # SQLite lets one transaction in at a time anyway
            self._connection.execute(_LOCK, {"name": name})

    def last_runs(self) -> dict[str, datetime | None]:
        return {
            row.name: row.last_run_at
            for row in self._connection.execute(sa.select(leases.c.name, leases.c.last_run_at))
        }


_LOCK = giving(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), "locked")
_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class SqlIdempotency:
    """Answers kept for repeated requests."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def begin(
        self, project_id: str, key: str, fingerprint: str, *,
        made_id: str, token: str, now: datetime, until: datetime, expires_at: datetime,
    ) -> OnceKey:  # fmt: skip
        """Take a key that is new, or whose holder went silent before it had an answer.

        Raises:
            Conflict: the key was used for another request.
        """
        ours = {"lease_token": token, "lease_until": until}
        statement = insert_ignoring(self._connection, idempotency_keys).values(
            project_id=project_id, key=key, fingerprint=fingerprint, made_id=made_id, expires_at=expires_at, **ours
        )
        if self._connection.execute(statement.returning(idempotency_keys.c.key)).first() is not None:
            return OnceKey(made_id, is_ours=True)
        taken_over = self._connection.execute(
            sa.update(idempotency_keys)
            .where(*_is(project_id, key), idempotency_keys.c.fingerprint == fingerprint)
            .where(idempotency_keys.c.status.is_(None))
            .where(sa.or_(idempotency_keys.c.lease_until.is_(None), idempotency_keys.c.lease_until <= now))
            .values(made_id=sa.func.coalesce(idempotency_keys.c.made_id, made_id), **ours)
            .returning(idempotency_keys.c.made_id)
        ).first()
        if taken_over is not None:
            return OnceKey(taken_over.made_id, is_ours=True)
        columns = idempotency_keys.c
        row = self._connection.execute(
            sa.select(columns.fingerprint, columns.made_id, columns.status, columns.body).where(*_is(project_id, key))
        ).one()
        if row.fingerprint != fingerprint:
            raise Conflict(f"the idempotency key {key!r} was used for another request")
        return OnceKey(row.made_id or made_id, is_ours=False, status=row.status, body=row.body)

    def finish(self, project_id: str, key: str, token: str, status: int, body: str) -> None:
        """Keep the answer, unless somebody else has taken the key over."""
        self._connection.execute(
            sa.update(idempotency_keys).where(*_is(project_id, key, token)).values(status=status, body=body)
        )

    def release(self, project_id: str, key: str, token: str, now: datetime) -> None:
        """Let the same request be begun again at once: nobody knows how far it came."""
        self._connection.execute(
            sa.update(idempotency_keys).where(*_is(project_id, key, token)).values(lease_until=now)
        )

    def forget(self, project_id: str, key: str, token: str) -> None:
        """Free a key whose request was refused, and wrote nothing."""
        self._connection.execute(sa.delete(idempotency_keys).where(*_is(project_id, key, token)))

    def drop_expired(self, now: datetime) -> int:
        return self._connection.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.expires_at < now)).rowcount


def _is(project_id: str, key: str, token: str | None = None) -> list[sa.ColumnElement[bool]]:
    """The row of a key; with `token` only while its holder has no answer and has not lost it."""
    row = [idempotency_keys.c.project_id == project_id, idempotency_keys.c.key == key]
    if token is not None:
        row += [idempotency_keys.c.lease_token == token, idempotency_keys.c.status.is_(None)]
    return row
