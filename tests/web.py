"""HTTP as tests speak it: no proxy, and no TLS, whose certificates every client of httpx reads anew in 20 ms."""

from __future__ import annotations

import ssl
from functools import partial
from typing import Any, Final

import httpx

_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_DIRECT: Final[dict[str, Any]] = {"trust_env": False, "verify": _NO_CERTIFICATES}


def client(**options: Any) -> httpx.Client:
    """Requests on connections that are kept."""
    return httpx.Client(**_DIRECT, **options)


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """One request on a connection of its own."""
    return httpx.request(method, url, **_DIRECT, **options)


get = partial(request, "GET")
post = partial(request, "POST")
put = partial(request, "PUT")
