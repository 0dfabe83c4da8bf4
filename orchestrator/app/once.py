"""Requests that are done once: the same one under the same word of its sender's gives the first answer again.

Only successes are kept, sealed like every secret (they may hold signed URLs or a new key). A refusal wrote nothing, so
its word may be used again and is judged anew. A request that broke off is begun again by its next try: what it makes
keeps its id, and every other write is a compare-and-set.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import NamedTuple

from orchestrator.app.context import Context, new_id, new_token
from orchestrator.domain.errors import Conflict


class Answer(NamedTuple):
    """What was answered the first time, as the API wrote it."""

    status: int
    body: str
    media_type: str | None


class Once:
    """One request under its word, held by a lease: a process that dies in it leaves a word that is free soon.

    Whoever lost the lease (it was paused, say) changes nothing any more: its token is not in the row.

    Attributes:
        made_id: the id for what the request makes: the same at every try, so it is made once.
    """

    def __init__(self, context: Context, project_id: str, word: str) -> None:
        self._context = context
        self._where = project_id, word
        self._token = new_token()
        self.made_id = new_id(context.clock())

    def begin(self, fingerprint: str, lifetime: timedelta) -> Answer | None:
        """The answer if there is one; None: it has to be worked out, by whoever asked.

        Args:
            fingerprint: of who asks and for what.
            lifetime: the answer is kept for so long.

        Raises:
            Conflict: another request has the word, or this one is at work.
        """
        context = self._context
        now = context.clock()
        with context.store.begin() as tx:
            kept = tx.idempotency.begin(
                *self._where, fingerprint, made_id=self.made_id, token=self._token, now=now,
                until=now + context.timing.lease, expires_at=now + lifetime,
            )  # fmt: skip
        self.made_id = kept.made_id
        if kept.is_ours:
            return None
        if kept.status is None or kept.body is None:
            raise Conflict("the request with this Idempotency-Key is still at work; ask again in a moment")
        return Answer(kept.status, *json.loads(context.secret_box.open(kept.body)))

    def finish(self, answer: Answer) -> None:
        """It is done: give this answer from now on."""
        sealed = self._context.secret_box.seal(json.dumps([answer.body, answer.media_type]))
        with self._context.store.begin() as tx:
            tx.idempotency.finish(*self._where, self._token, answer.status, sealed)

    def release(self) -> None:
        """It broke off: the next try goes on with the same id."""
        with self._context.store.begin() as tx:
            tx.idempotency.release(*self._where, self._token, self._context.clock())

    def forget(self) -> None:
        """It was refused: nothing has happened."""
        with self._context.store.begin() as tx:
            tx.idempotency.forget(*self._where, self._token)
