"""What dialects without a framework need of ASGI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.types import Scope

REQUEST_ID: Final = "understudy.request_id"
"""Where the server leaves a request's name in the scope; the same is in its log and in `X-Request-Id`."""


class Matched(NamedTuple):
    """Set as the request's route, so that metrics name the template."""

    path: str


def request_id_of(scope: Scope) -> str:
    return str(scope.get(REQUEST_ID, ""))


def json_bytes(content: Mapping[str, object]) -> bytes:
    """Compact JSON in UTF-8; lone surrogates become `?`."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
