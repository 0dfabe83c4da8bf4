"""The smaller tables in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrator.domain.assets import Asset, AssetFile, AssetState
from orchestrator.domain.errors import Conflict, NotFound, StaleJob
from orchestrator.domain.model import Comment, CommentType, JobId
from orchestrator.ports.store import OnceKey
from tests.fakes.store.rows import RowsOfTx, revised

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class CommentRow(NamedTuple):
    comment: Comment

    @property
    def job_id(self) -> str:
        return self.comment.job_id


class MemoryComments:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def add(self, job_id: str, *, at: datetime, author: str, kind: CommentType, title: str, text: str) -> int:
        self._rows.step("add comment")
        number = self._rows.next_serial()
        self._rows.insert("comments", number, CommentRow(Comment(number, JobId(job_id), at, author, kind, title, text)))
        return number


class AssetRow(NamedTuple):
    asset: Asset
    deleted_at: datetime | None = None


class FileOfAsset(NamedTuple):
    asset_id: str
    file: AssetFile
    created_at: datetime


class MemoryAssets:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def publish_many(self, published: Sequence[tuple[Asset, Sequence[AssetFile]]], at: datetime) -> list[str]:
        self._rows.step("publish assets")
        gone: list[str] = []
        for asset, files in published:
            # the unique job id: whoever writes the same job's asset is waited for
            self._rows.lock("asset of job", asset.job_id)
            there = self._rows.get("asset of job", asset.job_id)
            if there is None:
                self._rows.put("asset of job", asset.job_id, asset.id)
                self._rows.insert("assets", asset.id, AssetRow(revised(asset, created_at=at, updated_at=at)))
            else:
                self._rows.update("assets", there, lambda row, asset=asset: AssetRow(revised(
                    row.asset, state=asset.state, name=asset.name, attributes=asset.attributes, updated_at=at,
                    version=row.asset.version + 1,
                )))  # fmt: skip
            gone += self._drop_files(asset.id)
            for file in files:
                self._rows.insert("asset files", file.id, FileOfAsset(asset.id, file, at))
        return gone

    def _files(self, asset_id: str) -> list[tuple[str, AssetFile]]:
        return [(key, row.file) for key, row in self._rows.all("asset files") if row.asset_id == asset_id]

    def _drop_files(self, asset_id: str) -> list[str]:
        gone = [key for key, _ in self._files(asset_id)]
        for key in gone:
            self._rows.lock("asset files", key)
            self._rows.put("asset files", key, None)
        return gone

    def set_state(self, asset_id: str, source: AssetState, target: AssetState, at: datetime) -> None:
        self._rows.step("set state of asset")

        def moved(row: AssetRow) -> AssetRow | None:
            if row.asset.state is not source:
                return None
            return row._replace(asset=revised(row.asset, state=target, updated_at=at, version=row.asset.version + 1))

        if not self._rows.update("assets", asset_id, moved):
            raise StaleJob(f"asset {asset_id} is not {source} any more", asset_id=asset_id)

    def get(self, asset_id: str, project_id: str | None = None) -> tuple[Asset, list[AssetFile]]:
        self._rows.step("get asset")
        row = self._rows.get("assets", asset_id)
        if row is None or row.deleted_at is not None or project_id not in {None, row.asset.project_id}:
            raise NotFound(f"there is no asset {asset_id}", asset_id=asset_id)
        return row.asset, sorted((file for _, file in self._files(asset_id)), key=lambda file: file.name)

    def page(self, project_id: str | None, before: str | None, limit: int) -> list[Asset]:
        self._rows.step("page of assets")
        found = [
            row.asset for _, row in self._rows.all("assets")
            if row.deleted_at is None and project_id in {None, row.asset.project_id}
            and (before is None or row.asset.id < before)
        ]  # fmt: skip
        return sorted(found, key=lambda asset: asset.id, reverse=True)[:limit]

    def drop_of_job(self, job_id: str, at: datetime) -> list[str]:
        self._rows.step("drop asset")
        asset_id = self._rows.get("asset of job", job_id)
        hidden = asset_id is not None and self._rows.update("assets", asset_id, lambda row: None if row.deleted_at else
            row._replace(deleted_at=at, asset=revised(
                row.asset, state=AssetState.DELETED, due_at=None, version=row.asset.version + 1
            )))  # fmt: skip
        return self._drop_files(asset_id) if hidden else []


class MemoryKeys:
    """Projects only; keys are the dialects' business."""

    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def add_project(self, project_id: str, name: str, at: datetime, attributes: Mapping[str, object]) -> bool:
        del name, at
        self._rows.step("add project")
        self._rows.lock("projects", project_id)
        if self._rows.get("projects", project_id) is not None:
            return False
        self._rows.put("projects", project_id, dict(attributes))
        return True

    def project_attributes(self, project_id: str) -> Mapping[str, object]:
        self._rows.step("attributes of project")
        attributes: Mapping[str, object] = self._rows.get("projects", project_id)
        return attributes

    def shares(self, project_ids: Sequence[str]) -> dict[str, int]:
        self._rows.step("shares")
        return {each: 1 for each in project_ids if self._rows.get("projects", each) is not None}


