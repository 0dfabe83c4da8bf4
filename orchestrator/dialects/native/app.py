"""The native API as one ASGI application, to be mounted at PREFIX."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from orchestrator.app.app import App
from orchestrator.dialects.native import problems
from orchestrator.dialects.native.routes import assets, files, jobs, media, operate, people
from orchestrator.domain.errors import UnderstudyError

PREFIX: Final = "/api/v1"


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str


def create_native(app: App, *, version: str = "1", idempotency_lifetime: timedelta = timedelta(hours=24)) -> FastAPI:
    """The API over these use cases. Its OpenAPI document is at `/openapi.json` below the prefix.

    Args:
        idempotency_lifetime: answers to `Idempotency-Key` are kept for so long.
    """
    told = {"model": Problem, "content": {problems.MEDIA_TYPE: {}}, "description": "A problem document"}
    api = FastAPI(
        title="Understudy",
        version=version,
        docs_url=None,  # its pages load scripts from strangers
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": told, "5XX": told},
    )
    api.state.understudy = app
    api.state.idempotency_lifetime = idempotency_lifetime
    api.add_exception_handler(UnderstudyError, problems.on_error)
    api.add_exception_handler(RequestValidationError, problems.on_invalid_request)
    api.add_exception_handler(HTTPException, problems.on_http_error)
    api.add_exception_handler(Exception, problems.on_bug)
    for part in (jobs, files, people, assets, media, operate):
        api.include_router(part.router)
    return api
