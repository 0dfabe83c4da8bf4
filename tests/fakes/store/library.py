"""Assets as people keep them, in memory: what tests/contract/test_store_library.py holds against the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orchestrator.domain.assets import EVERYBODY, Asset, AssetFile, AssetNotFound, AssetState, Delivery
from orchestrator.domain.errors import NotFound, StaleJob
from tests.fakes.store.records import AssetRow, FileOfAsset
from tests.fakes.store.rows import RowsOfTx, revised

_THROWN_AWAY = frozenset({AssetState.DELETING, AssetState.DELETED})


class MemoryLibrary:
    """Pages are the SQL's business."""

    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def add(self, asset: Asset) -> None:
        self._rows.step("add asset")
        self._rows.insert("assets", asset.id, AssetRow(asset))

    def get(self, asset_id: str, project_id: str | None, *, shared_at: datetime | None = None) -> Asset:
        self._rows.step("get asset")
        row = self._rows.get("assets", asset_id)
        is_there = row is not None and row.deleted_at is None
        if not is_there or not (
            project_id in {None, row.asset.project_id} or self._is_shared(row.asset, str(project_id), shared_at)
        ):
            raise AssetNotFound(f"there is no asset {asset_id}", asset_id=asset_id)
        asset: Asset = row.asset
        return asset

    def _is_shared(self, asset: Asset, project_id: str, at: datetime | None) -> bool:
        shares: dict[str, datetime] = self._rows.get("shares of asset", asset.id) or {}
        ends = [shares[each] for each in (project_id, EVERYBODY) if each in shares]
        return at is not None and asset.state is AssetState.ACTIVED and any(end > at for end in ends)

    def save(self, asset: Asset, **values: Any) -> Asset:
        self._rows.step("save asset")

        def saved(row: AssetRow) -> AssetRow | None:
            if row.asset.version != asset.version:
                return None
            new = revised(row.asset, **values, version=asset.version + 1)
            return AssetRow(new, values.get("deleted_at", row.deleted_at))

        if not self._rows.update("assets", asset.id, saved):
            raise StaleJob(f"asset {asset.id} was changed by somebody else meanwhile", asset_id=asset.id)
        row: AssetRow = self._rows.get("assets", asset.id)
        return row.asset

    def name_taken(self, project_id: str, kind: str, name: str, but: str = "") -> bool:
        self._rows.step("name of asset")
        return any(
            (row.asset.project_id, row.asset.type, row.asset.name) == (project_id, kind, name) and row.asset.id != but
            and row.asset.state not in _THROWN_AWAY and row.deleted_at is None for _, row in self._rows.all("assets")
        )  # fmt: skip

    def due(self, now: datetime, limit: int) -> list[Asset]:
        self._rows.step("due assets")
        assets = [row.asset for _, row in self._rows.all("assets")]
        due = [asset for asset in assets if asset.due_at is not None and asset.due_at <= now]
        return sorted(due, key=lambda asset: asset.due_at)[:limit]  # type: ignore[arg-type, return-value]  # it is there

    def share(self, asset_id: str, project_ids: Sequence[str], expires_at: datetime) -> None:
        self._rows.step("share asset")
        self._rows.lock("shares of asset", asset_id)
        self._rows.put("shares of asset", asset_id, dict.fromkeys(project_ids, expires_at))

    # files

    def add_file(self, asset_id: str, file: AssetFile, at: datetime) -> None:
        self._rows.step("add file of asset")
        self._rows.insert("asset files", file.id, FileOfAsset(asset_id, file, at))

    def file(self, file_id: str, project_id: str) -> tuple[Asset, AssetFile]:
        self._rows.step("file of asset")
        row = self._rows.get("asset files", file_id)
        held = None if row is None else self._rows.get("assets", row.asset_id)
        if held is None or held.deleted_at is not None or held.asset.project_id != project_id:
            raise NotFound(f"there is no file {file_id}", file_id=file_id)
        return held.asset, row.file

    def files(self, asset_ids: Sequence[str]) -> dict[str, list[AssetFile]]:
        self._rows.step("files of assets")
        rows = sorted((row for _, row in self._rows.all("asset files")), key=lambda row: (row.created_at, row.file.id))
        return {asset_id: [row.file for row in rows if row.asset_id == asset_id] for asset_id in asset_ids}

    def save_file(self, file: AssetFile, **values: Any) -> AssetFile:
        self._rows.step("save file of asset")

        def saved(row: FileOfAsset) -> FileOfAsset | None:
            return row._replace(file=revised(row.file, **values)) if row.file.state is file.state else None

        if not self._rows.update("asset files", file.id, saved):
            raise StaleJob(f"file {file.id} was changed by somebody else meanwhile", file_id=file.id)
        row: FileOfAsset = self._rows.get("asset files", file.id)
        return row.file

    def drop_file(self, file_id: str) -> None:
        self._rows.step("drop file of asset")
        self._rows.lock("asset files", file_id)
        self._rows.put("asset files", file_id, None)

    # tokens that are good for one download

    def add_token(self, token_hash: str, project_id: str, job_id: str, expires_at: datetime) -> None:
        self._rows.step("add token")
        self._rows.insert("tokens", token_hash, (project_id, job_id, expires_at))

    def use_token(self, token_hash: str, project_id: str, job_id: str, now: datetime) -> bool:
        self._rows.step("use token")
        self._rows.lock("tokens", token_hash)
        held = self._rows.get("tokens", token_hash)
        is_good = held is not None and held[:2] == (project_id, job_id) and held[2] > now
        if is_good:
            self._rows.put("tokens", token_hash, None)
        return is_good

    def drop_expired_tokens(self, now: datetime) -> int:
        self._rows.step("drop tokens")
        expired = [key for key, held in self._rows.all("tokens") if held[2] <= now]
        for key in expired:
            self._rows.lock("tokens", key)
            self._rows.put("tokens", key, None)
        return len(expired)


class MemoryDeliveries:
    def __init__(self, rows: RowsOfTx) -> None:
        self._rows = rows

    def add(self, delivery: Delivery) -> None:
        self._rows.step("add delivery")
        self._rows.lock("deliveries", delivery.asset_id)
        self._rows.put("deliveries", delivery.asset_id, delivery)

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        self._rows.step("due deliveries")
        due = [each for _, each in self._rows.all("deliveries") if each.due_at <= now]
        return sorted(due, key=lambda each: each.due_at)[:limit]

    def postpone(self, delivery: Delivery, due_at: datetime) -> None:
        self._rows.step("postpone delivery")
        self._rows.update("deliveries", delivery.asset_id, lambda held:
            held._replace(tries=delivery.tries + 1, due_at=due_at) if _is(held, delivery) else None)  # fmt: skip

    def drop(self, delivery: Delivery) -> None:
        self._rows.step("drop delivery")
        self._rows.lock("deliveries", delivery.asset_id)
        held = self._rows.get("deliveries", delivery.asset_id)
        if held is not None and _is(held, delivery):
            self._rows.put("deliveries", delivery.asset_id, None)


def _is(held: Delivery, told: Delivery) -> bool:
    return (held.key, held.url) == (told.key, told.url)
