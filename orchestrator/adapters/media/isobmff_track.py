"""One track of an MP4 or MOV file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orchestrator.adapters.media.findings import Report, corrupt, finding, over_limit
from orchestrator.adapters.media.isobmff_boxes import Box, Boxes
from orchestrator.adapters.media.isobmff_tables import Samples, read_samples

MAX_EDITS: Final = 256
MAX_ENTRIES: Final = 16
MAX_ENTRY_BYTES: Final = 1024 * 1024
VIDEO: Final = b"vide"
SOUND: Final = b"soun"
_VISUAL_ENTRY_BYTES: Final = 78
_SOUND_ENTRY_BYTES: Final = 28
_UNSET: Final = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_KEPT_BYTES: Final = 1024  # of a handler's name, of which FFmpeg needs none
_STILL_PICTURES: Final = frozenset({b"jpeg", b"png ", b"mjpa", b"mjpb", b"tiff", b"gif "})


@dataclass(slots=True)
class Entry:
    """One sample entry: the fourcc, the declared size, the boxes behind."""

    fourcc: bytes
    width: int = 0
    height: int = 0
    extra: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Edit:
    """A piece of the presentation: length in movie units, start in track units (-1: nothing is shown)."""

    length: int
    start: int
    rate: int


@dataclass(slots=True)
class Track:
    """What one trak box says; `kept` are bodies of boxes that FFmpeg has to see as they are."""

    index: int
    id: int = 0
    enabled: bool = True
    handler: bytes = b""
    timescale: int = 0
    duration: int = 0
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)
    entries: list[Entry] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    chapters: tuple[int, ...] = ()
    samples: Samples = field(default_factory=Samples)
    kept: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def mirrored(self) -> bool:
        a, b, c, d = self.matrix
        return a * d - b * c < 0

    @property
    def still(self) -> bool:
        """One picture: cover art beside a real track."""
        return self.samples.count == 1 and all(entry.fourcc in _STILL_PICTURES for entry in self.entries)


def read_track(boxes: Boxes, trak: Box, index: int, report: Report) -> Track:
    """The track; what makes the whole file unusable is raised, what only has to be told goes to the report."""
    track = Track(index)
    kinds = {box.kind: box for box in reversed(list(boxes.children(trak.start, trak.end)))}
    if (tkhd := kinds.get(b"tkhd")) is not None:
        version, flags = boxes.unpack(">BxxB", tkhd, 0)
        track.enabled = bool(flags & 1)
        (track.id,) = boxes.unpack(">I", tkhd, 20 if version == 1 else 12)
        at = 52 if version == 1 else 40
        a, b, _, c, d = boxes.unpack(">5i", tkhd, at)
        track.matrix = (a, b, c, d)
        track.kept[b"tkhd"] = boxes.body(tkhd, _KEPT_BYTES)
    if (tref := kinds.get(b"tref")) is not None:
        _references(boxes, tref, track)
    if (edts := kinds.get(b"edts")) is not None and (elst := boxes.first(edts, b"elst")) is not None:
        track.edits = _edits(boxes, elst)
    if (mdia := kinds.get(b"mdia")) is not None:
        _media(boxes, mdia, track, report)
    return track


def _references(boxes: Boxes, tref: Box, track: Track) -> None:
    for box in boxes.lenient(tref.start, tref.end):
        if box.kind == b"chap":
            track.chapters = tuple(boxes.numbers(box, 0, min((box.end - box.start) // 4, 64)))


def _edits(boxes: Boxes, elst: Box) -> list[Edit]:
    version, count = boxes.unpack(">BxxxI", elst, 0)
    if count > MAX_EDITS:
        raise over_limit("edits", count, MAX_EDITS)
    layout, width = (">Qqi", 20) if version == 1 else (">Iii", 12)
    if elst.start + 8 + count * width > elst.end:
        raise corrupt("table 'elst' is shorter than its count")
    return [Edit(*boxes.unpack(layout, elst, 8 + index * width)) for index in range(count)]


def _media(boxes: Boxes, mdia: Box, track: Track, report: Report) -> None:
    kinds = {box.kind: box for box in reversed(list(boxes.children(mdia.start, mdia.end)))}
    if (mdhd := kinds.get(b"mdhd")) is not None:
        wide = boxes.unpack(">B", mdhd, 0)[0] == 1
        track.timescale, track.duration = boxes.unpack(">IQ" if wide else ">II", mdhd, 20 if wide else 12)
        track.duration = 0 if track.duration in _UNSET else track.duration
        track.kept[b"mdhd"] = boxes.body(mdhd, _KEPT_BYTES)
    if (hdlr := kinds.get(b"hdlr")) is not None:
        track.handler = boxes.data[hdlr.start + 8 : min(hdlr.start + 12, hdlr.end)]
        track.kept[b"hdlr"] = boxes.body(hdlr, 24) + b"\0"
    minf = kinds.get(b"minf")
    if minf is None:
        return
    judged = track.handler in {VIDEO, SOUND}
    dref = boxes.first(minf, b"dinf", b"dref")
    if judged and dref is not None and _external(boxes, dref):
        words = "The media data are in another file or at an address."
        report.problem(finding("external_reference", "container", words, measured="dref"))
    if (stbl := boxes.first(minf, b"stbl")) is None:
        return
    if judged and (stsd := boxes.first(stbl, b"stsd")) is not None:
        if stsd.end - stsd.start > MAX_ENTRY_BYTES:
            raise over_limit("bytes of sample entries", stsd.end - stsd.start, MAX_ENTRY_BYTES)
        track.entries = _entries(boxes, stsd, track, report)
        track.kept[b"stsd"] = boxes.body(stsd, MAX_ENTRY_BYTES)
    track.samples = read_samples(boxes, stbl, sound=track.handler == SOUND)
    if judged and track.timescale == 0 and track.samples.count:
        raise corrupt("a track without a time scale")


def _external(boxes: Boxes, dref: Box) -> bool:
    (count,) = boxes.unpack(">I", dref, 4)
    found = [box for _, box in zip(range(256), boxes.children(dref.start + 8, dref.end), strict=False)]
    if len(found) < min(count, 256):
        raise corrupt("table 'dref' is shorter than its count")
    return any(not boxes.unpack(">BBBB", box, 0)[3] & 1 for box in found)


def _entries(boxes: Boxes, stsd: Box, track: Track, report: Report) -> list[Entry]:
    (count,) = boxes.unpack(">I", stsd, 4)
    if count > MAX_ENTRIES:
        raise over_limit("sample entries", count, MAX_ENTRIES)
    out = []
    for _, box in zip(range(count), boxes.children(stsd.start + 8, stsd.end), strict=False):
        entry = Entry(box.kind)
        head = _SOUND_ENTRY_BYTES
        if track.handler == VIDEO:
            entry.width, entry.height = boxes.unpack(">HH", box, 24)
            head = _VISUAL_ENTRY_BYTES
        for child in boxes.lenient(box.start + head, box.end):
            entry.extra.setdefault(child.kind, boxes.data[child.start : child.end])
        if box.kind in {b"encv", b"enca", b"drmi", b"drms"} or b"sinf" in entry.extra:
            words = "The video is encrypted." if track.handler == VIDEO else "The sound is encrypted."
            report.problem(finding("encrypted", "container", words, measured=box.name))
        out.append(entry)
    return out
