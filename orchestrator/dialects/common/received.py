"""A request as it came, for the check of signatures: nothing decoded, nothing put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NotSigned(ValueError):
    """The request cannot be verified; the text says why, in words for the log."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came over the wire.

    Attributes:
        path: of the request target, percent-encoded, without the query.
        headers: names in lower case.
    """

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header as text (UTF-8, else Latin-1), None without it. Raises NotSigned for two of them."""
        found = [value for key, value in self.headers if key == name.encode()]
        if len(found) > 1:
            raise NotSigned(f"the header {name} came {len(found)} times")
        return _text(found[0]) if found else None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
