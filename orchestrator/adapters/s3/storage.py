"""One bucket of an S3-compatible store, as the port wants it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from orchestrator.adapters.s3 import addresses, copying, presign
from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.errors import code_of, is_unsupported, status_of, translated
from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.reading import AnswerBrokeOff, reading
from orchestrator.domain.errors import Invalid, StorageUnavailable
from orchestrator.domain.uploads import MAX_PARTS, MIN_PART_BYTES
from orchestrator.ports.storage import (
    ObjectChanged,
    ObjectInfo,
    ObjectMissing,
    OpenUpload,
    StoredPart,
    UploadGone,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

ABORT_ROUNDS: Final = 3
READ_ROUNDS: Final = 5


class S3Storage:
    """The port `Storage` over boto3.

    An upload that is gone is NoSuchUpload on most stores and NoSuchKey on radosgw.

    Objects are deleted one by one and never with DeleteObjects: that call wants a checksum header many stores do not
    take. Calls are repeated where that is harmless; completing an upload is not.
    """

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self.bucket = options.bucket
        self._clients = Clients(options)
        self._skew = timedelta(seconds=options.clock_skew_s)

    @property
    def region(self) -> str:
        return self.options.region

    # Uploads of users

    def create_upload(self, key: str, content_type: str) -> str:
        with translated("beginning an upload", key):
            answer = self._clients.calls.create_multipart_upload(
                Bucket=self.bucket, Key=key, **_content_type(content_type)
            )
            return answer["UploadId"]

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
        """See the port. URLs begin up to `clock_skew_s` before `now`; they end exactly `expires_in` after it."""
        if sizes is not None and (unknown := [number for number in numbers if number not in sizes]):
            raise Invalid(f"no size is known of part(s) {unknown[:10]}", parts=unknown)
        return presign.presign_parts(
            self._clients.address,
            self._clients.signer_credentials(),
            presign.Validity.until(now, expires_in, self._skew),
            key=key,
            upload_id=upload_id,
            numbers=numbers,
            sizes=sizes,
        )

    def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        with translated("listing the parts of an upload", key, missing=UploadGone):
            pages = self._clients.calls.get_paginator("list_parts").paginate(
                Bucket=self.bucket, Key=key, UploadId=upload_id
            )
            parts = [
                StoredPart(part["PartNumber"], part["ETag"].strip('"'), part["Size"])
                for page in pages
                for part in page.get("Parts", [])
            ]
        return sorted(parts, key=lambda part: part.number)

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """See the port. Tried once: a second try at the same time spoils the object on some stores."""
        listed: list[CompletedPartTypeDef] = [
            {"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in sorted(parts, key=lambda p: p.number)
        ]
        guards: dict[str, Any] = {}
        if self.options.facts.checks_completed_size:
            guards = {"MpuObjectSize": sum(part.size_bytes for part in parts)}
        try:
            with translated("completing an upload", key, missing=UploadGone):
                self._clients.slow.complete_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}, **guards
                )
        except StorageUnavailable as exc:
            # radosgw answers 500 for an upload that is not there; after any answer it is worth a look.
            if "status" in exc.details:
                with suppress(StorageUnavailable):
                    self.list_parts(key, upload_id)
            raise

    def abort_upload(self, key: str, upload_id: str) -> bool:
        """See the port. A part that is arriving while the upload is aborted can outlive it, so we look and repeat."""
        for _ in range(ABORT_ROUNDS):
            try:
                with translated("aborting an upload", key, missing=UploadGone):
                    self._clients.calls.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
                self.list_parts(key, upload_id)
            except UploadGone:
                return True
        return False

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        if not self.options.facts.lists_uploads:
            return
        pages = self._clients.calls.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated("listing the uploads", prefix):
            try:
                for page in pages:
                    for upload in page.get("Uploads", []):
                        if upload["Key"].startswith(prefix):
                            yield OpenUpload(upload["Key"], upload["UploadId"], upload["Initiated"].astimezone(UTC))
            except ClientError as exc:
                # rclone says NoSuchUpload of a bucket in which none was begun yet
                if not is_unsupported(exc) and exc.response["Error"].get("Code") != "NoSuchUpload":
                    raise

    # Objects

    def head(self, key: str) -> ObjectInfo | None:
        with translated("looking at an object", key):
            try:
                found: Mapping[str, Any] = self._clients.calls.head_object(Bucket=self.bucket, Key=key)
            except ClientError as exc:
                if status_of(exc) == 404:  # noqa: PLR2004 - Not Found; HEAD carries no other word for it
                    return None
                raise
            modified_at = found.get("LastModified")
            return ObjectInfo(
                key=key,
                etag=found["ETag"].strip('"'),
                size_bytes=found["ContentLength"],
                version_id=found.get("VersionId"),
                content_type=found.get("ContentType", ""),
                modified_at=None if modified_at is None else modified_at.astimezone(UTC),
            )

    def copy(self, source: ObjectInfo, target_key: str) -> ObjectInfo:
        if source.size_bytes <= self.options.copy_part_limit_bytes:
            try:
                copying.copy_whole(self._clients.slow, self.bucket, source, target_key)
            except StorageUnavailable:
                self._check_readable(source)
                raise
        else:
            copying.copy_in_parts(
                self, self._clients.slow, self.bucket, source, target_key,
                part_bytes=self.options.copy_part_limit_bytes,
            )  # fmt: skip
        # Not every store honours the condition of a copy; a source that is still the pinned one now was so before. What
        # was copied wrongly stays: deleting it could hit the good copy of somebody who was faster.
        self._check_pinned(source.key, source.etag)
        target = self._stored(target_key)
        if target.size_bytes != source.size_bytes:
            raise StorageUnavailable(
                f"object store: the copy of {source.key!r} has {target.size_bytes} bytes, not {source.size_bytes}",
                key=target_key,
            )
        return target

    def _check_readable(self, source: ObjectInfo) -> None:
        """Raise ObjectChanged for a source that a late part broke: Swift answers a copy of it with 503, for ever."""
        step = max(MIN_PART_BYTES, -(-source.size_bytes // MAX_PARTS))
        for start in range(0, source.size_bytes, step):
            self.read_range(source.key, start, 1, etag=source.etag)

    def delete(self, key: str) -> None:
        with translated("deleting", key), suppress(ObjectMissing):
            self._clients.calls.delete_object(Bucket=self.bucket, Key=key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        pages = self._clients.calls.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated("listing", prefix):
            for page in pages:
                for found in page.get("Contents", []):
                    yield ObjectInfo(
                        key=found["Key"],
                        etag=found["ETag"].strip('"'),
                        size_bytes=found["Size"],
                        modified_at=found["LastModified"].astimezone(UTC),
                    )

    def read_range(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        if start < 0 or length < 0:
            raise Invalid(f"there are no bytes [{start}, {start + length})", start=start, length=length)
        if length == 0:
            return b""
        return b"".join(self._blocks(key, start, length, etag))

    def download(self, key: str, path: Path, *, etag: str | None = None) -> str:
        """See the port. A broken connection is taken up where it broke; `path` appears only when it is whole."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        digest = hashlib.sha256()
        try:
            with partial.open("wb") as file:
                for block in self._blocks(key, 0, None, etag):
                    digest.update(block)
                    file.write(block)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return digest.hexdigest()

    def upload(self, path: Path, key: str, content_type: str) -> ObjectInfo:
        part_bytes = max(self.options.upload_part_bytes, -(-path.stat().st_size // MAX_PARTS))
        with translated("storing", key):
            self._clients.calls.upload_file(
                str(path),
                self.bucket,
                key,
                ExtraArgs=_content_type(content_type),
                Config=TransferConfig(
                    multipart_threshold=part_bytes, multipart_chunksize=part_bytes, use_threads=False
                ),
            )
        return self._stored(key)

    def put(self, key: str, data: bytes, content_type: str) -> ObjectInfo:
        with translated("storing", key):
            self._clients.calls.put_object(Bucket=self.bucket, Key=key, Body=data, **_content_type(content_type))
        return self._stored(key)

    def key_of(self, address: str) -> str | None:
        return addresses.key_of(self.options, address)

    def address_of(self, key: str) -> str:
        return addresses.address_of(self.options, key)

    def presign_get(self, key: str, *, filename: str, content_type: str, now: datetime, expires_in: timedelta) -> str:
        return presign.presign_get(
            self._clients.address,
            self._clients.credentials(),
            presign.Validity.until(now, expires_in, self._skew),
            key=key,
            filename=filename,
            content_type=content_type,
        )

    # Beyond the port

    def create_bucket(self) -> None:
        """Make the bucket if we do not have it: for the embedded store and for tests."""
        elsewhere = self.options.profile == "aws" and self.options.region != "us-east-1"
        where: dict[str, Any] = (
            {"CreateBucketConfiguration": {"LocationConstraint": self.options.region}} if elsewhere else {}
        )
        with translated("making the bucket", self.bucket):
            try:
                self._clients.calls.create_bucket(Bucket=self.bucket, **where)
            except ClientError as exc:
                if code_of(exc) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def _blocks(self, key: str, start: int, length: int | None, etag: str | None) -> Iterator[bytes]:
        """Bytes of one and the same object; an answer that breaks off is taken up where it broke."""
        position, failures = start, 0
        while True:
            left = None if length is None else start + length - position
            try:
                with reading(self._clients.calls, self.bucket, key, start=position, length=left, etag=etag) as found:
                    if found is None:
                        break
                    etag = etag or found.etag or None
                    for block in found.blocks():
                        position += len(block)
                        failures = 0
                        yield block
                    return
            except AnswerBrokeOff:
                failures += 1
                if failures == READ_ROUNDS or etag is None:
                    raise
        if etag is not None:
            self._check_pinned(key, etag)

    def _check_pinned(self, key: str, etag: str) -> None:
        found = self.head(key)
        if found is None:
            raise ObjectMissing(f"object {key!r} is gone", key=key)
        if found.etag != etag:
            raise ObjectChanged(f"object {key!r} is another one than before (its ETag changed)", key=key)

    def _stored(self, key: str) -> ObjectInfo:
        found = self.head(key)
        if found is None:
            raise StorageUnavailable(f"object store: {key!r} was taken but is not there", key=key)
        return found


def _content_type(content_type: str) -> dict[str, Any]:
    return {"ContentType": content_type} if content_type else {}
