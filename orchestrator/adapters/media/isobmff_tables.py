"""The sample tables of one track: how long it is, where its samples lie, whether the file holds them all."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain, compress, islice, repeat
from operator import add, lt, mul, sub
from sys import byteorder
from typing import Final

from orchestrator.adapters.media.findings import corrupt, over_limit
from orchestrator.adapters.media.isobmff_boxes import MAX_SAMPLES, Box, Boxes

MAX_RUNS: Final = 200_000  # chunks are of a few sizes; each run costs a step in Python
_EDGE_SAMPLES: Final = 64  # reorder depth is 16 at most; the first and last shown sample are among these
_PCM_PACKET: Final = 1024  # single values of PCM that FFmpeg takes at once
_HIGH: Final = bytes(byte >> 4 for byte in range(256))
_LOW: Final = bytes(byte & 15 for byte in range(256))
_SIGN: Final = 1 << 31


@dataclass
class Samples:
    """Sample tables of a track, checked. Times in the track's own units.

    The tables of times list exactly `count` samples. A table may have two million rows: whatever is asked twice is
    kept, and loops run inside the standard library.
    """

    count: int = 0
    constant_size: int = 0
    sizes: array[int] = field(default_factory=lambda: array("I"))
    time_counts: array[int] = field(default_factory=lambda: array("I"))
    time_deltas: array[int] = field(default_factory=lambda: array("I"))
    shift_counts: array[int] = field(default_factory=lambda: array("I"))
    shifts: array[int] = field(default_factory=lambda: array("I"))
    chunk_of_run: array[int] = field(default_factory=lambda: array("I"))
    samples_of_run: array[int] = field(default_factory=lambda: array("I"))
    chunks: array[int] = field(default_factory=lambda: array("Q"))
    sync: array[int] | None = None

    @property
    def by_chunks(self) -> bool:
        """Sound whose "samples" are single PCM values: their number is no measure of work."""
        return bool(self.constant_size) and len(self.time_deltas) == 1 and self.time_deltas[0] == 1

    @cached_property
    def length(self) -> int:
        """Sum of all sample durations."""
        return sum(map(mul, self.time_counts, self.time_deltas))

    def shown(self) -> tuple[int, int]:
        """First and last moment on screen, in composition time."""
        if not self.count:
            return 0, 0
        edge = min(self.count, _EDGE_SAMPLES)
        durations = list(islice(_expand(self.time_counts, self.time_deltas), edge))
        shifts = islice(chain(_expand(self.shift_counts, self.shifts), repeat(0)), edge)
        first = min(map(add, accumulate(durations, initial=0), map(_signed, shifts)))
        durations = list(islice(_expand(reversed(self.time_counts), reversed(self.time_deltas)), edge))
        shifts = islice(chain(_expand(reversed(self.shift_counts), reversed(self.shifts)), repeat(0)), edge)
        ends = map(sub, repeat(self.length), accumulate(durations, initial=0))
        return first, max(map(add, ends, map(_signed, shifts)))

    def longest(self) -> int:
        return max(self.time_deltas, default=0)

    def steady(self) -> bool:
        """All samples but the last have one duration."""
        deltas = self.time_deltas
        if not deltas:
            return True
        others = deltas[:-1]
        if others != deltas[:1] * len(others):
            return False
        return deltas[-1] == deltas[0] or self.time_counts[-1] == 1

    @cached_property
    def offsets(self) -> array[int]:
        """Bytes before each sample, and in all: of samples that are not all of one size."""
        return array("Q", accumulate(self.sizes, initial=0))

    @property
    def total_bytes(self) -> int:
        return self.constant_size * self.count if self.constant_size else self.offsets[-1]

    @cached_property
    def chunk_starts(self) -> array[int]:
        """Index of the first sample of each chunk, and the number of samples in all chunks behind."""
        spans = map(sub, self.stops(), self.chunk_of_run)
        return array("Q", accumulate(chain.from_iterable(map(repeat, self.samples_of_run, spans)), initial=0))

    def stops(self) -> Iterable[int]:
        """Behind the last chunk of each run."""
        return islice(chain(self.chunk_of_run, [len(self.chunks) + 1]), 1, None)

    def end_of_data(self) -> int:
        """Where the last byte of any chunk lies, by the tables alone."""
        starts = self.chunk_starts
        full = bisect_right(starts, self.count)  # the chunks behind have fewer samples than they could, or none
        starts = starts[:full]
        if full < len(self.chunk_starts):
            starts.append(self.count)
        if self.constant_size:
            places = map(mul, starts, repeat(self.constant_size))
        else:
            places = map(self.offsets.__getitem__, starts)
        before = array("Q", places)
        held = array("Q", map(sub, islice(before, 1, None), before))
        return max(compress(map(add, self.chunks, held), held), default=0)  # an empty chunk may lie anywhere

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """(first chunk, chunk behind the last, samples in each chunk)."""
        for first, stop, per_chunk in zip(self.chunk_of_run, self.stops(), self.samples_of_run, strict=True):
            yield first - 1, stop - 1, per_chunk

    def locate(self, wanted: int) -> tuple[int, int] | None:
        """(offset, size) of a sample by index, None when the tables do not reach it."""
        starts = self.chunk_starts
        chunk = bisect_right(starts, wanted) - 1
        if chunk >= len(self.chunks):
            return None
        if self.constant_size:
            return self.chunks[chunk] + (wanted - starts[chunk]) * self.constant_size, self.constant_size
        return self.chunks[chunk] + self.offsets[wanted] - self.offsets[starts[chunk]], self.sizes[wanted]

    def sync_before(self, wanted: int) -> int | None:
        """Index of the last sample at or before `wanted` that can be decoded alone."""
        if self.sync is None:
            return wanted if wanted < self.count else None
        place = bisect_right(self.sync, wanted + 1)
        return self.sync[place - 1] - 1 if place and self.sync[place - 1] else None

    def seconds_at(self, wanted: int, timescale: int) -> float:
        return sum(islice(_expand(self.time_counts, self.time_deltas), wanted)) / timescale


def _expand(counts: Iterable[int], values: Iterable[int]) -> Iterator[int]:
    return chain.from_iterable(map(repeat, values, counts))


def _signed(value: int) -> int:
    """Composition offsets are taken as signed in both versions of their table, as FFmpeg does."""
    return value - (1 << 32) if value >= _SIGN else value


_TABLES: Final = (b"stts", b"ctts", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"stss")


def read_samples(boxes: Boxes, stbl: Box, *, sound: bool) -> Samples:
    """The tables of one track. Raises Unusable for counts over the limits and tables that cannot be."""
    found: dict[bytes, Box] = {}
    for box in boxes.children(stbl.start, stbl.end):
        if box.kind in _TABLES and box.kind in found:
            raise corrupt(f"two tables {box.name!r} in one track")
        found[box.kind] = box
    out = Samples()
    times, shifts, runs = found.get(b"stts"), found.get(b"ctts"), found.get(b"stsc")
    places, wide_places, sync = found.get(b"stco"), found.get(b"co64"), found.get(b"stss")
    if times is not None:
        out.time_counts, out.time_deltas = _pairs(boxes.table(times, 2, "time entries"))
    if shifts is not None:
        out.shift_counts, out.shifts = _pairs(boxes.table(shifts, 2, "composition entries"))
    if runs is not None:
        table = boxes.table(runs, 3, "chunk runs", most=MAX_RUNS)
        out.chunk_of_run, out.samples_of_run = table[0::3], table[1::3]
    if places is not None:
        out.chunks = boxes.table(places, 1, "chunks")
    elif wide_places is not None:
        out.chunks = boxes.table(wide_places, 1, "chunks", wide=True)
    if sync is not None:
        out.sync = boxes.table(sync, 1, "key frames")
    _read_sizes(boxes, found, out, sound=sound)
    _check_counts(out, sound=sound)
    _fit(out.time_counts, out.time_deltas, out.count, last=out.time_deltas[-1] if out.time_deltas else 0)
    _fit(out.shift_counts, out.shifts, out.count, last=0)
    return out


def _pairs(table: array[int]) -> tuple[array[int], array[int]]:
    """The columns of counts and values, without rows that count nothing."""
    counts, values = table[0::2], table[1::2]
    if 0 in counts:
        values = array("I", compress(values, counts))
        counts = array("I", filter(None, counts))
    return counts, values


def _fit(counts: array[int], values: array[int], total: int, *, last: int) -> None:
    """Make a table list `total` samples: cut off what is too much, go on with `last` as FFmpeg does."""
    if not counts:
        return
    listed = sum(counts)
    while listed > total:
        listed -= counts.pop()
        value = values.pop()
        if listed < total:
            counts.append(total - listed)
            values.append(value)
            return
    if listed < total:
        counts.append(total - listed)
        values.append(last)


def _read_sizes(boxes: Boxes, found: dict[bytes, Box], out: Samples, *, sound: bool) -> None:
    if (box := found.get(b"stsz")) is not None:
        out.constant_size, out.count = boxes.unpack(">II", box, 4)
        if out.count > MAX_SAMPLES and not (sound and out.by_chunks):
            raise over_limit("samples", out.count, MAX_SAMPLES)
        if not out.constant_size:
            out.sizes = boxes.numbers(box, 12, out.count)
    elif (box := found.get(b"stz2")) is not None:
        width, out.count = boxes.unpack(">II", box, 4)
        if out.count > MAX_SAMPLES:
            raise over_limit("samples", out.count, MAX_SAMPLES)
        out.sizes = _small_sizes(boxes, box, width & 0xFF, out.count)


def _small_sizes(boxes: Boxes, box: Box, width: int, count: int) -> array[int]:
    if width not in {4, 8, 16}:
        raise corrupt(f"sample sizes of {width} bits")
    body = boxes.data[box.start + 12 : box.end]
    if len(body) * 8 < count * width:
        raise corrupt("table 'stz2' is shorter than its count")
    if width == 16:
        pairs = array("H", body[: 2 * count])
        if byteorder == "little":
            pairs.byteswap()
        return array("I", pairs)
    if width == 8:
        return array("I", body[:count])
    halves = array("B", bytes(2 * len(body)))
    halves[0::2] = array("B", body.translate(_HIGH))
    halves[1::2] = array("B", body.translate(_LOW))
    return array("I", halves[:count])


def _check_counts(out: Samples, *, sound: bool) -> None:
    if not all(map(lt, out.chunk_of_run, islice(out.chunk_of_run, 1, None))):
        raise corrupt("chunk runs are out of order")
    if out.count and not (out.chunks and out.samples_of_run and out.time_deltas):
        raise corrupt("samples without times or places")
    if out.chunk_of_run and out.chunk_of_run[0] != 1:
        raise corrupt("chunk runs do not begin at the first chunk")
    there = bisect_right(out.chunk_of_run, len(out.chunks))
    del out.chunk_of_run[there:], out.samples_of_run[there:]
    product = sum(map(mul, map(sub, out.stops(), out.chunk_of_run), out.samples_of_run))
    if sound and out.by_chunks:
        product //= _PCM_PACKET
    else:
        for counts, what in ((out.time_counts, "timed samples"), (out.shift_counts, "composition offsets")):
            if (total := sum(counts)) > MAX_SAMPLES:
                raise over_limit(what, total, MAX_SAMPLES)
    if product > MAX_SAMPLES:
        raise over_limit("samples in chunks", product, MAX_SAMPLES)
