"""`Idempotency-Key` on every POST: the same request is done once, and its answer is given again.

Only successes are kept, sealed like every secret (they may hold signed URLs or a new key). A refusal wrote nothing, so
the same key may be tried again and is judged anew. A request that broke off is begun again by its next try: what it
makes keeps its id, and every other write is a compare-and-set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from orchestrator.app.app import App
from orchestrator.app.context import new_id, new_token
from orchestrator.dialects.native.context import caller_of
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import Conflict, DatabaseUnavailable, Invalid, Unavailable, UnderstudyError

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")

Handler = Callable[[Request], Awaitable[Response]]


class OnceRoute(APIRoute):
    """A route whose POSTs honour `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method != "POST":
                return await handle(request)
            if not _KEY.fullmatch(key):
                raise Invalid(f"{HEADER} has to be 1 to 200 visible ASCII characters", field=HEADER)
            return await _once(request, key, handle)

        return once


async def _once(request: Request, key: str, handle: Handler) -> Response:
    app: App = request.app.state.understudy
    caller = await run_in_threadpool(caller_of, request)
    fingerprint = _fingerprint(request, caller, await request.body())
    once = _Once(app, caller.project_id, key)
    kept = await run_in_threadpool(once.begin, fingerprint, request.app.state.idempotency_lifetime)
    if kept is not None:
        return kept
    request.state.made_id = once.made_id
    settle = once.release
    try:
        response = await handle(request)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            settle = partial(once.finish, response)
        elif response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            settle = once.forget
        return response  # noqa: TRY300  an `else` would settle before it is decided how
    except (UnderstudyError, HTTPException, RequestValidationError) as exc:
        if not isinstance(exc, Unavailable):
            settle = once.forget
        raise
    finally:
        with suppress(DatabaseUnavailable):  # the lease runs out
            await run_in_threadpool(settle)


def made_id_of(request: Request) -> str | None:
    """The id for what this request makes, if it comes with a key: the same at every try, so it is made once."""
    return getattr(request.state, "made_id", None)


def _fingerprint(request: Request, caller: Caller, body: bytes) -> str:
    who = json.dumps([caller.role, caller.name, request.method, request.url.path, request.url.query])
    return hashlib.sha256(who.encode() + b"\0" + body).hexdigest()


class _Once:
    """One request under its key, held by a lease: a process that dies in it leaves a key that is free soon.

    Whoever lost the lease (it was paused, say) changes nothing any more: its token is not in the row.
    """

    def __init__(self, app: App, project_id: str, key: str) -> None:
        self._context = app.context
        self._where = project_id, key
        self._token = new_token()
        self.made_id = new_id(app.context.clock())

    def begin(self, fingerprint: str, lifetime: timedelta) -> Response | None:
        """The answer if there is one; None: it has to be worked out, by us."""
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
            raise Conflict(f"the request with this {HEADER} is still at work; ask again in a moment")
        body, media_type = json.loads(context.secret_box.open(kept.body))
        return Response(body or None, kept.status, headers={REPLAYED: "true"}, media_type=media_type)

    def finish(self, response: Response) -> None:
        told = [bytes(response.body).decode(), response.headers.get("content-type")]
        sealed = self._context.secret_box.seal(json.dumps(told))
        with self._context.store.begin() as tx:
            tx.idempotency.finish(*self._where, self._token, response.status_code, sealed)

    def release(self) -> None:
        with self._context.store.begin() as tx:
            tx.idempotency.release(*self._where, self._token, self._context.clock())

    def forget(self) -> None:
        with self._context.store.begin() as tx:
            tx.idempotency.forget(*self._where, self._token)
