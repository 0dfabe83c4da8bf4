"""Reading ranges of objects from stores that do not all answer alike.

Asked for a range, AWS answers 206; rclone answers 200 with the right bytes and their Content-Range; a careless store
or proxy answers 200 with the whole object. Asked with If-Match for another object, most refuse and rclone does not. So
the answer itself is looked at: which bytes it says it carries, and of which object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from orchestrator.adapters.s3.errors import PAST_THE_END, TRANSPORT_ERRORS, code_of, status_of, translated
from orchestrator.domain.errors import StorageUnavailable
from orchestrator.domain.uploads import MIB
from orchestrator.ports.storage import ObjectChanged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES: Final = MIB

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class AnswerBrokeOff(StorageUnavailable):
    """The connection ended in the middle of the bytes: going on from there is worth a try at once."""


class Body(Protocol):
    def read(self, amount: int) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer under way.

    Attributes:
        body: stands at the first byte asked for.
        ready_bytes: how many of the bytes asked for will come.
        etag: of the object that they come from.
    """

    body: Body
    ready_bytes: int
    etag: str

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """The bytes, block by block. Raises AnswerBrokeOff when the connection ends before they have all come."""
        left = self.ready_bytes
        while left > 0:
            block = _read(self.body, min(left, block_bytes))
            left -= len(block)
            yield block


@contextmanager
def reading(
    client: S3Client, bucket: str, key: str, *, start: int, length: int | None, etag: str | None
) -> Iterator[Reading | None]:
    """Open bytes [start, start+length) of an object, None past its end; the connection is closed afterwards.

    Args:
        length: None for everything from `start`.
        etag: refuse another object than this one.
    """
    with translated("reading", key):
        answer = _ask(client, bucket, key, start=start, length=length, etag=etag)
        if answer is None:
            yield None
            return
        body = answer["Body"]
        try:
            found_etag = answer.get("ETag", "").strip('"')
            if etag is not None and found_etag != etag:
                raise ObjectChanged(f"object {key!r} is another one than before (its ETag changed)", key=key)
            yield Reading(body, _position(answer, key, start, length), found_etag)
        finally:
            body.close()


def _ask(
    client: S3Client, bucket: str, key: str, *, start: int, length: int | None, etag: str | None
) -> dict[str, Any] | None:
    request: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if start or length is not None:
        request["Range"] = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
    if etag is not None:
        request["IfMatch"] = f'"{etag}"'
    try:
        return dict(client.get_object(**request))
    except ClientError as exc:
        if code_of(exc) in PAST_THE_END or status_of(exc) == 416:  # noqa: PLR2004 - Range Not Satisfiable
            return None
        raise


def _position(answer: dict[str, Any], key: str, start: int, length: int | None) -> int:
    """Bring the body to `start`; gives how many of the bytes asked for will come."""
    told = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    if told is not None:
        first, last = int(told[1]), int(told[2])
        if first != start or (length is not None and last >= start + length):
            raise StorageUnavailable(
                f"object store: asked for bytes of {key!r} from {start} on, got those from {first} to {last}", key=key
            )
        return last - first + 1
    if answer["ResponseMetadata"]["HTTPStatusCode"] == 206:  # noqa: PLR2004 - Partial Content
        raise StorageUnavailable(f"object store: a part of {key!r} came without saying which one", key=key)
    # The whole object: what was not asked for is skipped.
    total = int(answer["ContentLength"])
    _skip(answer["Body"], min(start, total))
    left = max(0, total - start)
    return left if length is None else min(left, length)


def _skip(body: Body, amount: int) -> None:
    while amount > 0:
        amount -= len(_read(body, min(amount, BLOCK_BYTES)))


def _read(body: Body, most: int) -> bytes:
    try:
        block = body.read(most)
    except TRANSPORT_ERRORS as exc:
        raise AnswerBrokeOff(f"object store: an answer broke off ({type(exc).__name__})") from exc
    if not block:
        raise AnswerBrokeOff("object store: an answer ended before its bytes had all come")
    return block
