"""Server-side copies of any size, checked.

CopyObject ends at 5 GiB; above, UploadPartCopy is used. Some stores take UploadPartCopy for an upload of no bytes and
answer 200 (rclone), others refuse it: there the bytes go through us, which is slow and therefore logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from botocore.exceptions import ClientError

from orchestrator.adapters.s3.errors import is_unsupported, translated
from orchestrator.adapters.s3.reading import reading
from orchestrator.domain.errors import StorageUnavailable
from orchestrator.domain.uploads import MAX_PARTS, MIN_PART_BYTES
from orchestrator.ports.storage import ObjectInfo, Storage, StoredPart, UploadGone

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Target:
    bucket: str
    key: str
    upload_id: str


class _NoPartCopy(Exception):
    """The store cannot copy into a part."""


def copy_whole(client: S3Client, bucket: str, source: ObjectInfo, target_key: str) -> None:
    """One CopyObject of the pinned source."""
    with translated("copying", source.key):
        client.copy_object(Bucket=bucket, Key=target_key, **_source(bucket, source))


def copy_in_parts(
    storage: Storage, client: S3Client, bucket: str, source: ObjectInfo, target_key: str, *, part_bytes: int
) -> None:
    """The same through a multipart upload, for what is too large for one CopyObject."""
    ranges = list(_ranges(source.size_bytes, max(part_bytes, MIN_PART_BYTES, -(-source.size_bytes // MAX_PARTS))))
    upload_id = storage.create_upload(target_key, source.content_type)
    try:
        try:
            to = _Target(bucket, target_key, upload_id)
            parts = [_copied(client, source, to, number, span) for number, span in enumerate(ranges, start=1)]
        except _NoPartCopy:
            log.warning("object_copied_through_us", key=target_key, size_bytes=source.size_bytes)
            # What a store made of the copy request may already stand in its part 1: begin anew.
            storage.abort_upload(target_key, upload_id)
            upload_id = storage.create_upload(target_key, source.content_type)
            to = _Target(bucket, target_key, upload_id)
            # A part is held in memory, so they are as small as can be.
            ranges = list(_ranges(source.size_bytes, max(MIN_PART_BYTES, -(-source.size_bytes // MAX_PARTS))))
            parts = [_streamed(client, source, to, number, span) for number, span in enumerate(ranges, start=1)]
        storage.complete_upload(target_key, upload_id, parts)
    except BaseException:
        _forget(storage, target_key, upload_id)
        raise


def _copied(client: S3Client, source: ObjectInfo, to: _Target, number: int, span: tuple[int, int]) -> StoredPart:
    start, size = span
    with translated("copying", source.key):
        try:
            answer = client.upload_part_copy(
                Bucket=to.bucket,
                Key=to.key,
                UploadId=to.upload_id,
                PartNumber=number,
                CopySourceRange=f"bytes={start}-{start + size - 1}",
                **_source(to.bucket, source),
            )
        except ClientError as exc:
            if is_unsupported(exc):
                raise _NoPartCopy from exc
            raise
    etag = answer.get("CopyPartResult", {}).get("ETag", "").strip('"')
    if not etag:
        raise _NoPartCopy
    return StoredPart(number, etag, size)


def _streamed(client: S3Client, source: ObjectInfo, to: _Target, number: int, span: tuple[int, int]) -> StoredPart:
    start, size = span
    with reading(client, to.bucket, source.key, start=start, length=size, etag=source.etag) as found:
        data = b"" if found is None else b"".join(found.blocks())
    if len(data) != size:
        raise StorageUnavailable(f"object store: {source.key!r} ended {size - len(data)} bytes early")
    with translated("copying", to.key):
        answer = client.upload_part(Bucket=to.bucket, Key=to.key, UploadId=to.upload_id, PartNumber=number, Body=data)
    return StoredPart(number, answer["ETag"].strip('"'), size)


def _forget(storage: Storage, key: str, upload_id: str) -> None:
    """Abort what went wrong, without hiding why; what is left is the orphan sweep's."""
    try:
        storage.abort_upload(key, upload_id)
    except (StorageUnavailable, UploadGone):
        log.warning("copy_not_aborted", key=key)


def _source(bucket: str, source: ObjectInfo) -> dict[str, Any]:
    copy_source = {"Bucket": bucket, "Key": source.key}
    if source.version_id:
        copy_source["VersionId"] = source.version_id
    return {"CopySource": copy_source, "CopySourceIfMatch": f'"{source.etag}"'}


def _ranges(total_bytes: int, part_bytes: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total_bytes, part_bytes):
        yield start, min(part_bytes, total_bytes - start)
