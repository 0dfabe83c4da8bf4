"""Reading a big file by small ranges: blocks, a cache, and the file object FFmpeg reads through."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

BLOCK_BYTES: Final = 16 * 1024
CACHE_BYTES: Final = 24 * 1024 * 1024
MAX_AHEAD_BYTES: Final = 512 * 1024
WHOLE_STEP_BYTES: Final = 4 * 1024 * 1024

Fetch = Callable[[int, int], bytes]
Piece = bytes | tuple[int, int]  # bytes of ours, or (offset, length) in the file


class Reader:
    """Ranges of a file through a cache of 16 KiB blocks; missing neighbours come in one request."""

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        """Args: fetch: (start, length) to bytes, fewer only at the end of the file."""
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._last_end = -1
        self._ahead = BLOCK_BYTES

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset+length), fewer at the end of the file, none outside it."""
        offset = max(offset, 0)
        end = min(offset + max(length, 0), self.size_bytes)
        if offset >= end:
            return b""
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        if (last - first + 1) * BLOCK_BYTES > CACHE_BYTES // 2:
            return self._fetch(offset, end - offset)
        self._load(first, last)
        parts = [self._block(index) for index in range(first, last + 1)]
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        skip = offset - first * BLOCK_BYTES
        return data[skip : skip + end - offset]

    def read_all(self) -> bytes:
        """The whole file in a few requests, past the cache: for small files that a decoder needs from end to end."""
        steps = range(0, self.size_bytes, WHOLE_STEP_BYTES)
        return b"".join(self._fetch(at, min(WHOLE_STEP_BYTES, self.size_bytes - at)) for at in steps)

    def read_ahead(self, offset: int, length: int) -> bytes:
        """Like `read_at`, for a reader that goes on where it stopped: fetches more each time it does."""
        end = min(offset + length, self.size_bytes)
        if offset < end and (end - 1) // BLOCK_BYTES not in self._blocks:
            self._ahead = min(self._ahead * 2, MAX_AHEAD_BYTES) if offset <= self._last_end else BLOCK_BYTES
            self.prefetch(offset, max(length, self._ahead))
            self._last_end = min(offset + max(length, self._ahead), self.size_bytes)
        return self.read_at(offset, length)

    def prefetch(self, offset: int, length: int) -> None:
        """Bring a range into the cache in as few requests as its gaps ask for."""
        end = min(offset + min(length, CACHE_BYTES // 2), self.size_bytes)
        if 0 <= offset < end:
            self._load(offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES)

    def _block(self, index: int) -> bytes:
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def _load(self, first: int, last: int) -> None:
        for index in range(first, last + 1):  # what is here already must not be the first to leave
            if index in self._blocks:
                self._blocks.move_to_end(index)
        index = first
        while index <= last:
            if index in self._blocks:
                index += 1
                continue
            stop = index
            while stop <= last and stop not in self._blocks:
                stop += 1
            start = index * BLOCK_BYTES
            data = self._fetch(start, min(stop * BLOCK_BYTES, self.size_bytes) - start)
            for each in range(index, stop):
                at = (each - index) * BLOCK_BYTES
                self._blocks[each] = data[at : at + BLOCK_BYTES]
            index = stop
        while len(self._blocks) > CACHE_BYTES // BLOCK_BYTES:
            self._blocks.popitem(last=False)


class InputFile:
    """What PyAV reads from: pieces of the file and bytes of our own, one behind the other.

    `read(n)` never gives more than n bytes (PyAV copies what it gets into FFmpeg's buffer unchecked), `seek` does no
    I/O (FFmpeg asks for the size by seeking to the end), and `name` says nothing (PyAV hands it to FFmpeg as the URL).
    """

    name = "input"

    def __init__(self, reader: Reader, pieces: Sequence[Piece] | None = None) -> None:
        """Args: pieces: None for the file as it is."""
        self._reader = reader
        given = [(0, reader.size_bytes)] if pieces is None else pieces
        self._pieces = [piece for piece in given if _length(piece)]
        self._starts = list(accumulate(map(_length, self._pieces), initial=0))
        self._size = self._starts.pop()
        self._at = 0

    def read(self, n: int = -1) -> bytes:
        """Up to n bytes; fewer at the end of a piece."""
        n = self._size - self._at if n < 0 else min(n, self._size - self._at)
        if n <= 0:
            return b""
        index = bisect_right(self._starts, self._at) - 1
        piece, inside = self._pieces[index], self._at - self._starts[index]
        if isinstance(piece, bytes):
            data = piece[inside : inside + n]
        else:
            start, length = piece
            data = self._reader.read_ahead(start + inside, min(n, length - inside))[:n]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1]
