"""The IMS API as one ASGI application: every action is a request to `/`, named by a header or a parameter.

No framework stands between the socket and the signature: query, headers and body are checked as they came, and nothing
is ever redirected.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from orchestrator.app.app import App
from orchestrator.dialects.common.asgi import Matched, json_bytes, request_id_of, serve
from orchestrator.dialects.common.faults import SERVER_ERROR, Fault, NotAdmitted, guarded
from orchestrator.dialects.common.received import NotSigned, Received
from orchestrator.dialects.ims import errors, signing
from orchestrator.dialects.ims.access import caller_of
from orchestrator.dialects.ims.operation import AnyOperation
from orchestrator.dialects.ims.operations import OPERATIONS
from orchestrator.ports.visit import visit_of

VERSION: Final = "2020-11-09"
_ACTION_HEADER: Final = b"x-acs-action"
_MEDIA_TYPE: Final = "application/json;charset=utf-8"


def is_for_us(scope: Scope) -> bool:
    """Whether a request is of this API: it names its action, or goes to the root as a POST."""
    if any(name == _ACTION_HEADER for name, _ in scope["headers"]):
        return True
    if scope["path"] != "/":
        return False
    return scope["method"] == "POST" or any(name == b"Action" for name, _ in signing.pairs_of(scope["query_string"]))


class Ims:
    """Every operation over the same use cases."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._operations: Mapping[str, AnyOperation] = {operation.name: operation for operation in OPERATIONS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(self._answer, scope, receive, send)

    def _answer(self, scope: Scope, body: bytes) -> Response:
        received = Received(scope["method"], scope.get("raw_path", b""), scope["query_string"], scope["headers"], body)
        return guarded(
            lambda: _answered(scope, 200, self._done(scope, received)), errors.fault_of,
            lambda fault: _refused(scope, fault), errors.internal(), method=received.method, path=scope["path"],
        )  # fmt: skip

    def _done(self, scope: Scope, received: Received) -> Mapping[str, object]:
        try:
            pairs = signing.parameters_of(received)
            action = _named(received, pairs, "x-acs-action", b"Action")
            version = _named(received, pairs, "x-acs-version", b"Version")
        except NotSigned as exc:
            raise errors.incomplete(str(exc)) from exc
        operation = self._operations.get(action)
        scope["route"] = Matched(f"/?Action={operation.name}" if operation is not None else "/")
        if operation is None:
            raise errors.no_such_action(action)
        if version != VERSION:
            raise errors.no_such_version(version, VERSION)
        if received.method not in {"POST", "GET"}:
            raise errors.no_such_method(received.method)
        caller = visit_of(scope).sign_in(lambda: caller_of(self._app, received, action, version), NotAdmitted)
        return operation.run(self._app, caller, pairs)


def refused_at_the_edge(scope: Scope, status: int, why: str) -> Response:
    """What the server itself refuses, in the vendor's form."""
    fault = Fault(status, errors.INVALID, why) if status < SERVER_ERROR else errors.internal()
    return _refused(scope, fault)


def _named(received: Received, pairs: list[tuple[bytes, bytes]], header: str, parameter: bytes) -> str:
    """From the header, else from the parameter; empty without both."""
    told = received.header(header)
    if told is None:
        told = next((value.decode("utf-8", "replace") for name, value in pairs if name == parameter), "")
    return told


def _answered(scope: Scope, status: int, content: Mapping[str, object]) -> Response:
    request_id = _request_id(scope)
    body = json_bytes({"RequestId": request_id, **content})
    return Response(body, status, {"Content-Type": _MEDIA_TYPE, "x-acs-request-id": request_id})


def _refused(scope: Scope, fault: Fault) -> Response:
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    response = _answered(scope, fault.status, errors.body(fault, _request_id(scope), host))
    if fault.retry_after_s is not None:
        response.headers["x-acs-retry-after"] = str(max(1, fault.retry_after_s * 1000))
    return response


def _request_id(scope: Scope) -> str:
    """The request's name in our log, in the vendor's form: an upper-case UUID."""
    name = request_id_of(scope)
    try:
        return str(uuid.UUID(name)).upper()
    except ValueError:  # the client gave another name, which the log and X-Request-Id keep
        return str(uuid.uuid5(uuid.NAMESPACE_OID, name)).upper()
