"""What dialects without a framework need of ASGI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

REQUEST_ID: Final = "understudy.request_id"
"""Where the server leaves a request's name in the scope; the same is in its log and in `X-Request-Id`."""


class Matched(NamedTuple):
    """Set as the request's route, so that metrics name the template."""

    path: str


async def serve(answer: Callable[[Scope, bytes], Response], scope: Scope, receive: Receive, send: Send) -> None:
    """Read a request to its end, let `answer` work on it in a thread, and send what it says.

    Whoever goes away before all of it is here gets nothing, and nothing is done.
    """
    if scope["type"] != "http":
        return
    try:
        body = await Request(scope, receive).body()
    except ClientDisconnect:
        return
    response = await run_in_threadpool(answer, scope, body)
    await response(scope, receive, send)


def request_id_of(scope: Scope) -> str:
    return str(scope.get(REQUEST_ID, ""))


def json_bytes(content: Mapping[str, object]) -> bytes:
    """Compact JSON in UTF-8; lone surrogates become `?`."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
