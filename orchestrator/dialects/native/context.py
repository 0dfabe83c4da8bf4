"""What a handler is given: the use cases, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from orchestrator.app.app import App
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.errors import Forbidden, Unauthenticated
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


def needs(role: Role) -> Callable[[Caller], Caller]:
    """A caller who has at least `role`."""

    async def check(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if not caller.has(role):
            raise Forbidden(f"this needs the role {role}, this key has {caller.role}")
        return caller

    return check  # type: ignore[return-value]  # FastAPI awaits it


def _caller(request: Request, _shown: Annotated[object, Depends(_BEARER)]) -> Caller:
    """With the scheme that the OpenAPI document tells of."""
    return caller_of(request)


AppDep = Annotated[App, Depends(_app)]
CallerDep = Annotated[Caller, Depends(_caller)]
AdminDep = Annotated[Caller, Depends(needs(Role.ADMIN))]
OperatorDep = Annotated[Caller, Depends(needs(Role.OPERATOR))]
PathId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
