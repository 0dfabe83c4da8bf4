"""What a stage command may say on its standard output: JSON lines among any other text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

LINE_LIMIT_BYTES: Final = 64 * 1024
MESSAGE_LIMIT: Final = 500
METRICS_LIMIT: Final = 64
_NAME_LIMIT: Final = 64
_WORDS: Final = frozenset({"progress", "message", "metrics", "error"})


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the protocol. Parts that made no sense are left out."""

    progress: float | None = None
    message: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


def parse(line: bytes) -> Said | None:
    """The line as a word of the protocol, None when it is any other text."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not _WORDS & value.keys():
        return None
    progress = _number(value.get("progress"))
    metrics = value.get("metrics")
    return Said(
        progress=progress if progress is not None and 0 <= progress <= 1 else None,
        message=_text(value.get("message")),
        metrics=_metrics(metrics) if isinstance(metrics, dict) else {},
        error=_text(value.get("error")),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str | None:
    # NUL is the one character that PostgreSQL's text cannot hold; lone surrogates have no UTF-8.
    if not isinstance(value, str):
        return None
    return value[:MESSAGE_LIMIT].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _metrics(values: Mapping[str, object]) -> dict[str, float]:
    pairs = ((name[:_NAME_LIMIT], _number(value)) for name, value in values.items())
    good = [(_text(name) or "", number) for name, number in pairs if number is not None]
    return dict(good[:METRICS_LIMIT])


class Lines:
    """Cuts a stream into lines; pieces of a line above LINE_LIMIT_BYTES come as they are, marked as text."""

    def __init__(self) -> None:
        self._rest = b""
        self._in_long_line = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Pairs of (bytes with their line end, whether they are one whole line)."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield line + b"\n", not self._in_long_line and len(line) <= LINE_LIMIT_BYTES
            self._in_long_line = False
        if len(self._rest) > LINE_LIMIT_BYTES:
            yield self._rest, False
            self._rest, self._in_long_line = b"", True

    def end(self) -> Iterator[tuple[bytes, bool]]:
        """What came after the last line end."""
        if self._rest:
            yield self._rest, not self._in_long_line
            self._rest = b""
