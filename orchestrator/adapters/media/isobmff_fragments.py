"""Fragmented MP4: length and key frames out of the fragments themselves; `sidx` and `mfra` may lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from orchestrator.adapters.media.findings import MIB, Report, Unusable, over_limit
from orchestrator.adapters.media.isobmff import Movie, TopBox
from orchestrator.adapters.media.isobmff_boxes import MAX_SAMPLES, Box, Boxes
from orchestrator.adapters.media.isobmff_length import edited
from orchestrator.adapters.media.isobmff_track import Track
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.timing import Spot, Timing

MAX_MOOF_BYTES: Final = MIB
MAX_MOOFS: Final = 20_000
MAX_FRAGMENT_SAMPLES: Final = MAX_MOOF_BYTES // 4  # what a run with one column can list
TAIL_WINDOWS: Final = (MIB, 8 * MIB, 32 * MIB)
_NOT_SYNC: Final = 0x00010000
_FOLLOWERS: Final = frozenset(
    {b"moof", b"mdat", b"mfra", b"free", b"skip", b"sidx", b"styp", b"uuid", b"emsg", b"prft", b"ssix", b"wide"}
)


@dataclass(slots=True)
class Fragment:
    """What one track has in one moof; times in track units, places in the file."""

    start: int | None = None
    durations: list[int] = field(default_factory=list)
    shifts: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    sync: list[bool] = field(default_factory=list)

    def shown(self, at: int) -> tuple[int, int]:
        """First and last moment on screen when the fragment starts at `at`."""
        first = last = None
        for duration, shift in zip(self.durations, self.shifts, strict=True):
            first = at + shift if first is None else min(first, at + shift)
            last = at + shift + duration if last is None else max(last, at + shift + duration)
            at += duration
        return first or 0, last or 0


def measure(reader: Reader, movie: Movie, track: Track, report: Report) -> Timing:
    """Length of a fragmented track: from its first sample to the end of the last whole one."""
    if len(movie.moofs) > MAX_MOOFS:
        raise over_limit("fragments", len(movie.moofs), MAX_MOOFS)
    out = Timing(frames=0)
    if not track.timescale:
        return out
    line = _Line(track)
    if movie.moofs_complete:
        for moof in movie.moofs:
            line.add(_fragment(reader, moof, movie, track))
    else:
        _head_and_tail(reader, movie, track, line)
    if line.last is None:
        return out
    out.length_s = edited(movie, track, (line.first or 0, line.last), report, out)
    out.frames = line.frames if movie.moofs_complete else None
    out.gap_s = line.gap / track.timescale
    out.header_s = movie.fragment_duration / movie.timescale if movie.timescale else None
    out.spots = _spots(line, track)
    return out


class _Line:
    """The time line that fragments add up to."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self.first: int | None = None
        self.last: int | None = None
        self.frames = track.samples.count
        self.gap = 0
        self.keys: list[Spot] = []
        self._next = track.samples.length()
        if track.samples.count:
            self.first, self.last = track.samples.shown()
            self.gap = track.samples.longest()

    def add(self, fragment: Fragment | None, *, jump: bool = False) -> None:
        """Args: jump: fragments between were not read, so a hole says nothing."""
        if fragment is None or not fragment.durations:
            return
        at = self._next if fragment.start is None else fragment.start
        first, last = fragment.shown(at)
        if self.last is not None and not jump:
            self.gap = max(self.gap, at - self._next)
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self.gap = max(self.gap, *fragment.durations)
        self.frames += len(fragment.durations)
        if self.frames > MAX_SAMPLES:
            raise over_limit("samples", self.frames, MAX_SAMPLES)
        self._next = at + sum(fragment.durations)
        if (key := next((i for i, sync in enumerate(fragment.sync) if sync), None)) is not None:
            moment = (at + sum(fragment.durations[:key])) / self._track.timescale
            self.keys.append(Spot(*fragment.places[key], moment))


def _spots(line: _Line, track: Track) -> list[Spot]:
    """Key frames near the middle and the end: the first of a fragment each."""
    keys = line.keys
    if not keys:
        return []
    middle = ((line.first or 0) + (line.last or 0)) / 2 / track.timescale
    half = [spot for spot in keys if spot.at_s <= middle] or keys[:1]
    return [half[-1]] if half[-1] is keys[-1] else [half[-1], keys[-1]]


def _head_and_tail(reader: Reader, movie: Movie, track: Track, line: _Line) -> None:
    for moof in movie.moofs:
        line.add(_fragment(reader, moof, movie, track))
    after = movie.moofs[-1].end
    for window in TAIL_WINDOWS:
        start = max(reader.size_bytes - window, after)
        raw = reader.read_at(start, reader.size_bytes - start)
        found = _tail(reader, raw, start, movie, track)
        if found:
            for index, fragment in enumerate(found):
                line.add(fragment, jump=index == 0)
            return
        if start == after:
            return


def _tail(reader: Reader, raw: bytes, start: int, movie: Movie, track: Track) -> list[Fragment]:
    """Fragments of the track at the end of the file, from the last place where the boxes chain to the end."""
    at = len(raw)
    while (at := raw.rfind(b"moof", 0, at)) >= 4:
        chain = list(_chain(raw, at - 4, start, reader.size_bytes))
        if not chain:
            continue
        try:
            found = [_fragment(reader, box, movie, track) for box in chain]
        except Unusable:
            continue
        ours = [each for each in found if each is not None and each.durations and each.start is not None]
        if ours:
            return ours
    return []


