"""`Idempotency-Key` on every POST: the same request is done once, and its answer is given again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from orchestrator.app.app import App
from orchestrator.app.once import Answer
from orchestrator.dialects.native.context import caller_of
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import DatabaseUnavailable, Invalid, Unavailable, UnderstudyError

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
    once = app.once(caller.project_id, key)
    kept = await run_in_threadpool(once.begin, fingerprint, request.app.state.idempotency_lifetime)
    if kept is not None:
        return Response(kept.body or None, kept.status, headers={REPLAYED: "true"}, media_type=kept.media_type)
    request.state.made_id = once.made_id
    settle = once.release
    try:
        response = await handle(request)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            settle = partial(once.finish, _answer(response))
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


def _answer(response: Response) -> Answer:
    return Answer(response.status_code, bytes(response.body).decode(), response.headers.get("content-type"))
