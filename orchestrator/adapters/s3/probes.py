"""The questions of the store check, one row each."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_bytes
from typing import Final, Literal

import httpx
from botocore.exceptions import ClientError

from orchestrator.adapters.s3.errors import is_unsupported, status_of
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.adapters.s3.trial import Trial
from orchestrator.domain.uploads import MIN_PART_BYTES
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing, UploadGone

Level = Literal["must", "want", "info"]

OK: Final = 200
REFUSED: Final = 400  # this status and all above it
SMALL: Final = 1000
IN_FLIGHT_TIMEOUT_S: Final = 30


class Fails(Exception):
    """The store does not do it. The message says what happened and what follows."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question. `run` gives what holds, or raises Fails."""

    name: str
    level: Level
    run: Callable[[Trial], str]


def round_trip(trial: Trial) -> str:
    parts = {2: token_bytes(SMALL), 1: token_bytes(MIN_PART_BYTES)}
    upload = trial.begin({number: len(data) for number, data in parts.items()})
    for number, data in parts.items():
        status = trial.send(upload.urls[number], data)
        _expect(status == OK, f"part {number} was answered with {status}")
    found = [(part.number, part.size_bytes) for part in trial.storage.list_parts(upload.key, upload.upload_id)]
    _expect(found == [(1, MIN_PART_BYTES), (2, SMALL)], f"the parts are listed as {found}")
    info = trial.finish(upload)
    whole = trial.storage.read_range(upload.key, 0, info.size_bytes, etag=info.etag)
    _expect(whole == parts[1] + parts[2], "what was read is not what was sent")
    return "parts sent to signed URLs are listed, joined and read back"


def ranges(trial: Trial) -> str:
    data = token_bytes(SMALL)
    info = trial.storage.put(trial.staging_key(), data, "text/plain")
    for start, length in ((0, 10), (100, 50), (SMALL - 5, 100), (SMALL + 5, 10)):
        found = trial.storage.read_range(info.key, start, length, etag=info.etag)
        _expect(found == data[start : start + length], f"bytes {start} to {start + length} are other ones")
    return "ranges are read exactly"


def signature(trial: Trial) -> str:
    upload = trial.begin({1: SMALL, 2: SMALL})
    url = upload.urls[1]
    last = url[-1]
    forged = {
        "a wrong signature": url[:-1] + ("0" if last != "0" else "1"),
        "no signature": re.sub(r"&X-Amz-[^&]*", "", url),
        "the URL of another part number": url.replace("partNumber=1&", "partNumber=2&"),
        "the URL of another key": url.replace(upload.key, f"{upload.key}x"),
        "a longer validity": re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=600000", url),
    }
    for what, forgery in forged.items():
        status = trial.send(forgery, token_bytes(SMALL))
        _expect(status >= REFUSED, f"{what} was answered with {status}")
    _expect(not trial.storage.list_parts(upload.key, upload.upload_id), "a refused part was stored")
    return "changed and unsigned URLs are refused"


def expiry(trial: Trial) -> str:
    upload = trial.begin({1: SMALL}, now=trial.clock() - timedelta(hours=2))
    status = trial.send(upload.urls[1], token_bytes(SMALL))
    _expect(status >= REFUSED, f"an expired URL was answered with {status}")
    return "expired URLs are refused"


def signed_length(trial: Trial) -> str:
    upload = trial.begin({1: SMALL})
    for wrong in (SMALL - 1, SMALL + 1):
        status = trial.send(upload.urls[1], token_bytes(wrong))
        _expect(status >= REFUSED, f"{wrong} bytes to a URL signed for {SMALL} were answered with {status}")
    return "a URL takes only the length it was signed for"


def copy_header(trial: Trial) -> str:
    secret = token_bytes(SMALL)
    source = trial.storage.put(trial.final_key(), secret, "text/plain")
    upload = trial.begin({1: 0}, signed=False)
    status = trial.send(upload.urls[1], b"", {"x-amz-copy-source": f"/{trial.options.bucket}/{source.key}"})
    parts = trial.storage.list_parts(upload.key, upload.upload_id)
    _expect(
        all(part.size_bytes == 0 for part in parts),
        "an unsigned x-amz-copy-source header made a part URL copy another object: sign with a key that may only write "
        "below the staging prefix, or drop that header in front of the store",
    )
    return f"an unsigned x-amz-copy-source header copies nothing (HTTP {status})"