class LeaseRow(NamedTuple):
    token: str
    until: datetime
    last_run_at: datetime | None


class MemoryLeases:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def take(self, name: str, token: str, now: datetime, until: datetime, *, not_since: datetime | None = None) -> bool:
        self._rows.step("take lease")
        self._rows.lock("leases", name)
        if self._rows.get("leases", name) is None:
            self._rows.put("leases", name, LeaseRow("", _LONG_AGO, None))

        def taken(row: LeaseRow) -> LeaseRow | None:
            done_lately = not_since is not None and row.last_run_at is not None and row.last_run_at > not_since
            return None if row.until > now or done_lately else LeaseRow(token, until, row.last_run_at)

        return self._rows.update("leases", name, taken)

    def renew(self, name: str, token: str, until: datetime) -> None:
        self._rows.step("renew lease")
        self._rows.update("leases", name, lambda row: row._replace(until=until) if row.token == token else None)

    def end(self, name: str, token: str, now: datetime) -> None:
        self._rows.step("end lease")
        self._rows.update("leases", name, lambda row: LeaseRow("", now, now) if row.token == token else None)

    def lock(self, name: str) -> None:
        self._rows.step("lock")
        self._rows.lock("advisory", name)

    def last_runs(self) -> dict[str, datetime | None]:
        self._rows.step("last runs")
        return {name: row.last_run_at for name, row in self._rows.all("leases")}


class OnceRow(NamedTuple):
    fingerprint: str
    made_id: str
    token: str
    until: datetime
    expires_at: datetime
    status: int | None = None
    body: str | None = None


class MemoryIdempotency:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def begin(
        self, project_id: str, key: str, fingerprint: str, *,
        made_id: str, token: str, now: datetime, until: datetime, expires_at: datetime,
    ) -> OnceKey:  # fmt: skip
        self._rows.step("begin once")
        place = (project_id, key)
        self._rows.lock("once", place)
        held: OnceRow | None = self._rows.get("once", place)
        if held is None:
            self._rows.put("once", place, OnceRow(fingerprint, made_id, token, until, expires_at))
            return OnceKey(made_id, is_ours=True)
        if held.fingerprint != fingerprint:
            raise Conflict(f"the idempotency key {key!r} was used for another request")
        if held.status is None and held.until <= now:
            self._rows.put("once", place, held._replace(token=token, until=until))
            return OnceKey(held.made_id, is_ours=True)
        return OnceKey(held.made_id, is_ours=False, status=held.status, body=held.body)

    def finish(self, project_id: str, key: str, token: str, status: int, body: str) -> None:
        self._rows.step("finish once")
        self._rows.update("once", (project_id, key), lambda held:
            held._replace(status=status, body=body) if _is_at_work(held, token) else None)  # fmt: skip

    def release(self, project_id: str, key: str, token: str, now: datetime) -> None:
        self._rows.step("release once")
        self._rows.update(
            "once", (project_id, key), lambda held: held._replace(until=now) if _is_at_work(held, token) else None
        )

    def forget(self, project_id: str, key: str, token: str) -> None:
        self._rows.step("forget once")
        self._rows.lock("once", (project_id, key))
        held = self._rows.get("once", (project_id, key))
        if held is not None and _is_at_work(held, token):
            self._rows.put("once", (project_id, key), None)

    def drop_expired(self, now: datetime) -> int:
        self._rows.step("drop expired")
        expired = [key for key, held in self._rows.all("once") if held.expires_at < now]
        for key in expired:
            self._rows.lock("once", key)
            self._rows.put("once", key, None)
        return len(expired)


def _is_at_work(held: OnceRow, token: str) -> bool:
    return held.token == token and held.status is None


class MemoryNonces:
    """None: requests with signatures are the dialects' business."""

    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def expired(self, now: datetime) -> int:
        del now
        self._rows.step("expired nonces")
        return 0
