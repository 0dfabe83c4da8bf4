"""Fragmented MP4: length and key frames out of the fragments themselves; `sidx` and `mfra` may lie."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress, count, islice, repeat
from operator import add, gt
from typing import Final

from orchestrator.adapters.media.findings import MIB, Report, Unusable, over_limit
from orchestrator.adapters.media.isobmff import MAX_TOP_BOXES, Movie, TopBox
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
    """What one track has in one moof: a row per sample; times in track units, places in the file."""

    start: int | None = None
    durations: list[int] = field(default_factory=list)
    shifts: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)

    @property
    def columns(self) -> tuple[list[int], ...]:
        return self.durations, self.shifts, self.offsets, self.sizes, self.flags

    def extend(self, more: Iterable[list[int]]) -> None:
        """Args: more: in the order of `columns`."""
        for column, values in zip(self.columns, more, strict=True):
            column.extend(values)

    def shown(self, at: int) -> tuple[int, int]:
        """First and last moment on screen when the fragment starts at `at`."""
        moments = list(accumulate(self.durations, initial=at))
        first = min(map(add, moments, self.shifts), default=0)
        return first, max(map(add, islice(moments, 1, None), self.shifts), default=0)

    def first_key(self) -> int | None:
        """Index of the first sample that can be decoded alone."""
        return next((i for i, flags in enumerate(self.flags) if not flags & _NOT_SYNC), None)

    def keep_whole(self, size_bytes: int) -> None:
        """Forget all samples from the first that does not lie inside a file of that size."""
        beyond = map(gt, map(add, self.offsets, self.sizes), repeat(size_bytes))
        first = next(compress(count(), beyond), len(self.sizes))
        for column in self.columns:
            del column[first:]


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
        self._next = track.samples.length
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
        self.gap = max(chain((self.gap,), fragment.durations))
        self.frames += len(fragment.durations)
        if self.frames > MAX_SAMPLES:
            raise over_limit("samples", self.frames, MAX_SAMPLES)
        self._next = at + sum(fragment.durations)
        if (key := fragment.first_key()) is not None:
            moment = (at + sum(fragment.durations[:key])) / self._track.timescale
            self.keys.append(Spot(fragment.offsets[key], fragment.sizes[key], moment))


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
        if found is not None:
            line.add(found, jump=True)
            return
        if start == after:
            return


def _tail(reader: Reader, raw: bytes, start: int, movie: Movie, track: Track) -> Fragment | None:
    """The last fragment of the track, at a place from where the boxes chain to the end of the file."""
    at, chains = len(raw), _Chains(raw)
    for _ in range(MAX_MOOFS):
        at = raw.rfind(b"moof", 0, at)
        if at < 4:
            return None
        if not chains.reach_the_end(at - 4):
            continue
        size = int.from_bytes(raw[at - 4 : at], "big")
        try:
            found = _fragment(reader, TopBox(b"moof", start + at - 4, 16 if size == 1 else 8, size), movie, track)
        except Unusable:
            continue
        if found is not None and found.durations and found.start is not None:
            return found
    raise over_limit("fragments", MAX_MOOFS + 1, MAX_MOOFS)


class _Chains:
    """Tells from where in the last bytes of a file boxes chain to its end, or to a box that is cut off there."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._known: dict[int, bool] = {}
        self._left = MAX_TOP_BOXES

    def reach_the_end(self, at: int) -> bool:
        raw, path = self._raw, []
        while at not in self._known:
            if len(raw) - at < 8:
                self._known[at] = True
                break
            self._left -= 1
            if self._left < 0:
                raise over_limit("boxes", MAX_TOP_BOXES + 1, MAX_TOP_BOXES)
            path.append(at)
            size, kind = struct.unpack_from(">I4s", raw, at)
            head = 8
            if size == 1 and at + 16 <= len(raw):
                size, head = struct.unpack_from(">Q", raw, at + 8)[0], 16
            elif size == 0:
                size = len(raw) - at
            if size < head or kind not in _FOLLOWERS:
                self._known[at] = False
            elif at + size > len(raw):  # cut off: good as an end, but no fragment to look at
                self._known |= dict.fromkeys(path[:-1], True)
                return len(path) > 1
            else:
                at += size
        self._known |= dict.fromkeys(path, self._known[at])
        return self._known[at]


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
            run.fragment.keep_whole(reader.size_bytes)
            if out is None:
                out = run.fragment
                continue
            out.extend(run.fragment.columns)
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
        flags, number = self._boxes.unpack(">II", box, 0)
        out = self.fragment
        if len(out.durations) + number > MAX_FRAGMENT_SAMPLES:
            raise over_limit("samples in a fragment", number, MAX_FRAGMENT_SAMPLES)
        at = 8
        place = self.end_of_data
        if flags & 0x1:
            place = self._base + self._boxes.unpack(">i", box, at)[0]
            at += 4
        first_flags = None
        if flags & 0x4:
            (first_flags,) = self._boxes.unpack(">I", box, at)
            at += 4
        present = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
        table = self._boxes.numbers(box, at, number * len(present))
        column = {bit: table[index :: len(present)] for index, bit in enumerate(present)}
        constant = {0x100: self._duration, 0x200: self._size, 0x400: self._flags, 0x800: 0}
        durations, sizes, sample_flags, shifts = (
            column[bit].tolist() if bit in column else [value] * number for bit, value in constant.items()
        )
        if number and first_flags is not None:
            sample_flags[0] = first_flags
        if flags >> 24 and 0x800 in column:  # version 1: shifts have a sign
            shifts = array("i", column[0x800].tobytes()).tolist()
        offsets = list(accumulate(sizes, initial=place))
        self.end_of_data = offsets.pop()
        out.extend((durations, shifts, offsets, sizes, sample_flags))
