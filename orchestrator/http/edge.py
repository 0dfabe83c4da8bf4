"""What every request passes through: a name, a size limit, strict headers, one line of log, and no stack traces."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.dialects.common.asgi import REQUEST_ID as REQUEST_ID_IN_SCOPE
from orchestrator.dialects.native import problems
from orchestrator.http.limits import RateLimits
from orchestrator.ports.visit import IN_SCOPE

REQUEST_ID: Final = "X-Request-Id"
_REQUEST_ID: Final = REQUEST_ID.lower().encode()
_GIVEN_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")
# Strict for answers that are data; an application that serves pages sets its own.
STRICT: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_STRICT: Final = tuple((name.lower().encode(), value.encode()) for name, value in STRICT.items())
_ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503

log = structlog.get_logger()

Observe = Callable[[str, str, int, float], None]
"""Told of every request: method, route template, status, seconds."""


Form = Callable[[Scope, int, str], Response]
"""How an API with words of its own writes an error: of a request, a status and a sentence."""

FormOf = Callable[[Scope], Form | None]
"""The form of the API that a request is for; None: problem+json."""


class Edge:
    """ASGI middleware, outermost.

    Args:
        body_limit: bytes of a request's body.
        observe: for metrics.
        limits: of keys and addresses; the APIs ask them when somebody signs in.
        form_of: how errors are written.
    """

    def __init__(self, app: ASGIApp, *, body_limit: int, observe: Observe, limits: RateLimits, form_of: FormOf) -> None:
        self._app = app
        self._body_limit = body_limit
        self._observe = observe
        self._limits = limits
        self._form_of = form_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[IN_SCOPE] = self._limits.visit(_address(scope))
        await _Exchange(scope, receive, send, self._body_limit, self._form_of(scope)).run(self._app, self._observe)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_limit: int, form: Form | None) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit = body_limit
        self._form = form
        self._got_bytes = 0
        self._is_too_large = False
        self._status: int | None = None
        self._headers = Headers(scope=scope)
        given = self._headers.get(REQUEST_ID, "")
        self._id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope[REQUEST_ID_IN_SCOPE] = self._id

    async def run(self, app: ASGIApp, observe: Observe) -> None:
        began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self._id)
        try:
            if self._told_too_large():
                await self._refuse_size()
            else:
                await app(self._scope, self._limited, self._answer)
                if self._is_too_large:
                    await self._refuse_size()
        except asyncio.CancelledError:
            # the process ends before the request does: whoever asked may ask again, elsewhere or in a moment
            await self._problem(_UNAVAILABLE, "unavailable", "the API is going down; ask again")
            raise
        except Exception:
            log.exception("request failed", method=self._scope["method"], path=self._scope["path"])
            await self._problem(_SERVER_ERROR, problems.BUG, problems.BUG_DETAIL)
        finally:
            seconds = time.perf_counter() - began
            status = self._status or _SERVER_ERROR
            route = route_of(self._scope)
            observe(self._scope["method"], route, status, seconds)
            # the path, never the query: other APIs carry signatures there
            log.info(
                "request",
                method=self._scope["method"],
                path=self._scope["path"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                client=_address(self._scope),
            )

    def _told_too_large(self) -> bool:
        told = self._headers.get("Content-Length", "")
        return told.isdecimal() and int(told[:20]) > self._limit

    async def _limited(self) -> Message:
        message = await self._receive()
        self._got_bytes += len(message.get("body", b""))
        if self._got_bytes > self._limit and self._status is None:
            self._is_too_large = True
            return {"type": "http.disconnect"}  # whoever reads gives up; what it then answers is not sent
        return message

    async def _answer(self, message: Message) -> None:
        if not self._is_too_large:
            await self._send_out(message)

    async def _send_out(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = self._with_ours(message.get("headers", ()))
        await self._send(message)

    def _with_ours(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = [header for header in given if header[0] != _REQUEST_ID]
        names = {name for name, _ in headers}
        ours = (*_STRICT, _ONLY_TLS) if self._scope.get("scheme") == "https" else _STRICT
        return [*headers, (_REQUEST_ID, self._id.encode()), *(each for each in ours if each[0] not in names)]

    async def _refuse_size(self) -> None:
        await self._problem(413, "body_too_large", f"the body has more than the {self._limit} bytes that are allowed")

    async def _problem(self, status: int, code: str, detail: str) -> None:
        if self._status is not None:
            return  # the answer is under way; the connection is closed instead
        if self._form is not None:
            response = self._form(self._scope, status, detail)
            response.headers["Connection"] = "close"
        else:
            response = problems.problem(Request(self._scope), status, code, detail, headers={"Connection": "close"})
        if status == _UNAVAILABLE:
            response.headers["Retry-After"] = str(problems.RETRY_AFTER_S)
        await response(self._scope, self._receive, self._send_out)


def _address(scope: Scope) -> str:
    """Who asks; behind trusted proxies what they say of it."""
    client = scope.get("client")
    return client[0] if client else ""


def route_of(scope: Scope) -> str:
    """The route's template, so that metrics have a bounded number of names."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return f"{scope.get('root_path', '')}{path}" if path is not None else "(none)"
