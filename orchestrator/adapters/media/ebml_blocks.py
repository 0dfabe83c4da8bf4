"""Blocks of a Matroska or WebM track: its length, and where its key frames lie. No index is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low
from typing import Final, NoReturn

from orchestrator.adapters.media.ebml import CLUSTER, SEGMENT, Segment, Track
from orchestrator.adapters.media.ebml_elements import UNKNOWN, bounds, read_size
from orchestrator.adapters.media.findings import MIB, over_limit
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.timing import Spot, Timing

WALK_ALL_BYTES: Final = 8 * MIB
TAIL_WINDOWS: Final = (MIB, 4 * MIB, 16 * MIB, 40 * MIB)
MIDDLE_WINDOW: Final = MIB
MAX_WALKED: Final = 300_000  # elements looked at in one file: well below a second
MAX_CLUSTERS: Final = 100_000  # places in one window that look like one
MAX_SPOT_BYTES: Final = 24 * MIB
_TIMESTAMP: Final = 0xE7
_SIMPLE_BLOCK: Final = 0xA3
_OPENING: Final = 3  # what a cluster costs beside an element
_OPENED: Final = frozenset({CLUSTER, SEGMENT})
_GROUP: Final = 0xA0
_BLOCK: Final = 0xA1
_DURATION: Final = 0x9B
_REFERENCE: Final = 0xFB
_LACING: Final = 0x06
_KEY: Final = 0x80
# A cluster's id, its size in any length, and the id of what may come first in it. Found without moving over it: bytes
# of a picture may look like one in the middle of which a true one begins.
_MAGIC: Final = b"\x1f\x43\xb6\x75"
_CLUSTER: Final = re.compile(
    rb"\x1f\x43\xb6\x75(?=(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f].{2}|[\x10-\x1f].{3}|[\x08-\x0f].{4}"
    rb"|[\x04-\x07].{5}|[\x02\x03].{6}|\x01.{7})[\xe7\xbf\xec])",
    re.DOTALL,
)


@dataclass(slots=True)
class Blocks:
    """Blocks of the chosen track found in one stretch of the file; times in segment units."""

    times: list[int] = field(default_factory=list)
    durations: dict[int, int] = field(default_factory=dict)
    keys: list[tuple[int, int, int]] = field(default_factory=list)  # time, offset, size
    complete: bool = False


@dataclass(slots=True)
class Budget:
    """Counts down the elements that may still be looked at, so that millions of empty ones end early."""

    left: int = MAX_WALKED

    def exhausted(self) -> NoReturn:
        raise over_limit("elements", MAX_WALKED + 1, MAX_WALKED)


def measure(reader: Reader, segment: Segment, track: Track) -> Timing:
    """Last block minus first block plus one frame."""
    unit = segment.scale_ns / 1e9
    out, budget = Timing(frames=0), Budget()
    if segment.first_cluster is None:
        return out
    stretch = segment.end - segment.first_cluster
    if stretch <= WALK_ALL_BYTES:
        raw = reader.read_at(segment.first_cluster, stretch)
        blocks = _Stretch(raw, segment.first_cluster, track, budget).walk(0, len(raw))
        if not blocks.times:
            return out
        head = tail = blocks
        out.frames = len(blocks.times)
        keys = blocks.keys
    else:
        head = _head(reader, segment, track, budget)
        tail = _tail(reader, segment, track, budget)
        if not head.times or not tail.times:
            return out
        out.frames = None
        keys = [*_middle(reader, segment, track, budget), *tail.keys]
    _lengths(out, head, tail, track, unit)
    if segment.duration is not None:
        start = min(head.times) * unit
        out.header_s = max(0.0, segment.duration * unit - start)
    out.spots = _spots(keys, unit, (min(head.times) + max(tail.times)) // 2)
    return out


def _lengths(out: Timing, head: Blocks, tail: Blocks, track: Track, unit: float) -> None:
    first, last = min(head.times), max(tail.times)
    times = sorted(set(tail.times))
    steps = [b - a for a, b in pairwise(times)]
    if not steps:
        times = sorted(set(head.times))
        steps = [b - a for a, b in pairwise(times)]
    step = median_low(steps) * unit if steps else 0.0
    if last in tail.durations:
        frame = tail.durations[last] * unit
    elif track.step_ns:
        frame = track.step_ns / 1e9
    else:
        frame = step
    out.length_s = (last - first) * unit + frame
    out.gap_s = max([step * unit for step in steps], default=0.0)
    if head is not tail:
        lead = sorted(set(head.times))
        out.gap_s = max([out.gap_s, *((b - a) * unit for a, b in pairwise(lead))])
    out.gap_s = max(out.gap_s, frame)
    out.start_s = first * unit
    if steps:
        out.steady = max(steps) - min(steps) <= max(2, 0.002 / unit)


def _spots(keys: list[tuple[int, int, int]], unit: float, middle: int) -> list[Spot]:
    keys = sorted(key for key in keys if 0 < key[2] <= MAX_SPOT_BYTES)
    if not keys:
        return []
    half = [key for key in keys if key[0] <= middle] or keys[:1]
    chosen = dict.fromkeys((half[-1], keys[-1]))
    return [Spot(offset, size, time * unit) for time, offset, size in chosen]


def _head(reader: Reader, segment: Segment, track: Track, budget: Budget) -> Blocks:
    """The first blocks: enough for the first moment even where pictures are reordered."""
    start = segment.first_cluster or 0
    for window in (MIB // 4, 2 * MIB, 16 * MIB):
        raw = reader.read_at(start, min(window, segment.end - start))
        blocks = _Stretch(raw, start, track, budget).walk(0, len(raw))
        if blocks.times:
            return blocks
    return Blocks()


def _tail(reader: Reader, segment: Segment, track: Track, budget: Budget) -> Blocks:
    """The blocks of the last clusters."""
    floor = segment.first_cluster or 0
    for window in TAIL_WINDOWS:
        start = max(floor, segment.end - window)
        raw = reader.read_at(start, segment.end - start)
        best = _last_clusters(raw, start, track, budget)
        if best.times:
            return best
        if start == floor:
            break
    return Blocks()


def _last_clusters(raw: bytes, base: int, track: Track, budget: Budget) -> Blocks:
    """From the end backwards: clusters that chain to the end, until they hold a key frame and two blocks."""
    best = Blocks()
    stop = len(raw)
    _few_clusters(raw)
    for at in reversed([found.start() for found in _CLUSTER.finditer(raw)]):
        stretch = _Stretch(raw, base, track, budget)
        found = stretch.walk(at, stop, known_end=stop == len(raw))
        if not found.complete:
            continue
        stop = at
        best.times += found.times
        best.keys += found.keys
        best.durations |= found.durations
        if best.keys and len(best.times) > 1:
            break
    return best


def _middle(reader: Reader, segment: Segment, track: Track, budget: Budget) -> list[tuple[int, int, int]]:
    """Key frames in the clusters before the middle of the file."""
    floor = segment.first_cluster or 0
    middle = (floor + segment.end) // 2
    for window in (MIDDLE_WINDOW, 4 * MIDDLE_WINDOW):
        start = max(floor, middle - window)
        raw = reader.read_at(start, middle - start)
        _few_clusters(raw)
        cluster = _CLUSTER.search(raw)
        if cluster is None:
            continue
        found = _Stretch(raw, start, track, budget).walk(cluster.start(), len(raw)).keys
        found = [key for key in found if key[1] + key[2] <= segment.end]
        if found:
            return found[-1:]
    return []


def _few_clusters(raw: bytes) -> None:
    if (number := raw.count(_MAGIC)) > MAX_CLUSTERS:
        raise over_limit("clusters", number, MAX_CLUSTERS)


class _Stretch:
    """Bytes from a cluster on; level 1 and the children of clusters are walked alike, for sizes may be unknown."""

    def __init__(self, raw: bytes, base: int, track: Track, budget: Budget) -> None:
        self._budget = budget
        self._raw = raw
        self._base = base
        self._number_of_track = track.number
        self._cluster_time = 0
        self._found = Blocks()

    def walk(self, at: int, stop: int, *, known_end: bool = False) -> Blocks:
        """Blocks from `at`, where a cluster begins, to `stop`.

        Args:
            known_end: `stop` is where the segment ends, so that running past it means a cut.
        """
        raw, out, budget = self._raw, self._found, self._budget
        while at < stop:
            budget.left -= 1
            if budget.left < 0:
                budget.exhausted()
            header = bounds(raw, at)
            if header is None:
                return out
            kind, start, end = header
            if kind in _OPENED:
                budget.left -= _OPENING
                self._cluster_time = 0
                at = start
                continue
            if end == UNKNOWN:
                return out
            if end > stop:
                cut = kind in {_SIMPLE_BLOCK, _GROUP}
                out.complete = known_end and cut
                if cut and not known_end and kind == _SIMPLE_BLOCK:
                    self._block(start, end, key=None)  # begins in the window: still tells where a key frame is
                return out
            self._take(kind, start, end)
            at = end
        out.complete = at == stop
        return out

    def _take(self, kind: int, start: int, end: int) -> None:
        if kind == _SIMPLE_BLOCK:
            self._block(start, end, key=None)
        elif kind == _GROUP:
            self._group(start, end)
        elif kind == _TIMESTAMP:
            self._cluster_time = self._number(start, end)

    def _number(self, start: int, end: int) -> int:
        return int.from_bytes(self._raw[start : min(end, start + 8)], "big")

    def _block(self, at: int, end: int, *, key: bool | None) -> int | None:
        """Take one Block (`key` is told by its group) or SimpleBlock; gives its time when it is the track's."""
        raw = self._raw
        if at + 4 > end or at + 4 > len(raw):
            return None
        if raw[at] >= 0x80:
            if raw[at] - 0x80 != self._number_of_track:
                return None
            at += 1
        else:
            number = read_size(raw, at)
            if number is None or number[0] != self._number_of_track:
                return None
            at += number[1]
            if at + 3 > min(len(raw), end):
                return None
        relative, flags = raw[at] << 8 | raw[at + 1], raw[at + 2]
        time = self._cluster_time + (relative - 0x10000 if relative & 0x8000 else relative)
        self._found.times.append(time)
        if (flags & _KEY if key is None else key) and not flags & _LACING:
            self._found.keys.append((time, self._base + at + 3, end - at - 3))
        return time

    def _group(self, at: int, stop: int) -> None:
        raw, block, duration, key = self._raw, None, None, True
        while at < stop:
            self._budget.left -= 1
            if self._budget.left < 0:
                self._budget.exhausted()
            header = bounds(raw, at)
            if header is None or header[2] == UNKNOWN or header[2] > stop:
                return
            kind, start, at = header
            if kind == _BLOCK:
                block = (start, at)
            elif kind == _DURATION:
                duration = self._number(start, at)
            elif kind == _REFERENCE:
                key = False
        time = None if block is None else self._block(*block, key=key)
        if time is not None and duration is not None:
            self._found.durations[time] = duration
