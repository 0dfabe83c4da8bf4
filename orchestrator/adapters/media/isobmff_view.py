"""The MP4 or MOV file as FFmpeg gets to see it: the stranger's media data under a header that we wrote.

Only what was read and checked is in it: one video track, one sound track, and of their tables no more than the first
pictures need. Titles, user data, other tracks, data references and whatever lies between are not there, so nothing of
that kind can cost time or memory, or meet code that few people look at.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import takewhile
from sys import byteorder
from typing import Final

from orchestrator.adapters.media.findings import corrupt
from orchestrator.adapters.media.isobmff import Movie
from orchestrator.adapters.media.isobmff_tables import Samples
from orchestrator.adapters.media.isobmff_track import VIDEO, Track
from orchestrator.adapters.media.ranges import Piece

FIRST_SAMPLES: Final = 4096
_SHORT: Final = 1 << 32
_SEEN: Final = frozenset({b"ftyp", b"styp", b"mdat", b"moof"})


def view(movie: Movie, tracks: Sequence[Track], size_bytes: int, most: int = FIRST_SAMPLES) -> list[Piece]:
    """The file in pieces.

    Args:
        most: how many samples of each track are listed.
    """
    header = _header(movie, tracks, most)
    if movie.fragmented:
        return _in_place(movie, header, size_bytes)
    if size_bytes < _SHORT:
        data = struct.pack(">I4s", size_bytes, b"mdat")
    else:
        data = struct.pack(">I4sQ", 1, b"mdat", size_bytes)
    return [data, (len(data), size_bytes - len(data)), movie.ftyp + header]


def _in_place(movie: Movie, header: bytes, size_bytes: int) -> list[Piece]:
    """Fragments come in the order of the file: the header stays where it was, what is not media becomes free space."""
    out: list[Piece] = []
    at = 0
    for top in movie.tops:
        if top.kind in _SEEN:
            continue
        if top.at == movie.moov_at:
            spare = top.size - len(header)
            if spare and spare < 8:
                raise corrupt("a header without room")
            filler = struct.pack(">I4s", spare, b"free") if spare else b""
            piece = header + filler
        else:
            piece = b"free"
        start = top.at if top.at == movie.moov_at else top.at + 4
        out += [(at, start - at), piece]
        at = start + len(piece)
    return [*out, (at, size_bytes - at)]


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _header(movie: Movie, tracks: Sequence[Track], most: int) -> bytes:
    extends = [_box(b"trex", movie.trex[track.id]) for track in tracks if track.id in movie.trex]
    parts = [_box(b"mvhd", movie.mvhd)] if movie.mvhd else []
    parts += [_track(track, most) for track in tracks]
    if movie.fragmented:
        parts.append(_box(b"mvex", *extends))
    return _box(b"moov", *parts)


def _track(track: Track, most: int) -> bytes:
    kept = track.kept
    media = _box(b"vmhd", struct.pack(">IHHHH", 1, 0, 0, 0, 0)) if track.handler == VIDEO else _box(b"smhd", bytes(8))
    table = _box(b"stbl", _box(b"stsd", kept[b"stsd"]), *_tables(track.samples, most))
    heads = [_box(kind, kept[kind]) for kind in (b"mdhd", b"hdlr") if kind in kept]
    return _box(
        b"trak",
        *[_box(kind, kept[kind]) for kind in (b"tkhd",) if kind in kept],
        _box(b"mdia", *heads, _box(b"minf", media, table)),
    )


def _tables(samples: Samples, most: int) -> Iterable[bytes]:
    """The tables of the first samples, complete in themselves."""
    runs, chunks, count = _chunks(samples, min(samples.count, most))
    times = _clamped(samples.time_counts, samples.time_deltas, count, go_on=True)
    shifts = _clamped(samples.shift_counts, samples.shifts, count, go_on=False)
    yield _box(b"stts", struct.pack(">II", 0, len(times) // 2), _big(times))
    if shifts:
        yield _box(b"ctts", struct.pack(">II", 0, len(shifts) // 2), _big(shifts))
    yield _box(b"stsc", struct.pack(">II", 0, len(runs) // 3), _big(runs))
    sizes = samples.sizes[: 0 if samples.constant_size else count]
    yield _box(b"stsz", struct.pack(">III", 0, samples.constant_size, count), _big(sizes))
    yield _box(b"co64", struct.pack(">II", 0, len(chunks)), _big(chunks))
    if samples.sync is not None:
        sync = array("I", takewhile(lambda number: number <= count, samples.sync))
        yield _box(b"stss", struct.pack(">II", 0, len(sync)), _big(sync))


def _chunks(samples: Samples, wanted: int) -> tuple[array[int], array[int], int]:
    """(runs of three columns, places, number of samples) that hold the first `wanted` samples."""
    runs, chunks, left = array("I"), array("Q"), wanted
    for first, stop, per_chunk in samples.runs():
        whole = min(stop - first, left // per_chunk) if per_chunk else 0
        if whole:
            runs.extend((len(chunks) + 1, per_chunk, 1))
            chunks.extend(array("Q", samples.chunks[first : first + whole]))
            left -= whole * per_chunk
        if left and per_chunk and first + whole < stop:
            runs.extend((len(chunks) + 1, left, 1))
            chunks.append(samples.chunks[first + whole])
            left = 0
        if not left:
            break
    return runs, chunks, wanted - left


def _clamped(counts: array[int], values: array[int], total: int, *, go_on: bool) -> array[int]:
    """Pairs of count and value for `total` samples; `go_on`: the last value holds for samples that are not listed."""
    out, left = array("I"), total
    for count, value in zip(counts, values, strict=True):
        if not left:
            break
        taken = min(count, left)
        out.extend((taken, value))
        left -= taken
    if left and go_on and values:
        out.extend((left, values[-1]))
    return out


def _big(numbers: array[int]) -> bytes:
    out = numbers[:]
    if byteorder == "little":
        out.byteswap()
    return out.tobytes()
