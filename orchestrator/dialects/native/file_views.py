"""Files and uploads as callers get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from orchestrator.app.uploads import Upload, UploadProgress
from orchestrator.dialects.native.wire import Instant, Wire
from orchestrator.domain.model import File


class PartUrl(Wire):
    number: int
    url: str


class PartView(Wire):
    number: int
    etag: str
    size_bytes: int


class FileView(Wire):
    id: str
    job_id: str | None
    kind: str
    state: str
    name: str
    content_type: str
    size_bytes: int | None
    part_count: int
    part_sizes: Sequence[int]
    etag: str | None
    sha256: str | None
    facts: Mapping[str, Any] | None
    created_at: Instant
    expires_at: Instant
    sealed_at: Instant | None
    download_url: str | None = None

    @classmethod
    def of(cls, file: File, download_url: str | None = None, **more: object) -> Self:
        return cls(
            id=file.id, job_id=file.job_id, kind=file.kind, state=file.state, name=file.name,
            content_type=file.content_type, size_bytes=file.size_bytes, part_count=file.part_count,
            part_sizes=file.part_sizes, etag=file.etag, sha256=file.sha256, facts=file.facts,
            created_at=file.created_at, expires_at=file.expires_at, sealed_at=file.sealed_at,
            download_url=download_url, **more,
        )  # fmt: skip


class FileProgressView(FileView):
    """A file and how far its upload is."""

    arrived_parts: Sequence[PartView] = ()
    missing_parts: Sequence[int] = ()

    @classmethod
    def at(cls, progress: UploadProgress, download_url: str | None) -> Self:
        arrived = [PartView(number=n, etag=etag, size_bytes=size) for n, (etag, size) in progress.arrived.items()]
        return cls.of(progress.file, download_url, arrived_parts=arrived, missing_parts=progress.missing)


class UploadView(Wire):
    """A file and where its parts are put. The URLs are secrets."""

    file: FileView
    urls: Sequence[PartUrl]
    url_expires_at: Instant

    @classmethod
    def of(cls, upload: Upload) -> Self:
        urls = [PartUrl(number=number, url=url) for number, url in upload.urls.items()]
        return cls(file=FileView.of(upload.file), urls=urls, url_expires_at=upload.url_expires_at)