def _chain(raw: bytes, at: int, start: int, size_bytes: int) -> Iterator[TopBox]:
    """The moofs from `at`, if the boxes from there chain exactly to the end of the file or to a cut-off box."""
    out: list[TopBox] = []
    while at + 8 <= len(raw):
        size, kind = struct.unpack_from(">I4s", raw, at)
        head = 8
        if size == 1 and at + 16 <= len(raw):
            size, head = struct.unpack_from(">Q", raw, at + 8)[0], 16
        elif size == 0:
            size = len(raw) - at
        if size < head or kind not in _FOLLOWERS:
            return
        if at + size > len(raw):
            if start + len(raw) == size_bytes and out:
                yield from out
            return
        if kind == b"moof":
            out.append(TopBox(kind, start + at, head, size))
        at += size
    if len(raw) - at < 8:
        yield from out


def _fragment(reader: Reader, moof: TopBox, movie: Movie, track: Track) -> Fragment | None:
    """The chosen track's part of one moof, whole samples only."""
    if moof.size > MAX_MOOF_BYTES:
        raise over_limit("bytes in a fragment's header", moof.size, MAX_MOOF_BYTES)
    boxes = Boxes(reader.read_at(moof.at, moof.size))
    out: Fragment | None = None
    end_of_data = moof.at
    for traf in boxes.children(moof.head, len(boxes.data)):
        if traf.kind != b"traf":
            continue
        run = _Traf(boxes, traf, moof.at, end_of_data, movie)
        end_of_data = run.end_of_data
        if run.track_id == track.id:
            whole = run.whole(reader.size_bytes)
            if out is None:
                out = whole
            else:
                out.durations += whole.durations
                out.shifts += whole.shifts
                out.places += whole.places
                out.sync += whole.sync
    return out


class _Traf:
    """One track fragment, its runs expanded."""

    def __init__(self, boxes: Boxes, traf: Box, moof_at: int, end_of_data: int, movie: Movie) -> None:
        self.fragment = Fragment()
        self.track_id = 0
        self._boxes = boxes
        self._base = moof_at
        self.end_of_data = end_of_data
        self._duration = self._size = self._flags = 0
        kids = list(boxes.children(traf.start, traf.end))
        for box in kids:
            if box.kind == b"tfhd":
                self._header(box, moof_at, movie)
            elif box.kind == b"tfdt":
                wide = boxes.unpack(">B", box, 0)[0] == 1
                self.fragment.start = boxes.unpack(">Q" if wide else ">I", box, 4)[0]
        self.end_of_data = self._base
        for box in kids:
            if box.kind == b"trun":
                self._run(box)

    def _header(self, box: Box, moof_at: int, movie: Movie) -> None:
        flags, self.track_id = self._boxes.unpack(">II", box, 0)
        self._duration, self._size, self._flags = movie.defaults.get(self.track_id, (0, 0, 0))
        at = 8
        if flags & 0x1:
            (self._base,) = self._boxes.unpack(">Q", box, at)
            at += 8
        elif flags & 0x20000:
            self._base = moof_at
        else:
            self._base = self.end_of_data
        at += 4 if flags & 0x2 else 0
        for bit, name in ((0x8, "_duration"), (0x10, "_size"), (0x20, "_flags")):
            if flags & bit:
                setattr(self, name, self._boxes.unpack(">I", box, at)[0])
                at += 4

    def _run(self, box: Box) -> None:
        flags, count = self._boxes.unpack(">II", box, 0)
        if len(self.fragment.durations) + count > MAX_FRAGMENT_SAMPLES:
            raise over_limit("samples in a fragment", count, MAX_FRAGMENT_SAMPLES)
        at = 8
        place = self.end_of_data
        if flags & 0x1:
            place = self._base + self._boxes.unpack(">i", box, at)[0]
            at += 4
        first_flags = None
        if flags & 0x4:
            (first_flags,) = self._boxes.unpack(">I", box, at)
            at += 4
        columns = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
        table = self._boxes.numbers(box, at, count * len(columns))
        column = {bit: table[index :: len(columns)] for index, bit in enumerate(columns)}
        signed = bool(flags >> 24)
        for index in range(count):
            size = column[0x200][index] if 0x200 in column else self._size
            sample_flags = column[0x400][index] if 0x400 in column else self._flags
            if index == 0 and first_flags is not None:
                sample_flags = first_flags
            shift = column[0x800][index] if 0x800 in column else 0
            self.fragment.durations.append(column[0x100][index] if 0x100 in column else self._duration)
            self.fragment.shifts.append(shift - (1 << 32) if signed and shift >> 31 else shift)
            self.fragment.places.append((place, size))
            self.fragment.sync.append(not sample_flags & _NOT_SYNC)
            place += size
        self.end_of_data = place

    def whole(self, size_bytes: int) -> Fragment:
        """The samples that lie inside the file, up to the first that does not."""
        places = self.fragment.places
        keep = next((i for i, (at, size) in enumerate(places) if at + size > size_bytes), len(places))
        for values in (self.fragment.durations, self.fragment.shifts, places, self.fragment.sync):
            del values[keep:]
        return self.fragment
