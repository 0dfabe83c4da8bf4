"""ACS3-HMAC-SHA256 and the legacy RPC signature 1.0, built again from the raw request.

Pure functions: bytes in, texts out. Whose key it is, how old the request may be, and whether it came before is
`access.py`'s matter.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from orchestrator.dialects.common.received import Received
from orchestrator.dialects.ims import errors

ALGORITHM: Final = "ACS3-HMAC-SHA256"
WINDOW: Final = timedelta(minutes=15)
"""How far a clock may be off, in either direction."""

FORM: Final = "application/x-www-form-urlencoded"
_AUTHORIZATION: Final = re.compile(
    rf"{ALGORITHM} +Credential=([^,\s]{{1,128}}), *SignedHeaders=([0-9a-z;!#$%&'*+.^`|~_-]{{1,4096}}),"
    r" *Signature=([0-9a-f]{64})"
)
_ALWAYS_SIGNED: Final = frozenset(
    {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}
)
# What says who asks, or how the body is read, must not be put in by somebody on the way.
_SIGNED_IF_SENT: Final = frozenset({"x-acs-security-token", "x-acs-accesskey-id"})
_NONCE: Final = re.compile(r"[\x21-\x7e]{1,128}")
_DATE_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of who sent it, by whichever scheme.

    Attributes:
        signature: as it came: hexadecimal or Base64.
        string_to_sign: what the sender must have signed.
        time_name: of the parameter that `signed_at` comes from.
    """

    access_key: str
    security_token: str | None
    signed_at: datetime
    time_name: str
    nonce: str
    signature: str
    string_to_sign: str
    is_legacy: bool = False

    def is_signed_with(self, secret: str) -> bool:
        """Whether the signature is the one `secret` gives; compared in constant time."""
        sign = legacy_signature if self.is_legacy else signature
        return hmac.compare_digest(sign(secret, self.string_to_sign).encode(), self.signature.encode())


def claim_of(received: Received, action: str, version: str) -> Claim:
    """What the request claims, by the scheme that it uses. Raises NotAdmitted.

    Args:
        action: that was routed by; it has to be the signed one.
    """
    authorization = received.header("authorization")
    if authorization is not None:
        return _acs3(received, authorization)
    return _rpc(received, action, version)


# version 3


def _acs3(received: Received, authorization: str) -> Claim:
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if found is None:
        raise errors.incomplete(f"the Authorization is not of the form of {ALGORITHM}")
    access_key, names = found[1], found[2].split(";")
    told = received.header("x-acs-accesskey-id")
    if told is not None and told != access_key:
        raise errors.incomplete("x-acs-accesskey-id is another key than Credential")
    if received.header("x-acs-content-sha256") not in {None, hashlib.sha256(received.body).hexdigest()}:
        raise errors.wrong_signature()  # of another body than came
    return Claim(
        access_key, received.header("x-acs-security-token"),
        _instant(received.header("x-acs-date") or "", "x-acs-date"), "x-acs-date",
        _nonce(received.header("x-acs-signature-nonce") or "", "x-acs-signature-nonce"),
        found[3], string_to_sign(canonical_request(received, names)),
    )  # fmt: skip


def canonical_request(received: Received, signed_headers: Sequence[str]) -> str:
    """The text whose hash is signed. Raises NotAdmitted when a header that has to be signed is not."""
    needed = _ALWAYS_SIGNED | {name for name in _SIGNED_IF_SENT if received.header(name) is not None}
    if received.body:
        needed |= {"content-type"}
    if unsigned := sorted(needed.difference(signed_headers)):
        raise errors.incomplete(f"these headers are not signed: {', '.join(unsigned)}")
    lines = []
    for name in signed_headers:
        value = received.header(name)
        if value is None:
            raise errors.incomplete(f"the signed header {name} did not come")
        lines.append(f"{name}:{value.strip()}\n")
    # the path is always `/`: the SDK signs that, whatever path its endpoint has
    return "\n".join(
        [
            received.method.upper(), "/", canonical_query(pairs_of(received.query)), "".join(lines),
            ";".join(signed_headers), hashlib.sha256(received.body).hexdigest(),
        ]
    )  # fmt: skip


def string_to_sign(canonical: str) -> str:
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


# version 2


def _rpc(received: Received, action: str, version: str) -> Claim:
    pairs = parameters_of(received)
    found = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in pairs}
    if len(found) != len(pairs):
        raise errors.incomplete("a parameter came twice")
    if "Signature" not in found:
        raise errors.incomplete("neither an Authorization nor a Signature came with the request")
    if lacking := [name for name in ("AccessKeyId", "SignatureNonce", "Timestamp") if not found.get(name)]:
        raise errors.incomplete(f"these parameters are missing: {', '.join(lacking)}")
    if (found.get("SignatureMethod"), found.get("SignatureVersion")) != ("HMAC-SHA1", "1.0"):
        raise errors.incomplete("only SignatureMethod HMAC-SHA1 of SignatureVersion 1.0 is known")
    if (found.get("Action"), found.get("Version")) != (action, version):
        raise errors.incomplete("Action and Version are not those of the headers")
    return Claim(
        found["AccessKeyId"], found.get("SecurityToken"), _instant(found["Timestamp"], "Timestamp"), "Timestamp",
        _nonce(found["SignatureNonce"], "SignatureNonce"), found["Signature"],
        legacy_string_to_sign(received.method, pairs), is_legacy=True,
    )  # fmt: skip


def legacy_string_to_sign(method: str, pairs: Sequence[tuple[bytes, bytes]]) -> str:
    query = canonical_query([pair for pair in pairs if pair[0] != b"Signature"])
    return f"{method.upper()}&%2F&{quote(query, safe='-_.~')}"


def legacy_signature(secret: str, text: str) -> str:
    made = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(made).decode()


# both


def parameters_of(received: Received) -> list[tuple[bytes, bytes]]:
    """Decoded pairs of the query, and of the body if that is a form."""
    kind = (received.header("content-type") or "").partition(";")[0].strip().lower()
    return pairs_of(received.query) + (pairs_of(received.body) if kind == FORM else [])


def pairs_of(form: bytes) -> list[tuple[bytes, bytes]]:
    """Decoded pairs of a query or form body, `+` standing for a space, in the order they came."""
    found = []
    for pair in form.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found.append((_decoded(name), _decoded(value)))
    return found


def canonical_query(pairs: Sequence[tuple[bytes, bytes]]) -> str:
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(pairs))


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _encoded(value: bytes) -> str:
    return quote(value, safe="-_.~")


def _instant(text: str, name: str) -> datetime:
    if not text:
        raise errors.incomplete(f"{name} is missing")
    if not _DATE.fullmatch(text):
        raise errors.bad_time(name)
    try:
        return datetime.strptime(text, _DATE_FORM).replace(tzinfo=UTC)
    except ValueError as exc:
        raise errors.bad_time(name) from exc


def _nonce(text: str, name: str) -> str:
    if not _NONCE.fullmatch(text):
        raise errors.incomplete(f"{name} has to have 1 to 128 printable characters")
    return text
