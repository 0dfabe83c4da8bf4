"""Plain addresses of objects in one bucket, as people write them, to keys and back. Pure text: nothing is asked."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from orchestrator.adapters.s3.options import S3Options

_SCHEMES: Final = {"oss", "s3"}
_PORTS: Final = {"http": 80, "https": 443}
# How Alibaba's store is addressed from outside, inside and by acceleration; a bucket that moved here keeps its name.
_VENDOR: Final = re.compile(r"^oss-[a-z0-9-]+\.aliyuncs\.com$")


def key_of(options: S3Options, address: str) -> str | None:
    """See the port `Storage`."""
    scheme, _, rest = address.partition("://")
    if any(letter in address for letter in "?#"):
        return None
    if scheme.lower() in _SCHEMES:
        # the key is plain text here, as the vendor's tools write it
        bucket, _, key = rest.partition("/")
        return key if bucket == options.bucket and key else None
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or port is None or parts.username is not None:
        return None
    return _key_at((parts.hostname or "").lower(), port, parts.path.removeprefix("/"), options)


def _key_at(host: str, port: int, path: str, options: S3Options) -> str | None:
    own = f"{options.bucket}."
    known = {host_of for host_of, port_of in _endpoints(options) if port_of == port}
    is_vendors = port in _PORTS.values() and _VENDOR.match(host.removeprefix(own)) is not None
    if host.startswith(own) and (host.removeprefix(own) in known or is_vendors):
        return _text(path)
    bucket, _, key = path.partition("/")
    return _text(key) if host in known and bucket == options.bucket else None


def address_of(options: S3Options, key: str) -> str:
    """See the port `Storage`."""
    return f"oss://{options.bucket}/{key}"


def _endpoints(options: S3Options) -> set[tuple[str, int]]:
    found = set()
    for endpoint in (options.endpoint, options.public_endpoint):
        if endpoint:
            parts = urlsplit(endpoint)
            found.add(((parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]))
    if not options.endpoint:  # AWS: boto3 knows it by the region
        found |= {(f"s3.{options.region}.amazonaws.com", 443), ("s3.amazonaws.com", 443)}
    return found


def _text(path: str) -> str | None:
    """The key of a quoted path; None for bytes that are no text."""
    try:
        return unquote_to_bytes(path).decode() or None
    except UnicodeDecodeError:
        return None
