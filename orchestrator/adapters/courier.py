"""Writes small files over HTTP to stores that the operator allowed, and to nothing else.

Addresses come from strangers, so nothing of them is believed: scheme, host and port have to be those of an allowed
prefix, the path has to lie below it, redirects are not followed, what is answered is not read, and proxies of the
environment are not used. The library that judges the address is the one that connects.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import httpx

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ports.courier import NotDelivered

TIMEOUT_S: Final = 10.0
_SIGNED_OLD: Final = "Signature"  # the parameter of S3's version 2 and of OSS's version 1
_PORTS: Final = {"http": 80, "https": 443}
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class HttpCourier:
    """Puts to allowed addresses.

    Args:
        allowed: prefixes such as `https://bucket.oss-cn-shanghai.aliyuncs.com/thumbnails/`; a path ends at a slash.

    Raises:
        Invalid: one of them is no http(s) address of a host.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = [_prefix(text) for text in allowed]

    def put(self, url: str, content: bytes, content_type: str) -> None:
        """Write `content` to `url`. Raises NotDelivered, or Unavailable for what may go better later."""
        target = self._checked(url)
        # older signatures cover the Content-Type, which whoever signed the address has left empty
        headers = {} if _SIGNED_OLD in target.params else {"Content-Type": content_type}
        try:
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S) as http,
                http.stream("PUT", target, content=content, headers=headers) as answer,
            ):
                status = answer.status_code
        except httpx.HTTPError as exc:
            # without the cause's text: it may hold the address, which may hold a signature
            raise Unavailable(f"the store at {target.host} does not answer: {type(exc).__name__}") from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            raise Unavailable(f"the store at {target.host} answers {status}")
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotDelivered(f"the store at {target.host} answers {status}")

    def _checked(self, text: str) -> httpx.URL:
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise NotDelivered("the address of the thumbnail cannot be read") from None
        path = url.raw_path.partition(b"?")[0].decode("latin-1")
        if url.userinfo or not _is_plain(text, path):
            raise NotDelivered("the address of the thumbnail is no plain http or https address")
        origin = (url.scheme, url.host.lower(), url.port or _PORTS.get(url.scheme))
        for *allowed, below in self._allowed:
            if origin == tuple(allowed) and path.startswith(below) and len(path) > len(below):
                return url
        raise NotDelivered(f"{url.host or 'that'} is no store in which the operator allows thumbnails")


def _is_plain(text: str, path: str) -> bool:
    """No sign that two readers might read in two ways, and no way up, however often encoded."""
    decoded, before = path, ""
    while decoded != before:
        decoded, before = unquote(decoded), decoded
    return (
        text.isascii()
        and text.isprintable()
        and not any(sign in text for sign in " \\#<>\"'{}|^`")
        and "\\" not in decoded
        and not {".", ".."}.intersection(decoded.split("/"))
    )


def _prefix(text: str) -> tuple[str, str, int, str]:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise Invalid(f"{text!r} is no address of a store") from None
    if url.scheme not in _PORTS or not url.host or url.userinfo or url.query or url.fragment:
        raise Invalid(f"{text!r} is no address of a store: write https://host/ or https://host/folder/")
    path = url.raw_path.decode("latin-1")
    below = path if path.endswith("/") else f"{path}/"
    return url.scheme, url.host.lower(), url.port or _PORTS[url.scheme], below
