"""Which public API a request is for: by path, but for IMS, whose actions all go to the root and say who they are."""

from __future__ import annotations

import re

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.dialects.ims.app import Ims, is_for_us
from orchestrator.dialects.ims.app import refused_at_the_edge as in_the_form_of_ims
from orchestrator.dialects.metastudio.app import PREFIX as METASTUDIO_PREFIX
from orchestrator.dialects.metastudio.app import refused_at_the_edge as in_the_form_of_metastudio
from orchestrator.http.edge import Form


class ActionRoute(BaseRoute):
    """Takes every request that names an action, before any path is looked at."""

    def __init__(self, app: Ims) -> None:
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" and is_for_us(scope) else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class WholeMount(Mount):
    """Takes every path below its prefix: that of Starlette leaves those with a line end in them to nobody's 404."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def form_of(scope: Scope) -> Form | None:
    """How errors of a request are written; None: problem+json."""
    if is_for_us(scope):
        return in_the_form_of_ims
    return in_the_form_of_metastudio if scope["path"].startswith(f"{METASTUDIO_PREFIX}/") else None
