"""Media as callers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from orchestrator.app.media import Shown
from orchestrator.dialects.native.file_views import UploadView
from orchestrator.dialects.native.wire import Instant, Wire


class MediaView(Wire):
    """An item of the media library.

    Attributes:
        url: its address, which names it and gives no right to it.
        reason: why it could not be prepared.
    """

    id: str
    project_id: str
    type: str
    status: str
    reason: str
    title: str
    url: str
    reference_id: str | None
    name: str | None
    file_id: str | None
    size_bytes: int | None
    sha256: str | None
    facts: Mapping[str, Any] | None
    created_at: Instant
    updated_at: Instant
    download_url: str | None = None

    @classmethod
    def of(cls, shown: Shown, download_url: str | None = None) -> Self:
        item, file = shown
        return cls(
            id=item.id, project_id=item.project_id, type=item.type, status=item.status, reason=item.reason,
            title=item.title, url=item.input_url, reference_id=item.reference_id,
            name=None if file is None else file.name, file_id=item.file_id,
            size_bytes=None if file is None else file.size_bytes, sha256=None if file is None else file.sha256,
            facts=item.facts, created_at=item.created_at, updated_at=item.updated_at, download_url=download_url,
        )  # fmt: skip


class MediaPage(Wire):
    items: Sequence[MediaView]
    next_cursor: str | None


class MediaUploadView(Wire):
    media: MediaView
    upload: UploadView
