"""Elements of EBML (Matroska, WebM), read from bytes already in hand."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.adapters.media.findings import corrupt, over_limit

MAX_ELEMENTS: Final = 5000
UNKNOWN: Final = -1  # the size of an element whose writer did not know it yet
_FLOAT_BYTES: Final = {4: ">f", 8: ">d"}
MAX_DURATION: Final = 10.0**12


@dataclass(frozen=True, slots=True)
class Element:
    """One element: `head` is where its header begins, [start, end) its body; `end` is -1 when the size is unknown."""

    id: int
    head: int
    start: int
    end: int


def read_id(data: bytes, at: int) -> tuple[int, int] | None:
    """(id with its marker, bytes used), None where there is none."""
    if at >= len(data) or not data[at]:
        return None
    length = 9 - data[at].bit_length()
    if length > 4 or at + length > len(data):
        return None
    return int.from_bytes(data[at : at + length], "big"), length


def read_size(data: bytes, at: int) -> tuple[int, int] | None:
    """(size or UNKNOWN, bytes used), None where there is none."""
    if at >= len(data) or not data[at]:
        return None
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        return None
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (UNKNOWN if value == (1 << 7 * length) - 1 else value), length


def read_header(data: bytes, at: int) -> Element | None:
    """The element that begins at `at`, None where none can."""
    if (kind := read_id(data, at)) is None or (size := read_size(data, at + kind[1])) is None:
        return None
    start = at + kind[1] + size[1]
    return Element(kind[0], at, start, UNKNOWN if size[0] == UNKNOWN else start + size[0])


def bounds(data: bytes, at: int) -> tuple[int, int, int] | None:
    """(id, start, end) of the element that begins at `at`: as `read_header`, at a third of its time for short ids."""
    if at + 5 < len(data) and data[at] >= 0x80 and (first := data[at + 1]) >= 0x10:
        if first >= 0x80:
            return data[at], at + 2, UNKNOWN if first == 0xFF else at + first - 0x7E
        length = 9 - first.bit_length()
        start, mask = at + 1 + length, (1 << 7 * length) - 1
        size = int.from_bytes(data[at + 1 : start], "big") & mask
        return data[at], start, UNKNOWN if size == mask else start + size
    element = read_header(data, at)
    return None if element is None else (element.id, element.start, element.end)


def written(kind: int, *parts: bytes) -> bytes:
    """An element of ours."""
    body = b"".join(parts)
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (1 << 56 | len(body)).to_bytes(8, "big") + body


def children(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Element]:
    """Elements that fill [start, end). Raises Unusable when one does not fit or there are too many."""
    end = len(data) if end is None else end
    at = start
    for _ in range(MAX_ELEMENTS):
        if at >= end:
            return
        element = read_header(data, at)
        if element is None or element.end == UNKNOWN or element.end > end:
            raise corrupt(f"an element at byte {at} does not fit its parent")
        yield element
        at = element.end
    if at < end:
        raise over_limit("elements", MAX_ELEMENTS + 1, MAX_ELEMENTS)


def unsigned(data: bytes, element: Element) -> int:
    if element.end - element.start > 8:
        raise corrupt("a number of more than 8 bytes")
    return int.from_bytes(data[element.start : element.end], "big")


def number(data: bytes, element: Element) -> float | None:
    """A float, None for what cannot be a length: NaN, infinite, negative, absurd."""
    layout = _FLOAT_BYTES.get(element.end - element.start)
    if layout is None:
        return None
    value = float(struct.unpack_from(layout, data, element.start)[0])
    return value if math.isfinite(value) and 0 < value <= MAX_DURATION else None


def text(data: bytes, element: Element) -> str:
    return data[element.start : min(element.end, element.start + 64)].split(b"\0")[0].decode("latin-1")
