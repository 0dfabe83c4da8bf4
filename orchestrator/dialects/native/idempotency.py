"""`Idempotency-Key` on every POST: the same request is done once, and its answer is given again.

Only successes are kept, sealed like every secret (they may hold signed URLs or a new key). A refusal wrote nothing, so
the same key may be tried again and is judged anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from orchestrator.app.app import App
from orchestrator.dialects.native.context import caller_of
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import Conflict, DatabaseUnavailable, Invalid

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
    kept = await run_in_threadpool(_begin, app, caller, key, fingerprint, request.app.state.idempotency_lifetime)
    if kept is not None:
        return kept
    finished = False
    try:
        response = await handle(request)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            await run_in_threadpool(_finish, app, caller, key, response)
            finished = True
        return response
    finally:
        if not finished:
            with suppress(DatabaseUnavailable):  # the key expires
                await run_in_threadpool(_forget, app, caller, key)


def _fingerprint(request: Request, caller: Caller, body: bytes) -> str:
    who = json.dumps([caller.role, caller.name, request.method, request.url.path, request.url.query])
    return hashlib.sha256(who.encode() + b"\0" + body).hexdigest()


def _begin(app: App, caller: Caller, key: str, fingerprint: str, lifetime: timedelta) -> Response | None:
    context = app.context
    with context.store.begin() as tx:
        kept = tx.idempotency.begin(caller.project_id, key, fingerprint, context.clock() + lifetime)
    if kept is None:
        return None
    status, sealed = kept
    if status is None or sealed is None:
        raise Conflict(f"the request with this {HEADER} is still at work; ask again in a moment")
    body, media_type = json.loads(context.secret_box.open(sealed))
    return Response(body or None, status, headers={REPLAYED: "true"}, media_type=media_type)


def _finish(app: App, caller: Caller, key: str, response: Response) -> None:
    told = [bytes(response.body).decode(), response.headers.get("content-type")]
    sealed = app.context.secret_box.seal(json.dumps(told))
    with app.context.store.begin() as tx:
        tx.idempotency.finish(caller.project_id, key, response.status_code, sealed)


def _forget(app: App, caller: Caller, key: str) -> None:
    with app.context.store.begin() as tx:
        tx.idempotency.forget(caller.project_id, key)
