"""SDK-HMAC-SHA256: what the vendor's SDK signs, built again from the raw request.

Pure functions: bytes in, texts out. Who the key belongs to and how often it may fail is `access.py`'s matter.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from orchestrator.dialects.common.received import NotSigned, Received

ALGORITHM: Final = "SDK-HMAC-SHA256"
WINDOW: Final = timedelta(minutes=15)
"""How far a clock may be off, in either direction."""

_AUTHORIZATION: Final = re.compile(
    rf"{ALGORITHM} Access=([^,\s]{{1,128}}), ?SignedHeaders=([0-9a-z;!#$%&'*+.^`|~-]{{1,4096}}),"
    r" ?Signature=([0-9a-f]{64})"
)
_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_ALWAYS_SIGNED: Final = frozenset({"host", "x-sdk-date"})
# What says who asks must not be put in by somebody on the way.
_SIGNED_IF_SENT: Final = frozenset({"x-project-id", "x-security-token", "x-app-userid"})


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the header of that name says."""

    access_key: str
    signed_headers: tuple[str, ...]
    signature: str

    @classmethod
    def parse(cls, value: str) -> Authorization:
        """Raises NotSigned for another algorithm or form."""
        found = _AUTHORIZATION.fullmatch(value.strip())
        if found is None:
            raise NotSigned(f"the Authorization is not of the form of {ALGORITHM}")
        return cls(found[1], tuple(found[2].split(";")), found[3])


def signed_at(received: Received) -> datetime:
    """The instant of `X-Sdk-Date`. Raises NotSigned."""
    date = received.header("x-sdk-date") or ""
    if not _DATE.fullmatch(date):
        raise NotSigned("X-Sdk-Date is not of the form YYYYMMDDTHHMMSSZ")
    try:
        return datetime.fromisoformat(date)
    except ValueError as exc:
        raise NotSigned("X-Sdk-Date is no date") from exc


def is_fresh(at: datetime, now: datetime) -> bool:
    return abs(now - at) <= WINDOW


def canonical_request(received: Received, signed_headers: Sequence[str]) -> str:
    """The text whose hash is signed. Raises NotSigned when a header that has to be signed is not."""
    sent = {name.decode("latin-1") for name, _ in received.headers}
    needed = _ALWAYS_SIGNED | (_SIGNED_IF_SENT & sent)
    if unsigned := sorted(needed.difference(signed_headers)):
        raise NotSigned(f"these headers are not signed: {unsigned}")
    lines = []
    for name in signed_headers:
        value = received.header(name)
        if value is None:
            raise NotSigned(f"the signed header {name} did not come")
        lines.append(f"{name}:{value.strip()}\n")
    return "\n".join(
        [
            received.method.upper(), _canonical_path(received.path), _canonical_query(received.query),
            "".join(lines), ";".join(signed_headers), _payload_hash(received),
        ]
    )  # fmt: skip


def string_to_sign(date: str, canonical: str) -> str:
    return f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_signed_with(secret: str, received: Received, authorization: Authorization) -> bool:
    """Whether the signature is the one `secret` gives; compared in constant time. Raises NotSigned."""
    canonical = canonical_request(received, authorization.signed_headers)
    wanted = signature(secret, string_to_sign(received.header("x-sdk-date") or "", canonical))
    return hmac.compare_digest(wanted, authorization.signature)


def _encoded(value: bytes) -> str:
    return quote(value, safe="-_.~")


def _canonical_path(path: bytes) -> str:
    """Decoded once, so that an encoded slash becomes a real one, as it does in the SDK."""
    segments = unquote_to_bytes(path).split(b"/")
    joined = "/".join(_encoded(segment) for segment in segments)
    return joined if joined.endswith("/") else f"{joined}/"


def _canonical_query(query: bytes) -> str:
    pairs = []
    for pair in query.split(b"&") if query else []:
        name, _, value = pair.partition(b"=")
        pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(pairs))


def _payload_hash(received: Received) -> str:
    # a body hash told by the client would let the body be changed on the way; no operation here needs it
    return hashlib.sha256(received.body).hexdigest()
