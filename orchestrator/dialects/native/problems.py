"""Errors on the wire: problem+json (RFC 9457), one dict from our codes to statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.dialects.common.faults import SERVER_ERROR, row_of
from orchestrator.domain.errors import TooManyRequests, UnderstudyError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
BUG: Final = "internal"
BUG_DETAIL: Final = "something went wrong here; the log has it by the request id"

STATUSES: Final[Mapping[str, int]] = {
    "error": 400,
    "not_found": 404,
    "refused": 409,
    "invalid": 422,
    "unauthenticated": 401,
    "forbidden": 403,
    "too_many_requests": 429,
    "upload_error": 409,
    "upload_too_large": 422,
    "unavailable": 503,
}
"""Of a code, or of the nearest class above it that is here."""

log = structlog.get_logger()


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Response:
    """One problem document. `members` are further facts of it."""
    document = {
        "type": f"urn:understudy:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.url.path,
        **members,
    }
    body = to_json(document, fallback=str, inf_nan_mode="null")
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


async def on_error(request: Request, error: Exception) -> Response:
    """For everything that the core refuses or fails with."""
    assert isinstance(error, UnderstudyError)  # noqa: S101  registered for nothing else
    status = row_of(STATUSES, error)
    if status >= SERVER_ERROR:
        log.warning("request not served", code=error.code, message=error.message)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="understudy"'
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.details["retry_after_s"])
    return problem(request, status, error.code, error.message, headers=headers, details=dict(error.details))


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """For what does not fit the schema: every reason at once, without what was sent (it could be a secret)."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for nothing else
    reasons = [_reason(each) for each in error.errors()]
    detail = "; ".join(f"{reason['field']}: {reason['message']}" for reason in reasons)
    return problem(request, 422, "invalid", detail, errors=reasons)


def _reason(error: Mapping[str, Any]) -> dict[str, str]:
    location: Sequence[object] = error["loc"]
    where, *path = [str(part) for part in location]
    message = str(error["msg"]).removeprefix("Value error, ")
    return {"in": where, "field": ".".join(path) or where, "message": message}


async def on_http_error(request: Request, error: Exception) -> Response:
    """For what the router says: no such path, no such method, a body that is no JSON."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for nothing else
    code = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status_code, "invalid")
    return problem(request, error.status_code, code, str(error.detail), headers=error.headers)


async def on_bug(request: Request, _error: Exception) -> Response:
    """For everything that nobody foresaw: nothing of it is shown. Whoever serves this application logs it."""
    return problem(request, 500, BUG, BUG_DETAIL)
