"""The MetaStudio API as one ASGI application, to be mounted at PREFIX.

No framework stands between the socket and the signature: path, query, headers and body are checked as they came, and
nothing is ever redirected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from orchestrator.app.app import App
from orchestrator.dialects.common.asgi import Matched, json_bytes, serve
from orchestrator.dialects.common.faults import SERVER_ERROR, Fault, guarded
from orchestrator.dialects.common.received import Received
from orchestrator.dialects.metastudio import errors
from orchestrator.dialects.metastudio.access import Access
from orchestrator.dialects.metastudio.operation import Asked, Bytes, Operation
from orchestrator.dialects.metastudio.operations import OPERATIONS
from orchestrator.domain.downloads import OPAQUE, attachment
from orchestrator.ports.visit import Visit, visit_of

PREFIX: Final = "/v1"
_PROJECT: Final = "project_id"


class MetaStudio:
    """Every operation over the same use cases."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._access = Access(app)
        # literals before placeholders: `batch-action` is no asset id
        ordered = sorted(OPERATIONS, key=lambda o: [part.startswith("{") for part in o.segments])
        self._routes = [(operation.segments, operation) for operation in ordered]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._answer, scope, receive, send)

    def _answer(self, scope: Scope, body: bytes) -> Response:
        path = scope.get("raw_path", b"").partition(b"?")[0]
        received = Received(scope["method"], path, scope["query_string"], scope["headers"], body)
        try:
            operation, values = self._routed(received)
        except Fault as fault:
            return _refused(fault)
        scope["route"] = Matched(operation.path)
        return guarded(
            lambda: _answered(self._done(operation, values, received, visit_of(scope))),
            lambda error: errors.fault_of(error, operation.group), _refused, errors.internal(),
            method=received.method, path=scope["path"],
        )  # fmt: skip

    def _routed(self, received: Received) -> tuple[Operation, Mapping[str, str]]:
        segments = [unquote(part.decode("latin-1")) for part in received.path.split(b"/")[2:]]  # "", "v1", ...
        known = False
        for template, operation in self._routes:
            if (path := _matched(template, segments)) is not None:
                known = True
                if operation.method == received.method:
                    return operation, path
        raise errors.no_such_method() if known else errors.no_such_url()

    def _done(
        self, operation: Operation, path: Mapping[str, str], received: Received, visit: Visit
    ) -> Mapping[str, object] | Bytes | None:
        caller = self._access.caller(received, visit, path.get(_PROJECT))
        query = [
            (unquote(name), unquote(value))
            for name, _, value in (pair.partition("=") for pair in received.query.decode("latin-1").split("&") if pair)
        ]
        if any("\0" in text for text in (*path.values(), *(each for pair in query for each in pair))):
            raise operation.group.query.fault("NUL characters are not allowed")
        return operation.handler(self._app, Asked(caller, path, query, received.body, operation.group))


def _matched(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    found: dict[str, str] = {}
    for wanted, value in zip(template, segments, strict=True):
        if wanted.startswith("{") and value:
            found[wanted[1:-1]] = value
        elif wanted != value:
            return None
    return found


def _answered(answer: Mapping[str, object] | Bytes | None) -> Response:
    if answer is None:
        return Response(status_code=200)
    if isinstance(answer, Bytes):
        headers = {"Content-Length": str(answer.size_bytes), "Content-Disposition": attachment(answer.name)}
        return StreamingResponse(answer.pieces, media_type=OPAQUE, headers=headers)
    return _json(200, answer)


def _refused(fault: Fault) -> Response:
    response = _json(fault.status, errors.body(fault))
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return response


def _json(status: int, content: Mapping[str, object]) -> Response:
    return Response(json_bytes(content), status, media_type="application/json")


def refused_at_the_edge(_scope: Scope, status: int, why: str) -> Response:
    """What the server itself refuses, in the vendor's form."""
    fault = errors.bad_body(why) if status < SERVER_ERROR else errors.internal()
    return _refused(fault)
