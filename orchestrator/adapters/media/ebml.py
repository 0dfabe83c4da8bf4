"""The header of a Matroska or WebM file, read before any decoder sees the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.adapters.media.ebml_elements import (
    MAX_ELEMENTS,
    UNKNOWN,
    Element,
    children,
    number,
    read_header,
    text,
    unsigned,
    written,
)
from orchestrator.adapters.media.findings import MIB, Report, corrupt, finding, over_limit, truncated
from orchestrator.adapters.media.ranges import Piece, Reader

MAX_HEADER_BYTES: Final = 4 * MIB
MAX_TRACKS: Final = 64
SEGMENT: Final = 0x18538067
SEEK_HEAD: Final = 0x114D9B74
INFO: Final = 0x1549A966
TRACKS: Final = 0x1654AE6B
CLUSTER: Final = 0x1F43B675
VOID: Final = 0xEC
CRC: Final = 0xBF
TIMESTAMP_SCALE: Final = 0x2AD7B1
_SEGMENT_WITHOUT_SIZE: Final = bytes.fromhex("1853806701ffffffffffffff")
VIDEO: Final = 1
SOUND: Final = 2


@dataclass(slots=True)
class Track:
    """One TrackEntry. `step_ns`: DefaultDuration, 0 when not given; `raw`: the element as it stands in the file."""

    number: int = 0
    kind: int = 0
    codec: str = ""
    enabled: bool = True
    alpha_mode: int = 0
    step_ns: int = 0
    encoded: bool = False
    encrypted: bool = False
    width: int = 0
    height: int = 0
    cropped: bool = False
    raw: bytes = b""


@dataclass(slots=True)
class Segment:
    """What the header says. Times in units of `scale_ns`."""

    container: str
    scale_ns: int = 1_000_000
    duration: float | None = None
    tracks: list[Track] = field(default_factory=list)
    first_cluster: int | None = None
    end: int = 0
    ebml: bytes = b""

    def view(self, tracks: Sequence[Track]) -> list[Piece]:
        """What FFmpeg gets to see: a header of ours with these tracks alone, and the clusters. Tags are not there."""
        info = written(INFO, written(TIMESTAMP_SCALE, self.scale_ns.to_bytes(8, "big")))
        header = self.ebml + _SEGMENT_WITHOUT_SIZE + info + written(TRACKS, *(track.raw for track in tracks))
        start = self.end if self.first_cluster is None else self.first_cluster
        return [header, (start, self.end - start)]


def read_segment(reader: Reader, report: Report) -> Segment:
    """The header up to the first cluster, bounded and checked.

    Raises:
        Unusable: with container_corrupt, container_truncated or container_limits.
    """
    head = reader.read_at(0, 4096)
    ebml = read_header(head, 0)
    if ebml is None or ebml.end == UNKNOWN or ebml.end > len(head):
        raise corrupt("the EBML header")
    doctype = next((text(head, each) for each in children(head, ebml.start, ebml.end) if each.id == 0x4282), "")
    segment = Segment({"webm": "webm", "matroska": "matroska"}.get(doctype, "ebml"))
    segment.ebml = head[: ebml.end]
    report.facts["container"] = segment.container
    if segment.container == "ebml":
        return segment
    top = _segment_header(reader, ebml.end)
    segment.end = reader.size_bytes if top.end == UNKNOWN else top.end
    if segment.end > reader.size_bytes:
        report.problem(truncated(reader.size_bytes, segment.end))
        segment.end = reader.size_bytes
    elif segment.end < reader.size_bytes:
        report.note("trailing_data", "container", f"There are foreign bytes behind byte {segment.end}.")
    _walk(reader, segment, top.start)
    if not segment.tracks and not report.problems:
        raise corrupt("there is no list of tracks")
    return segment


def _segment_header(reader: Reader, at: int) -> Element:
    for _ in range(16):
        raw = reader.read_at(at, 16)
        element = read_header(raw, 0)
        if element is None:
            raise corrupt("there is no segment")
        if element.id == SEGMENT:
            end = UNKNOWN if element.end == UNKNOWN else at + element.end
            return Element(SEGMENT, at, at + element.start, end)
        if element.id not in {VOID, CRC} or element.end == UNKNOWN:
            raise corrupt("there is no segment")
        at += element.end
    raise corrupt("there is no segment")


def _walk(reader: Reader, segment: Segment, start: int) -> None:
    """Level 1 to the first cluster; what the seek head knows to lie behind it is fetched from there."""
    at, seeks, seen = start, dict[int, int](), set[int]()
    for count in range(MAX_ELEMENTS + 1):
        if count == MAX_ELEMENTS:
            raise over_limit("elements", MAX_ELEMENTS + 1, MAX_ELEMENTS)
        element = read_header(reader.read_at(at, 16), 0) if at < segment.end else None
        if element is None:
            break
        if element.id == CLUSTER:
            segment.first_cluster = at
            break
        if element.end == UNKNOWN:
            raise corrupt(f"an element of unknown size at byte {at}")
        _take(reader, segment, at, element, seeks=seeks, seen=seen)
        at += element.end
    for kind in (INFO, TRACKS):
        if kind not in seen and kind in seeks:
            place = start + seeks[kind]
            element = read_header(reader.read_at(place, 16), 0) if place < segment.end else None
            if element is not None and element.id == kind and element.end != UNKNOWN:
                _take(reader, segment, place, element, seeks={}, seen=seen)


def _take(
    reader: Reader, segment: Segment, at: int, element: Element, *, seeks: dict[int, int], seen: set[int]
) -> None:
    if element.id not in {SEEK_HEAD, INFO, TRACKS} or element.id in seen:
        return
    seen.add(element.id)
    size = element.end - element.start
    if size > MAX_HEADER_BYTES:
        raise over_limit("bytes of header", size, MAX_HEADER_BYTES)
    body = reader.read_at(at + element.start, size)
    if len(body) < size:
        raise corrupt("the header is cut off")
    if element.id == INFO:
        _info(body, segment)
    elif element.id == TRACKS:
        _tracks(body, segment)
    else:
        for seek in children(body):
            fields = {each.id: each for each in children(body, seek.start, seek.end)} if seek.id == 0x4DBB else {}
            if 0x53AB in fields and 0x53AC in fields:
                target = fields[0x53AB]
                kind = int.from_bytes(body[target.start : target.end], "big")
                seeks.setdefault(kind, unsigned(body, fields[0x53AC]))


def _info(body: bytes, segment: Segment) -> None:
    for element in children(body):
        if element.id == TIMESTAMP_SCALE:
            segment.scale_ns = unsigned(body, element)
        elif element.id == 0x4489:
            segment.duration = number(body, element)
    if segment.scale_ns == 0:
        raise corrupt("a time scale of zero")


def _tracks(body: bytes, segment: Segment) -> None:
    for entry in children(body):
        if entry.id != 0xAE:
            continue
        if len(segment.tracks) >= MAX_TRACKS:
            raise over_limit("tracks", MAX_TRACKS + 1, MAX_TRACKS)
        track = _track(body, entry)
        track.raw = body[entry.head : entry.end]
        segment.tracks.append(track)


def _track(body: bytes, entry: Element) -> Track:
    track = Track()
    for element in children(body, entry.start, entry.end):
        match element.id:
            case 0xD7:
                track.number = unsigned(body, element)
            case 0x83:
                track.kind = unsigned(body, element)
            case 0x86:
                track.codec = text(body, element)
            case 0xB9:
                track.enabled = bool(unsigned(body, element))
            case 0x23E383:
                track.step_ns = unsigned(body, element)
            case 0xE0:
                _picture(body, element, track)
            case 0x6D80:
                track.encoded = True
                track.encrypted = _encrypted(body, element)
    return track


def _picture(body: bytes, video: Element, track: Track) -> None:
    for element in children(body, video.start, video.end):
        match element.id:
            case 0xB0:
                track.width = unsigned(body, element)
            case 0xBA:
                track.height = unsigned(body, element)
            case 0x53C0:
                track.alpha_mode = unsigned(body, element)
            case 0x54AA | 0x54BB | 0x54CC | 0x54DD:
                track.cropped = track.cropped or bool(unsigned(body, element))


def _encrypted(body: bytes, encodings: Element) -> bool:
    for encoding in children(body, encodings.start, encodings.end):
        if encoding.id != 0x6240:
            continue
        for element in children(body, encoding.start, encoding.end):
            if element.id == 0x5035 or (element.id == 0x5033 and unsigned(body, element) == 1):
                return True
    return False


def encrypted(track: Track, report: Report) -> None:
    """Tell that the chosen track is encrypted."""
    if track.encrypted:
        report.problem(finding("encrypted", "container", "The video is encrypted.", measured="ContentEncryption"))
