"""The sample tables of one track: how long it is, where its samples lie, whether the file holds them all."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress, islice, repeat
from operator import add, mul, sub
from typing import Final

from orchestrator.adapters.media.findings import corrupt, over_limit
from orchestrator.adapters.media.isobmff_boxes import MAX_SAMPLES, Box, Boxes

MAX_RUNS: Final = 200_000  # chunks are of a few sizes; each run costs a step in Python
_EDGE_SAMPLES: Final = 64  # reorder depth is 16 at most; the first and last shown sample are among these
_SIGN: Final = 1 << 31


@dataclass(slots=True)
class Samples:
    """Sample tables of a track, checked. Times in the track's own units."""

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

    def length(self) -> int:
        """Sum of all sample durations; the last duration goes on when the table is short, as in FFmpeg."""
        listed = sum(self.time_counts)
        total: int = sum(map(mul, self.time_counts, self.time_deltas))
        if listed == self.count or not self.time_deltas:
            return total
        if listed < self.count:
            return total + (self.count - listed) * self.time_deltas[-1]
        return sum(islice(_expand(self.time_counts, self.time_deltas), self.count))

    def shown(self) -> tuple[int, int]:
        """First and last moment on screen, in composition time."""
        length = self.length()
        if not self.count:
            return 0, 0
        first, at = [], 0
        head = zip(self._durations(), self._shifts(), strict=False)
        for duration, shift in islice(head, min(self.count, _EDGE_SAMPLES)):
            first.append(at + _signed(shift))
            at += duration
        if self.count <= _EDGE_SAMPLES:
            return min(first), max(self._ends(0, 0))
        skip = self.count - _EDGE_SAMPLES
        tail_start = length - sum(islice(self._durations(), skip, self.count))
        return min(first), max(self._ends(skip, tail_start))

    def _ends(self, skip: int, at: int) -> Iterator[int]:
        pairs = zip(self._durations(), self._shifts(), strict=False)
        for duration, shift in islice(pairs, skip, self.count):
            yield at + _signed(shift) + duration
            at += duration

    def longest(self) -> int:
        return max(compress(self.time_deltas, self.time_counts), default=0)

    def steady(self) -> bool:
        """All samples but the last have one duration."""
        last = self.time_deltas[-1:] if self.time_counts and self.time_counts[-1] > 1 else []
        return len({*compress(self.time_deltas[:-1], self.time_counts), *last}) <= 1

    def _durations(self) -> Iterator[int]:
        last = self.time_deltas[-1] if self.time_deltas else 0
        return chain(_expand(self.time_counts, self.time_deltas), repeat(last))

    def _shifts(self) -> Iterator[int]:
        return chain(_expand(self.shift_counts, self.shifts), repeat(0))

    def total_bytes(self) -> int:
        return self.constant_size * self.count if self.constant_size else sum(self.sizes)

    def end_of_data(self) -> int:
        """Where the last byte of any chunk lies, by the tables alone."""
        ends = None if self.constant_size else array("Q", accumulate(self.sizes, initial=0))
        furthest = 0
        for first, stop, sample, per_chunk in self._runs():
            whole = min(stop - first, (self.count - sample) // per_chunk)
            last = sample + whole * per_chunk
            if ends is None:
                places = self.chunks[first : first + whole]
                furthest = max([furthest, *(place + per_chunk * self.constant_size for place in places)])
            elif whole:
                sizes = map(sub, ends[sample + per_chunk : last + 1 : per_chunk], ends[sample:last:per_chunk])
                furthest = max([furthest, *map(add, self.chunks[first : first + whole], sizes)])
            if first + whole < stop and last < self.count:  # the last chunk is not full
                size = (self.count - last) * self.constant_size if ends is None else ends[self.count] - ends[last]
                furthest = max(furthest, self.chunks[first + whole] + size)
        return furthest

    def _runs(self) -> Iterator[tuple[int, int, int, int]]:
        """(first chunk, chunk behind the last, first sample, samples in each chunk), as far as there are samples."""
        sample = 0
        total = len(self.chunks)
        behind = chain(islice(self.chunk_of_run, 1, None), repeat(total + 1))
        first = 0
        for next_run, per_chunk in zip(behind, self.samples_of_run, strict=False):
            stop = min(max(next_run - 1, first), total)
            if sample >= self.count or first >= total:
                return
            if per_chunk:
                yield first, stop, sample, per_chunk
            sample += (stop - first) * per_chunk
            first = stop

    def locate(self, wanted: int) -> tuple[int, int] | None:
        """(offset, size) of a sample by index, None when the tables do not reach it."""
        for first, stop, sample, per_chunk in self._runs():
            if wanted < sample + (stop - first) * per_chunk:
                chunk, inside = divmod(wanted - sample, per_chunk)
                if self.constant_size:
                    return self.chunks[first + chunk] + inside * self.constant_size, self.constant_size
                return self.chunks[first + chunk] + sum(self.sizes[wanted - inside : wanted]), self.sizes[wanted]
        return None

    def sync_before(self, wanted: int) -> int | None:
        """Index of the last sample at or before `wanted` that can be decoded alone."""
        if self.sync is None:
            return wanted if wanted < self.count else None
        place = bisect_right(self.sync, wanted + 1)
        return self.sync[place - 1] - 1 if place and self.sync[place - 1] else None

    def seconds_at(self, wanted: int, timescale: int) -> float:
        return sum(islice(self._durations(), wanted)) / timescale


def _expand(counts: array[int], values: array[int]) -> Iterator[int]:
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
        table = boxes.table(times, 2, "time entries")
        out.time_counts, out.time_deltas = table[0::2], table[1::2]
    if shifts is not None:
        table = boxes.table(shifts, 2, "composition entries")
        out.shift_counts, out.shifts = table[0::2], table[1::2]
    if runs is not None:
        table = boxes.table(runs, 3, "chunk runs")
        out.chunk_of_run, out.samples_of_run = table[0::3], table[1::3]
    if places is not None:
        out.chunks = boxes.table(places, 1, "chunks")
    elif wide_places is not None:
        out.chunks = boxes.table(wide_places, 1, "chunks", wide=True)
    if sync is not None:
        out.sync = boxes.table(sync, 1, "key frames")
    _read_sizes(boxes, found, out, sound=sound)
    _check_counts(out, sound=sound)
    return out


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
        return array("I", [body[2 * i] << 8 | body[2 * i + 1] for i in range(count)])
    if width == 8:
        return array("I", body[:count])
    return array("I", [body[i // 2] >> (0 if i % 2 else 4) & 15 for i in range(count)])


def _check_counts(out: Samples, *, sound: bool) -> None:
    if not (sound and out.by_chunks):
        for counts, what in ((out.time_counts, "timed samples"), (out.shift_counts, "composition offsets")):
            if (total := sum(counts)) > MAX_SAMPLES:
                raise over_limit(what, total, MAX_SAMPLES)
        behind = len(out.chunks) + 1
        stops = chain(islice(out.chunk_of_run, 1, None), repeat(behind))
        runs = zip(out.chunk_of_run, stops, out.samples_of_run, strict=False)
        product = sum(max(0, min(stop, behind) - start) * per_chunk for start, stop, per_chunk in runs)
        if product > MAX_SAMPLES:
            raise over_limit("samples in chunks", product, MAX_SAMPLES)
    if len(out.chunk_of_run) > MAX_RUNS:
        raise over_limit("chunk runs", len(out.chunk_of_run), MAX_RUNS)
    if any(a >= b for a, b in zip(out.chunk_of_run, out.chunk_of_run[1:], strict=False)):
        raise corrupt("chunk runs are out of order")
    if out.count and not (out.chunks and out.samples_of_run and out.time_deltas):
        raise corrupt("samples without times or places")