def signer_rights(trial: Trial) -> str:
    if not trial.options.has_own_signer:
        raise Fails("the signing key is the main key: it may do everything")
    source = trial.storage.put(trial.final_key(), b"secret", "text/plain")
    signer, bucket = trial.signer(), trial.options.bucket
    final_key = trial.final_key()
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: signer.get_object(Bucket=bucket, Key=source.key),
        "write outside of the staging prefix": lambda: signer.put_object(Bucket=bucket, Key=final_key, Body=b"x"),
    }
    for what, call in attempts.items():
        try:
            call()
        except ClientError as exc:
            _expect(status_of(exc) in {401, 403}, f"the signing key's attempt to {what}: HTTP {status_of(exc)}")
        else:
            raise Fails(f"the signing key can {what}")
    return "the signing key can neither read nor write outside of the staging prefix"


def dead_after_completion(trial: Trial) -> str:
    info, url, data = _finished(trial)
    status = trial.send(url, token_bytes(SMALL))
    _expect(
        _is_still(trial, info, data),
        f"a part URL changed or broke the finished object (HTTP {status}): only the sealed copy can be trusted",
    )
    _expect(status >= REFUSED, f"a part URL was answered with {status} after completion")
    return "part URLs are dead after completion"


def in_flight(trial: Trial) -> str:
    """A PUT that began before the completion and ends after it."""
    data, other = token_bytes(SMALL), token_bytes(SMALL)
    upload = trial.begin({1: SMALL})
    _expect(trial.send(upload.urls[1], data) == OK, "the part was not taken")
    begun, completed = threading.Event(), threading.Event()
    answers: list[int] = []

    def slowly() -> Iterator[bytes]:
        yield other[: SMALL // 2]
        begun.set()
        completed.wait(IN_FLIGHT_TIMEOUT_S)
        yield other[SMALL // 2 :]

    def put() -> None:
        # What becomes of the request is the store's choice: only the object counts.
        try:
            answers.append(trial.send(upload.urls[1], slowly(), {"Content-Length": str(SMALL)}))
        except httpx.HTTPError:
            answers.append(0)

    thread = threading.Thread(target=put, daemon=True)
    thread.start()
    begun.wait(IN_FLIGHT_TIMEOUT_S)
    try:
        info = trial.finish(upload)
    finally:
        completed.set()
        thread.join(2 * IN_FLIGHT_TIMEOUT_S)
    _expect(
        _is_still(trial, info, data),
        "a part under way at completion changed or broke the finished object: only the sealed copy can be trusted",
    )
    return f"a part under way at completion changes nothing (HTTP {answers[0] if answers else 0})"


def dead_after_abort(trial: Trial) -> str:
    upload = trial.begin({1: SMALL})
    _expect(trial.send(upload.urls[1], token_bytes(SMALL)) == OK, "the part was not taken")
    _expect(trial.storage.abort_upload(upload.key, upload.upload_id), "the upload could not be aborted")
    status = trial.send(upload.urls[1], token_bytes(SMALL))
    _expect(status >= REFUSED, f"a part URL was answered with {status} after the upload was aborted")
    try:
        trial.storage.list_parts(upload.key, upload.upload_id)
    except UploadGone:
        return "part URLs are dead after the upload was aborted"
    raise Fails("an aborted upload is still there")


def sealed(trial: Trial) -> str:
    info, url, data = _finished(trial)
    final = trial.storage.copy(info, trial.final_key())
    trial.send(url, token_bytes(SMALL))
    trial.storage.delete(info.key)
    status = trial.send(url, token_bytes(SMALL))
    _expect(trial.storage.head(final.key) == final, "the sealed copy changed")
    _expect(trial.storage.read_range(final.key, 0, SMALL, etag=final.etag) == data, "the sealed copy has other bytes")
    _expect(status >= REFUSED, f"a part URL was answered with {status} after the staged object was deleted")
    return "a sealed copy is out of reach of every part URL"


def if_match(trial: Trial) -> str:
    info = trial.storage.put(trial.staging_key(), b"data", "text/plain")
    try:
        trial.raw.get_object(Bucket=trial.options.bucket, Key=info.key, IfMatch='"0000"')
    except ClientError as exc:
        _expect(status_of(exc) == 412, f"HTTP {status_of(exc)} instead of 412")  # noqa: PLR2004 - Precondition Failed
        return "reads of another object than the pinned one are refused"
    raise Fails("If-Match is ignored: we compare the ETag of each answer instead")


def copy_if_match(trial: Trial) -> str:
    info = trial.storage.put(trial.staging_key(), b"data", "text/plain")
    bucket = trial.options.bucket
    try:
        trial.raw.copy_object(
            Bucket=bucket,
            Key=trial.final_key(),
            CopySource={"Bucket": bucket, "Key": info.key},
            CopySourceIfMatch='"0000"',
        )
    except ClientError as exc:
        _expect(status_of(exc) == 412, f"HTTP {status_of(exc)} instead of 412")  # noqa: PLR2004 - Precondition Failed
        return "copies of another object than the pinned one are refused"
    raise Fails("the condition of a copy is ignored: we look at the source again after each copy")


def part_copy(trial: Trial) -> str:
    data = token_bytes(MIN_PART_BYTES + 1)
    info = trial.storage.put(trial.staging_key(), data, "text/plain")
    upload = trial.begin({1: len(data)}, key=trial.final_key())
    try:
        answer = trial.raw.upload_part_copy(
            Bucket=trial.options.bucket,
            Key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=1,
            CopySource={"Bucket": trial.options.bucket, "Key": info.key},
            CopySourceRange=f"bytes=0-{MIN_PART_BYTES - 1}",
        )
    except ClientError as exc:
        if not is_unsupported(exc):
            raise
        answer = None
    small = S3Storage(replace(trial.options, copy_part_limit_bytes=MIN_PART_BYTES))
    target = small.copy(info, trial.final_key())
    _expect(trial.storage.read_range(target.key, 0, len(data) + 1) == data, "a copy in parts has other bytes")
    if answer is None or not answer.get("CopyPartResult", {}).get("ETag"):
        raise Fails("there is no UploadPartCopy: objects above 5 GiB are sealed through us, which takes its time")
    return "objects above 5 GiB can be copied inside the store"


def list_uploads(trial: Trial) -> str:
    upload = trial.begin({1: SMALL})
    found = [open_upload.upload_id for open_upload in trial.storage.list_uploads(upload.key)]
    _expect(found == [upload.upload_id], "open uploads are not listed: orphans are only known from our own table")
    return "open uploads are listed"


def download_url(trial: Trial) -> str:
    info = trial.storage.put(trial.final_key(), b"<b>", "text/html")
    url = trial.storage.presign_get(
        info.key,
        filename="model.bin",
        content_type="application/octet-stream",
        now=trial.clock(),
        expires_in=timedelta(minutes=5),
    )
    answer = trial.fetch(url)
    _expect(answer.status_code == OK and answer.content == b"<b>", f"a download URL answered {answer.status_code}")
    kind, disposition = answer.headers.get("content-type", ""), answer.headers.get("content-disposition", "")
    _expect(
        kind.startswith("application/octet-stream") and disposition.startswith("attachment"),
        f"a download came as {kind!r}, {disposition!r}: a browser might show what a stranger stored",
    )
    return "download URLs answer with an attachment of the type we say"


PROBES: Final[tuple[Probe, ...]] = (
    Probe("round-trip", "must", round_trip),
    Probe("ranges", "must", ranges),
    Probe("signature", "must", signature),
    Probe("expiry", "must", expiry),
    Probe("signed-content-length", "must", signed_length),
    Probe("copy-header", "must", copy_header),
    Probe("sealed-copy", "must", sealed),
    Probe("put-after-abort", "must", dead_after_abort),
    Probe("put-after-complete", "want", dead_after_completion),
    Probe("inflight-put-vs-complete", "want", in_flight),
    Probe("signer-rights", "want", signer_rights),
    Probe("if-match", "want", if_match),
    Probe("copy-if-match", "want", copy_if_match),
    Probe("part-copy", "want", part_copy),
    Probe("download-url", "want", download_url),
    Probe("list-uploads", "info", list_uploads),
)


def _expect(holds: bool, problem: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not holds:
        raise Fails(problem)


def _is_still(trial: Trial, info: ObjectInfo, data: bytes) -> bool:
    try:
        return trial.storage.read_range(info.key, 0, len(data) + 1, etag=info.etag) == data
    except (ObjectChanged, ObjectMissing):
        return False


def _finished(trial: Trial) -> tuple[ObjectInfo, str, bytes]:
    """A finished object, the part URL that made it, and its bytes."""
    data = token_bytes(SMALL)
    upload = trial.begin({1: SMALL})
    _expect(trial.send(upload.urls[1], data) == OK, "the part was not taken")
    return trial.finish(upload), upload.urls[1], data
