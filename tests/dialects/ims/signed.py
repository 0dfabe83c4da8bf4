"""Requests signed as the vendor's SDK signs, of any time and with any nonce, by our own signing."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

from orchestrator.app.keys import NewKey
from orchestrator.dialects.common.received import Received
from orchestrator.dialects.ims import signing
from orchestrator.dialects.ims.app import VERSION


def headers(
    host: str, key: NewKey, action: str, query: str = "", body: bytes = b"", **changed: str
) -> dict[str, str]:  # fmt: skip
    """All headers of a POST to the root.

    Args:
        changed: takes the place of what would be sent, or comes in addition.
    """
    sent = {
        "host": host, "x-acs-action": action, "x-acs-version": VERSION,
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(), **changed,
    }  # fmt: skip
    received = Received("POST", b"/", query.encode(), [(n.encode(), v.encode()) for n, v in sent.items()], body)
    text = signing.string_to_sign(signing.canonical_request(received, sorted(sent)))
    names, made = ";".join(sorted(sent)), signing.signature(key.secret, text)
    said = f"{signing.ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={made}"
    return sent | {"authorization": said}
