"""What the store answered, in the words of the port. Nothing of boto3 gets past here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from orchestrator.domain.errors import StorageUnavailable, UnderstudyError, UploadIncomplete
from orchestrator.ports.storage import ObjectChanged, ObjectMissing, UploadGone

MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404"})
# BrokenMPU: Swift's word for a finished object of which a part was replaced by a late PUT.
CHANGED: Final = frozenset({"PreconditionFailed", "412", "BrokenMPU"})
BAD_PARTS: Final = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})
PAST_THE_END: Final = frozenset({"InvalidRange", "416"})
UNSUPPORTED: Final = frozenset({"NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "501", "405"})

_MEANINGS: Final[tuple[tuple[frozenset[str], type[UnderstudyError]], ...]] = (
    (frozenset({"NoSuchUpload"}), UploadGone),
    (CHANGED, ObjectChanged),
    (BAD_PARTS, UploadIncomplete),
)

# What escapes boto3: its two trees of errors, urllib3's when a body breaks off while it is read, and what a header that
# breaks off makes of a number.
TRANSPORT_ERRORS: Final = (BotoCoreError, Boto3Error, HTTPError, ValueError)


@contextmanager
def translated(asked: str, key: str, *, missing: type[UnderstudyError] = ObjectMissing) -> Iterator[None]:
    """Turn errors of the client library into ours, and answers without the fields we need.

    Args:
        asked: what we wanted of the store, for the message: "the parts of an upload".
        key: name of the object; never a URL.
        missing: what it means that the store finds nothing there.
    """
    try:
        yield
    except ClientError as exc:
        raise of_answer(exc, asked, key, missing) from exc
    except KeyError as exc:
        raise StorageUnavailable(f"object store: {asked} of {key!r}: the answer has no {exc}", key=key) from exc
    except TRANSPORT_ERRORS as exc:
        # The name of the error tells enough; its text may carry a signed URL.
        raise StorageUnavailable(
            f"object store: {asked} of {key!r}: no usable answer ({type(exc).__name__})", key=key
        ) from exc


def of_answer(exc: ClientError, asked: str, key: str, missing: type[UnderstudyError]) -> UnderstudyError:
    """The error that stands for what the store said."""
    code, status = code_of(exc), status_of(exc)
    found = f"object store: {asked} of {key!r}: {code} (HTTP {status})"
    if code in MISSING:
        return missing(found, key=key)
    for codes, error in _MEANINGS:
        if code in codes:
            return error(found, key=key)
    if status in {401, 403}:
        found += ": check the keys, their rights and the clocks"
    return StorageUnavailable(found, key=key, store_code=code, status=status)


def code_of(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def status_of(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_unsupported(exc: ClientError) -> bool:
    """The store has no such operation at all."""
    return code_of(exc) in UNSUPPORTED or status_of(exc) in {405, 501}
