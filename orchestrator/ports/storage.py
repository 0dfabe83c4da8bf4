"""What the core needs of an object store: multipart uploads, sealing, ranged reads, signed URLs.

Any S3-compatible store can stand behind it. All errors of the client library are translated:
`StorageUnavailable` for anything worth trying again, `ObjectMissing` and `ObjectChanged` for facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from orchestrator.domain.errors import NotFound, Refused


class ObjectMissing(NotFound):
    code = "object_not_found"


class ObjectChanged(Refused):
    """The object is no longer the one that was pinned by its ETag."""

    code = "object_changed"


class UploadGone(NotFound):
    """The store knows no such multipart upload: completed, aborted or never begun."""

    code = "upload_gone"


@dataclass(frozen=True, slots=True)
class StoredPart:
    number: int
    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What HEAD says. `etag` comes without quotes and is opaque: never taken for an MD5."""

    key: str
    etag: str
    size_bytes: int
    version_id: str | None = None
    content_type: str = ""
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenUpload:
    key: str
    upload_id: str
    begun_at: datetime


class Storage(Protocol):
    """One bucket of an S3-compatible store."""

    @property
    def region(self) -> str:
        """As the store knows it."""

    def create_upload(self, key: str, content_type: str) -> str:
        """Begin a multipart upload on `key`; gives the upload id."""

    def presign_parts(
        self,
        key: str,
        upload_id: str,
        numbers: Sequence[int],
        *,
        sizes: Mapping[int, int] | None,
        now: datetime,
        expires_in: timedelta,
    ) -> list[str]:
        """One PUT URL per part number, in the order asked.

        Args:
            sizes: bytes of each part; where given, Content-Length is signed and no other length is taken.
            now: aware UTC. The URLs are valid from then on, or from a little earlier for a store whose clock is late.
            expires_in: at most 7 days (SigV4's own limit).
        """

    def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Parts that have arrived, by number. Raises UploadGone."""

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Join exactly these parts.

        Raises UploadGone, or UploadIncomplete when the store does not hold them. StorageUnavailable says nothing of the
        outcome: look at the parts, then at the object.
        """

    def abort_upload(self, key: str, upload_id: str) -> bool:
        """Drop the upload. True once the store says it knows no such upload; False: parts may be left, abort again."""

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Open multipart uploads below a prefix; empty on stores that cannot tell."""

    def head(self, key: str) -> ObjectInfo | None:
        """What the store holds at `key`, None for nothing."""

    def copy(self, source: ObjectInfo, target_key: str) -> ObjectInfo:
        """Server-side copy of the pinned source (in parts above 5 GB), checked by HEAD of the target.

        Raises ObjectMissing or ObjectChanged when the source is no longer the one pinned.
        """

    def delete(self, key: str) -> None:
        """Delete one object; deleting nothing is no error."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Finished objects below a prefix, by key."""

    def read_range(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        """Bytes [start, start+length), fewer at the end of the object.

        With `etag` the read is refused with ObjectChanged if the object is another one.
        """

    def download(self, key: str, path: Path, *, etag: str | None = None) -> str:
        """Write the whole object to `path`; gives the SHA-256 of what was written, as hex."""

    def upload(self, path: Path, key: str, content_type: str) -> ObjectInfo:
        """Store a local file at `key` (in parts when large). For our own artefacts, never for users' files."""

    def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        """Store a small object."""

    def key_of(self, address: str) -> str | None:
        """The key that an address of an object in this very bucket names; None for every other place.

        Nothing is asked of anybody. Taken are `s3://bucket/key` and `oss://bucket/key`, `http(s)` addresses at the
        store's own endpoints, and `http(s)://bucket.oss-<region>.aliyuncs.com/key`. The key may be any text.
        """

    def address_of(self, key: str) -> str:
        """The plain address of an object: it names the object and gives no right to it."""

    def presign_get(self, key: str, *, filename: str, content_type: str, now: datetime, expires_in: timedelta) -> str:
        """A download URL that always answers as an attachment of a fixed type."""
