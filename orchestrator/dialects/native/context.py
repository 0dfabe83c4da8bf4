"""What a handler is given: the use cases, and who asks."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from orchestrator.app.app import App
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import Unauthenticated
from orchestrator.ports.visit import visit_of

_BEARER: Final = HTTPBearer(auto_error=False, description="A token of `understudy key create`.")


def caller_of(request: Request) -> Caller:
    """Who asks, by the bearer token. Raises Unauthenticated."""
    known: Caller | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("this needs a token: Authorization: Bearer TOKEN")
    app: App = request.app.state.understudy
    caller = visit_of(request.scope).sign_in(lambda: app.keys.caller_of_token(token.strip()), Unauthenticated)
    request.state.caller = caller
    return caller


async def _app(request: Request) -> App:
    app: App = request.app.state.understudy
    return app


def _caller(request: Request, _shown: Annotated[object, Depends(_BEARER)]) -> Caller:
    """With the scheme that the OpenAPI document tells of."""
    return caller_of(request)


AppDep = Annotated[App, Depends(_app)]
CallerDep = Annotated[Caller, Depends(_caller)]
PathId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
