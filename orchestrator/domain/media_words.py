"""How measured values are said in messages."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

NAMES: Final = MappingProxyType(
    {
        "mp4": "MP4",
        "mov": "MOV",
        "webm": "WebM",
        "matroska": "Matroska",
        "jpeg": "JPEG",
        "png": "PNG",
        "webp": "WebP",
        "pdf": "PDF",
        "m4a": "M4A",
        "ogg": "Ogg",
        "heif": "HEIF (a picture)",
        "avif": "AVIF (a picture)",
    }
)


def named(container: str) -> str:
    """`mp4` as people write it: MP4."""
    return NAMES.get(container, container.upper())


def any_of(words: Iterable[str]) -> str:
    """`MP4, MOV or WebM`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def clock(seconds: float) -> str:
    """`4:12.480`, `1:02:00`; the fraction only where there is one."""
    total_ms = round(seconds * 1000)
    total, ms = divmod(total_ms, 1000)
    minutes, s = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
    return f"{text}.{ms:03}" if ms else text


def size(width_height: tuple[int, int]) -> str:
    """`1920x1080` with the multiplication sign."""
    return f"{width_height[0]}\N{MULTIPLICATION SIGN}{width_height[1]}"


def amount(count: int) -> str:
    """`1.2 GB`: decimal units, as file managers and browsers show them."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":  # noqa: PLR2004 - the step between decimal units
            break
        value /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
