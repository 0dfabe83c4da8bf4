"""Assets as callers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field

from orchestrator.app.app import App
from orchestrator.dialects.native.wire import Instant, Wire
from orchestrator.domain.assets import Asset, AssetFile


class AssetFileView(Wire):
    id: str
    category: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str | None
    download_url: str

    @classmethod
    def of(cls, app: App, file: AssetFile) -> Self:
        return cls(
            id=file.id, category=file.category, name=file.name, content_type=file.content_type,
            size_bytes=file.size_bytes, sha256=file.sha256, download_url=app.assets.download(file),
        )  # fmt: skip


class AssetView(Wire):
    id: str
    project_id: str
    job_id: str | None
    type: str
    state: str
    name: str
    description: str
    attributes: Mapping[str, Any]
    created_at: Instant
    updated_at: Instant
    files: Sequence[AssetFileView] | None = Field(default=None, description="absent in lists")

    @classmethod
    def of(cls, asset: Asset, files: Sequence[AssetFileView] | None = None) -> Self:
        return cls(
            id=asset.id, project_id=asset.project_id, job_id=asset.job_id, type=asset.type, state=asset.state,
            name=asset.name, description=asset.description, attributes=asset.attributes, created_at=asset.created_at,
            updated_at=asset.updated_at, files=files,
        )  # fmt: skip


class AssetPage(Wire):
    items: Sequence[AssetView]
    next_cursor: str | None
