"""Signed requests that may come once: a nonce that was seen is refused, whichever process sees it again."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.context import Context

_SLACK: Final = timedelta(minutes=1)  # between the clocks of our processes


class Nonces:
    """Use cases on nonces."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def is_first_use(self, access_key: str, nonce: str, fresh_until: datetime) -> bool:
        """Whether the key says `nonce` for the first time. False: the request is a replay.

        Kept in the database and so for all processes. The commit does not wait for the disk: what a crash of the
        database forgets are the nonces of its last moments, and a replay of those still needs the caught request.

        Args:
            fresh_until: from then on the request is refused for its age, and the nonce need not be kept.
        """
        digest = hashlib.sha256(f"{access_key}\n{nonce}".encode()).hexdigest()
        with self._context.store.lease() as tx:
            return tx.nonces.add(digest, fresh_until + _SLACK)
