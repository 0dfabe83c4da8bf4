"""Does a JPEG hold the picture that its header promises? The decoder would paint what is missing and say nothing.

Noise behind the last coded byte must change nothing: otherwise the decoder went on where the picture had ended.
Noise in place of the last coded bytes must change something: otherwise the decoder stopped before the picture's end.
"""

from __future__ import annotations

import io
import random
import re
import struct
from typing import Final

from PIL import Image

_SCAN: Final = b"\xff\xda"
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # what ends the coded bytes of a scan
_RESTART: Final = re.compile(rb"(\xff[\xd0-\xd7])")
_HUFFMAN: Final = frozenset({0xC0, 0xC1, 0xC2})
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_MAX_SEGMENTS: Final = 2000
_NOISE: Final = random.Random(1).randbytes(1 << 16).replace(b"\xff", b"\x5a")  # noqa: S311 - no secret
_TAIL_SHARE: Final = 8  # of the first scan's bytes, one in so many is tried
_LEAST_TAIL_BYTES: Final = 256  # fewer may hold so little that noise looks the same
_END: Final = b"\xff\xd9"
_MARKER_BEGIN: Final = 0xFF


def scans(data: bytes) -> int:
    """How often the decoder would have to go over the picture, at most."""
    return data.count(_SCAN)


def is_what_it_says(data: bytes) -> bool:
    """Whether the first scan has as many coded bytes as the size in the header asks for. True where that is not known.

    Args:
        data: a whole file that has been decoded.
    """
    found = _first_scan(data)
    if found is None:
        return True
    start, end, restarts = found
    coded = data[start:end]
    marker = bytes((0xFF, 0xD0 + len(_RESTART.findall(coded)) % 8)) if restarts else b""
    shown = _picture(data[:end] + _END)
    if _picture(data[:end] + marker + _NOISE + _END) not in {shown, None}:
        return False
    tail = len(coded) // _TAIL_SHARE
    if tail < _LEAST_TAIL_BYTES:
        return True
    tail += coded[-tail - 1] == _MARKER_BEGIN  # not between the two bytes of a marker
    noise = _NOISE * (tail // len(_NOISE) + 1)
    pieces = _RESTART.split(coded[-tail:])
    changed = b"".join(piece if index % 2 else noise[: len(piece)] for index, piece in enumerate(pieces))
    return shown != _picture(data[: end - tail] + changed + _END)


def _first_scan(data: bytes) -> tuple[int, int, bool] | None:
    """(start of its coded bytes, their end, whether restart markers are among them), None for what we do not read."""
    at, restarts, known = 2, False, False
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        kind = data[at + 1]
        if kind == 0xFF or kind in _NO_LENGTH:
            at += 1 if kind == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        known = known or kind in _HUFFMAN
        if kind == 0xDD and length == 4:
            restarts = data[at + 4 : at + 6] != b"\0\0"
        at += 2 + length
        if kind == 0xDA:
            end = _MARKER.search(data, at)
            return (at, end.start(), restarts) if known and end is not None else None
    return None


def _picture(data: bytes) -> bytes | None:
    """Its brightness at an eighth of its size, the cheapest in which every coded block is seen; None for no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
            return image.convert("L").tobytes()
    except OSError:
        return None
