"""Blocks of a Matroska or WebM track: its length, and where its key frames lie. No index is asked for."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low
from typing import Final

from orchestrator.adapters.media.ebml import CLUSTER, CRC, SEGMENT, VOID, Segment, Track
from orchestrator.adapters.media.ebml_elements import UNKNOWN, Element, read_header, read_size
from orchestrator.adapters.media.findings import MIB, over_limit
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.timing import Spot, Timing

WALK_ALL_BYTES: Final = 8 * MIB
TAIL_WINDOWS: Final = (MIB, 4 * MIB, 16 * MIB, 40 * MIB)
MIDDLE_WINDOW: Final = MIB
MAX_WALKED: Final = 300_000  # elements looked at in one file: about a second
MAX_SPOT_BYTES: Final = 24 * MIB
_TIMESTAMP: Final = 0xE7
_SIMPLE_BLOCK: Final = 0xA3
_GROUP: Final = 0xA0
_BLOCK: Final = 0xA1
_DURATION: Final = 0x9B
_REFERENCE: Final = 0xFB
_LACING: Final = 0x06
_KEY: Final = 0x80
_MAGIC: Final = b"\x1f\x43\xb6\x75"


@dataclass(slots=True)
class Blocks:
    """Blocks of the chosen track found in one stretch of the file; times in segment units."""

    times: list[int] = field(default_factory=list)
    durations: dict[int, int] = field(default_factory=dict)
    keys: list[tuple[int, int, int]] = field(default_factory=list)  # time, offset, size
    complete: bool = False


@dataclass(slots=True)
class Budget:
    """Counts the elements looked at, so that millions of empty ones end early."""

    spent: int = 0

    def spend(self) -> None:
        self.spent += 1
        if self.spent > MAX_WALKED:
            raise over_limit("elements", self.spent, MAX_WALKED)


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
    at = stop = len(raw)
    while (at := raw.rfind(_MAGIC, 0, at)) >= 0:
        if not _is_cluster(raw, at):
            continue
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
        at = -1
        found: list[tuple[int, int, int]] = []
        while (at := raw.find(_MAGIC, at + 1)) >= 0:
            if _is_cluster(raw, at):
                found = _Stretch(raw, start, track, budget).walk(at, len(raw)).keys
                break
        found = [key for key in found if key[1] + key[2] <= segment.end]
        if found:
            return found[-1:]
    return []


def _is_cluster(raw: bytes, at: int) -> bool:
    element = read_header(raw, at)
    if element is None:
        return False
    inner = read_header(raw, element.start)
    return inner is not None and inner.id in {_TIMESTAMP, CRC, VOID}


class _Stretch:
    """Bytes from a cluster on; level 1 and the children of clusters are walked alike, for sizes may be unknown."""

    def __init__(self, raw: bytes, base: int, track: Track, budget: Budget) -> None:
        self._budget = budget
        self._raw = raw
        self._base = base
        self._track = track
        self._cluster_time = 0
        self._found = Blocks()

    def walk(self, at: int, stop: int, *, known_end: bool = False) -> Blocks:
        """Blocks from `at`, where a cluster begins, to `stop`.

        Args:
            known_end: `stop` is where the segment ends, so that running past it means a cut.
        """
        raw, out = self._raw, self._found
        while at < stop:
            self._budget.spend()
            element = read_header(raw, at)
            if element is None:
                return out
            if element.id in {CLUSTER, SEGMENT}:
                self._cluster_time = 0
                at = element.start
                continue
            if element.end == UNKNOWN:
                return out
            if element.end > stop:
                cut = element.id in {_SIMPLE_BLOCK, _GROUP}
                out.complete = known_end and cut
                if cut and not known_end and element.id == _SIMPLE_BLOCK:
                    self._block(element, key=None)  # begins in the window: still tells where a key frame is
                return out
            self._take(element)
            at = element.end
        out.complete = at == stop
        return out

    def _take(self, element: Element) -> None:
        if element.id == _TIMESTAMP:
            self._cluster_time = self._number(element)
        elif element.id == _SIMPLE_BLOCK:
            self._block(element, key=None)
        elif element.id == _GROUP:
            self._group(element)

    def _number(self, element: Element) -> int:
        return int.from_bytes(self._raw[element.start : min(element.end, element.start + 8)], "big")

    def _block(self, element: Element, *, key: bool | None) -> int | None:
        """Take one Block (`key` is told by its group) or SimpleBlock; gives its time when it is the track's."""
        number = read_size(self._raw, element.start)
        if number is None or number[0] != self._track.number:
            return None
        at = element.start + number[1]
        if at + 3 > min(len(self._raw), element.end):
            return None
        relative, flags = struct.unpack_from(">hB", self._raw, at)
        time: int = self._cluster_time + relative
        self._found.times.append(time)
        is_key = bool(flags & _KEY) if key is None else key
        if is_key and not flags & _LACING:
            self._found.keys.append((time, self._base + at + 3, element.end - at - 3))
        return time

    def _group(self, group: Element) -> None:
        at, block, duration, key = group.start, None, None, True
        while at < group.end:
            self._budget.spend()
            element = read_header(self._raw, at)
            if element is None or element.end == UNKNOWN or element.end > group.end:
                return
            if element.id == _BLOCK:
                block = element
            elif element.id == _DURATION:
                duration = self._number(element)
            elif element.id == _REFERENCE:
                key = False
            at = element.end
        time = None if block is None else self._block(block, key=key)
        if time is not None and duration is not None:
            self._found.durations[time] = duration
