"""Boxes of an ISO base media file, read from bytes already in hand. Nothing is believed: every size is checked."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import byteorder
from typing import Final

from orchestrator.adapters.media.findings import corrupt, over_limit

MAX_BOXES: Final = 50_000
MAX_SAMPLES: Final = 2_000_000
HEADER_BYTES: Final = 8
LARGE_HEADER_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Box:
    """One box; `start` and `end` bound its body inside the bytes it was found in."""

    kind: bytes
    start: int
    end: int

    @property
    def name(self) -> str:
        return self.kind.decode("latin-1").strip()


@dataclass(slots=True)
class Boxes:
    """Finds boxes in `data`; counts them, so that a header made of a million empty boxes ends early."""

    data: bytes
    seen: int = field(default=0)

    def children(self, start: int, end: int) -> Iterator[Box]:
        """Boxes that fill [start, end). Raises Unusable when one does not fit."""
        at = start
        while at + HEADER_BYTES <= end:
            self.seen += 1
            if self.seen > MAX_BOXES:
                raise over_limit("boxes", self.seen, MAX_BOXES)
            size, kind = struct.unpack_from(">I4s", self.data, at)
            head = HEADER_BYTES
            if size == 1 and at + LARGE_HEADER_BYTES <= end:
                size, head = struct.unpack_from(">Q", self.data, at + 8)[0], LARGE_HEADER_BYTES
            if size == 0:
                if kind == b"\0\0\0\0":  # QuickTime ends some lists with a zero
                    return
                size = end - at
            box = Box(kind, at + head, at + size)
            if size < head or box.end > end:
                raise corrupt(f"box {box.name!r} does not fit its parent")
            yield box
            at = box.end

    def lenient(self, start: int, end: int) -> list[Box]:
        """Boxes up to the first that makes no sense: for the tails of sample entries, where writers are careless."""
        out: list[Box] = []
        at = start
        while at + HEADER_BYTES <= end and len(out) < 64:
            size, kind = struct.unpack_from(">I4s", self.data, at)
            if size < HEADER_BYTES or at + size > end:
                break
            out.append(Box(kind, at + HEADER_BYTES, at + size))
            at += size
        return out

    def first(self, parent: Box, *path: bytes) -> Box | None:
        """The first box along a path of kinds, None when there is none."""
        box: Box | None = parent
        for kind in path:
            if box is None:
                return None
            box = next((each for each in self.children(box.start, box.end) if each.kind == kind), None)
        return box

    def body(self, box: Box, most: int) -> bytes:
        """The box's content, at most the first `most` bytes."""
        return self.data[box.start : min(box.end, box.start + most)]

    def unpack(self, layout: str, box: Box, offset: int) -> tuple[int, ...]:
        """Numbers at an offset of the box's body. Raises Unusable when the box is too short."""
        if box.start + offset + struct.calcsize(layout) > box.end:
            raise corrupt(f"box {box.name!r} is too short")
        return struct.unpack_from(layout, self.data, box.start + offset)

    def table(self, box: Box, columns: int, what: str, *, wide: bool = False, most: int = MAX_SAMPLES) -> array[int]:
        """A full box's counted table of 32 bit (or 64 bit) columns, flat. Count and length are checked first."""
        (count,) = self.unpack(">I", box, 4)
        if count > most:
            raise over_limit(what, count, most)
        return self.numbers(box, 8, count * columns, wide=wide)

    def numbers(self, box: Box, offset: int, count: int, *, wide: bool = False) -> array[int]:
        """`count` big-endian numbers from an offset of the box's body."""
        out = array("Q" if wide else "I")
        start = box.start + offset
        stop = start + count * out.itemsize
        if stop > box.end:
            raise corrupt(f"table {box.name!r} is shorter than its count")
        out.frombytes(self.data[start:stop])
        if byteorder == "little":
            out.byteswap()
        return out
