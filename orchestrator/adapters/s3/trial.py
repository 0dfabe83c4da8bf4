"""The bench of the store check: makes uploads and objects of its own, plays the stranger, cleans up."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx
from botocore.exceptions import ClientError

from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.errors import status_of, translated
from orchestrator.adapters.s3.options import S3Options, is_loopback
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.domain.errors import StorageUnavailable, UnderstudyError
from orchestrator.ports.storage import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

VALID_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class TrialUpload:
    """An upload under way. `urls` by part number."""

    key: str
    upload_id: str
    urls: Mapping[int, str]


class Trial:
    """Everything that a check needs. As a context it leaves nothing behind."""

    def __init__(
        self, options: S3Options, clock: Callable[[], datetime], staging_prefix: str, final_prefix: str
    ) -> None:
        self.options = options
        self.clock = clock
        self.storage = S3Storage(options)
        token = secrets.token_hex(8)
        self._staging = f"{staging_prefix}check-{token}/"
        self._final = f"{final_prefix}check-{token}/"
        self._clients = Clients(options)
        self._http = httpx.Client(
            timeout=options.read_timeout_s,
            follow_redirects=False,
            trust_env=not is_loopback(options.public_endpoint or options.endpoint),
        )
        self._keys: set[str] = set()
        self._uploads: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clean_up()
        self._http.close()

    @property
    def raw(self) -> S3Client:
        """The bare client, for questions that the port does not ask."""
        return self._clients.slow

    def signer(self) -> S3Client:
        """A bare client that calls as the principal that signs part URLs."""
        options = self.options
        return Clients(
            replace(
                options,
                access_key=options.signer_access_key,
                secret_key=options.signer_secret_key,
                session_token=options.signer_session_token,
            )
        ).slow

    def bucket_date(self) -> datetime:
        """What the store's clock says. Raises StorageUnavailable when the bucket is not there or not ours."""
        name = self.options.bucket
        with translated("looking at the bucket", name):
            try:
                answer = self._clients.calls.head_bucket(Bucket=name)
            except ClientError as exc:
                if status_of(exc) == 404:  # noqa: PLR2004 - Not Found; HEAD carries no other word for it
                    raise StorageUnavailable(f"object store: bucket {name!r} does not exist") from exc
                raise
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        return parsedate_to_datetime(date) if date else self.clock()

    def staging_key(self) -> str:
        return self._kept(self._staging + secrets.token_hex(8))

    def final_key(self) -> str:
        return self._kept(self._final + secrets.token_hex(8))

    def begin(
        self, sizes: Mapping[int, int], *, signed: bool = True, now: datetime | None = None, key: str = ""
    ) -> TrialUpload:
        """A new upload with its part URLs."""
        key = key or self.staging_key()
        upload_id = self.storage.create_upload(key, "application/octet-stream")
        self._uploads.add((key, upload_id))
        urls = self.storage.presign_parts(
            key,
            upload_id,
            list(sizes),
            sizes=sizes if signed else None,
            now=now or self.clock(),
            expires_in=VALID_FOR,
        )
        return TrialUpload(key, upload_id, dict(zip(sizes, urls, strict=True)))

    def send(self, url: str, data: bytes | Iterable[bytes], headers: Mapping[str, str] | None = None) -> int:
        """PUT as a stranger who has nothing but the URL; gives the HTTP status."""
        return self._http.put(url, content=data, headers=headers).status_code

    def fetch(self, url: str) -> httpx.Response:
        return self._http.get(url)

    def finish(self, upload: TrialUpload) -> ObjectInfo:
        """Complete with all parts that arrived."""
        parts = self.storage.list_parts(upload.key, upload.upload_id)
        self.storage.complete_upload(upload.key, upload.upload_id, parts)
        found = self.storage.head(upload.key)
        if found is None:
            raise StorageUnavailable("the upload was completed but there is no object")
        return found

    def clean_up(self) -> list[str]:
        """Remove everything that was made; gives the keys where that did not work."""
        left = []
        for key, upload_id in sorted(self._uploads):
            try:
                if not self.storage.abort_upload(key, upload_id):
                    left.append(key)
            except UnderstudyError:
                left.append(key)
        self._uploads.clear()
        for key in sorted(self._keys):
            try:
                self.storage.delete(key)
            except UnderstudyError:
                left.append(key)
        self._keys.clear()
        return left

    def _kept(self, key: str) -> str:
        self._keys.add(key)
        return key
