"""How durations, sizes and lists are written in configuration files and variables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_PERIODS: Final = {"second": 1, "minute": 60, "hour": 3600}
_RATE: Final = re.compile(r"(\d+)\s*/\s*(second|minute|hour)")
_SIZES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE: Final = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")


def duration(value: object) -> timedelta:
    """A duration such as "500ms", "30s", "10m", "24h" or "7d"."""
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write a number with its unit, such as 500ms, 30s, 10m, 24h or 7d")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def duration_text(value: timedelta) -> str:
    """The duration with the largest unit that keeps it a whole number."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{int(seconds / _UNITS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


def size(value: object) -> int:
    """A number of bytes, plain or as "512KiB", "64MiB", "5GiB"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text.isdecimal():
        return int(text)
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{value!r} is no size; write bytes, or a number with KiB, MiB or GiB")
    return int(found[1]) * _SIZES[found[2]]


def size_text(value: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return f"{value}B"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    count: int
    per_s: int

    def __str__(self) -> str:
        period = next(name for name, seconds in _PERIODS.items() if seconds == self.per_s)
        return f"{self.count}/{period}"


def rate(value: object) -> Rate | None:
    """A rate such as "100/second", "600/minute" or "5000/hour"; empty for none."""
    if value is None or isinstance(value, Rate):
        return value
    text = value.strip() if isinstance(value, str) else None
    if text == "":
        return None
    found = _RATE.fullmatch(text) if text is not None else None
    if found is None or not int(found[1]):
        raise ValueError(
            f"{value!r} is no rate; write such as 100/second, 600/minute or 5000/hour, or nothing for none"
        )
    return Rate(int(found[1]), _PERIODS[found[2]])


def rate_text(value: Rate | None) -> str:
    return "" if value is None else str(value)


def listed(value: object) -> object:
    """A list; in a variable or a flag its items stand between commas."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(duration_text)]
Bytes = Annotated[int, BeforeValidator(size), PlainSerializer(size_text)]
MaybeRate = Annotated[Rate | None, BeforeValidator(rate), PlainSerializer(rate_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(listed)]
