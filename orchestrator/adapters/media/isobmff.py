"""The header of an MP4 or MOV file, read before any decoder sees the file."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from orchestrator.adapters.media.findings import MIB, Report, Unusable, corrupt, finding, over_limit, truncated
from orchestrator.adapters.media.isobmff_boxes import Box, Boxes
from orchestrator.adapters.media.isobmff_track import Track, read_track
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.sniff import PICTURE_BRANDS

MAX_MOOV_BYTES: Final = 32 * MIB
MAX_TRACKS: Final = 64
MAX_TOP_BOXES: Final = 50_000
WALK_ALL_BYTES: Final = 4 * MIB
WALK_MOOFS: Final = 8
_FTYP_BYTES: Final = 256  # brands that FFmpeg sees
_HEAD_BYTES: Final = 1024  # of boxes of fixed size
KNOWN: Final = frozenset(
    {
        b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"sidx", b"ssix", b"prft",
        b"moof", b"mfra", b"meta", b"udta", b"emsg", b"PICT", b"pdin", b"bloc", b"imda", b"meco", b"junk", b"pict",
    }
)  # fmt: skip


@dataclass(slots=True)
class TopBox:
    kind: bytes
    at: int
    head: int
    size: int

    @property
    def end(self) -> int:
        return self.at + self.size


@dataclass(slots=True)
class Movie:
    """What the header says; times in units of `timescale`. `tops` are the boxes around it, in the order of the file."""

    container: str
    brand: str | None = None
    timescale: int = 0
    duration: int = 0
    fragment_duration: int = 0
    fragmented: bool = False
    tracks: list[Track] = field(default_factory=list)
    moofs: list[TopBox] = field(default_factory=list)
    moofs_complete: bool = True
    media_at: int = 0
    moov_at: int = 0
    tops: list[TopBox] = field(default_factory=list)
    defaults: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    ftyp: bytes = b""
    mvhd: bytes = b""
    trex: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Top:
    """What the walk over the top level found."""

    ftyp: TopBox | None = None
    moov: TopBox | None = None
    mdat: TopBox | None = None
    meta: TopBox | None = None
    cut: TopBox | None = None
    last: TopBox | None = None
    moofs: list[TopBox] = field(default_factory=list)
    all: list[TopBox] = field(default_factory=list)
    moofs_complete: bool = True
    junk_at: int | None = None


def _walk(reader: Reader) -> _Top:
    top, at, count = _Top(), 0, 0
    size_bytes = reader.size_bytes
    while at < size_bytes:
        count += 1
        if count > MAX_TOP_BOXES:
            raise over_limit("top-level boxes", count, MAX_TOP_BOXES)
        raw = reader.read_at(at, 16)
        if len(raw) < 8:
            top.junk_at = at
            break
        box = _top_box(raw, at, size_bytes)
        if box is None or (box.kind not in KNOWN and (top.moov or box.end > size_bytes)):
            if top.moov is None and not (top.moofs or top.mdat):
                raise corrupt(f"at byte {at}")
            top.junk_at = at
            break
        top.last = box
        if box.end > size_bytes:
            if box.kind not in {b"free", b"skip", b"wide", b"uuid", b"mfra", b"udta", b"meta"} or not top.moov:
                top.cut = box
            else:
                top.junk_at = at
            break
        _remember(top, box)
        if len(top.moofs) >= WALK_MOOFS and size_bytes > WALK_ALL_BYTES and top.moov:
            top.moofs_complete = False
            break
        at = box.end
    return top


def _top_box(raw: bytes, at: int, size_bytes: int) -> TopBox | None:
    size, kind = struct.unpack_from(">I4s", raw)
    head = 8
    if size == 1 and len(raw) == 16:
        size, head = struct.unpack_from(">Q", raw, 8)[0], 16
    elif size == 0 and kind in KNOWN:
        size = size_bytes - at
    return TopBox(kind, at, head, size) if size >= head else None


def _remember(top: _Top, box: TopBox) -> None:
    top.all.append(box)
    if box.kind == b"ftyp" and top.ftyp is None:
        top.ftyp = box
    elif box.kind == b"moov" and top.moov is None:
        top.moov = box
    elif box.kind == b"mdat" and top.mdat is None:
        top.mdat = box
    elif box.kind == b"meta" and top.meta is None:
        top.meta = box
    elif box.kind == b"moof":
        top.moofs.append(box)


def read_movie(reader: Reader, report: Report) -> Movie:
    """The movie header, bounded and checked.

    Raises:
        Unusable: with container_corrupt, container_truncated, container_limits or external_reference.
    """
    top = _walk(reader)
    if top.ftyp is None and top.moov is None:  # cut off before it says what it is
        raise _no_header(reader, top)
    container, brand = _container(reader, top, report)
    report.facts["container"] = container
    if container in {"heif", "avif"}:
        return Movie(container, brand)
    if top.moov is None:
        raise _no_header(reader, top)
    if top.junk_at is not None:
        report.note("trailing_data", "container", f"There are foreign bytes behind byte {top.junk_at}.")
    raw = _movie_header(reader, top.moov)
    movie = _parse(raw, Movie(container, brand), report)
    movie.moov_at, movie.tops = top.moov.at, top.all
    if top.ftyp is not None:
        movie.ftyp = reader.read_at(top.ftyp.at, min(top.ftyp.size, _FTYP_BYTES))
        movie.ftyp = len(movie.ftyp).to_bytes(4, "big") + movie.ftyp[4:]
    movie.moofs, movie.moofs_complete = top.moofs, top.moofs_complete
    movie.fragmented = movie.fragmented or bool(top.moofs)
    movie.media_at = top.mdat.at if top.mdat else 0
    if top.cut is not None and not (movie.fragmented and (top.moofs or top.cut.kind != b"mdat")):
        report.problem(truncated(reader.size_bytes, top.cut.end))
    return movie


def _no_header(reader: Reader, top: _Top) -> Unusable:
    if top.cut is not None:
        return Unusable(truncated(reader.size_bytes, top.cut.end))
    if top.last is not None and top.last.kind == b"mdat":
        words = "The file ends before its header: the recording or the upload was cut off. Upload it again."
        return Unusable(finding("container_truncated", "container", words, measured="no moov box"))
    return corrupt("there is no moov box")


def _container(reader: Reader, top: _Top, report: Report) -> tuple[str, str | None]:
    if top.ftyp is None:
        return "mov", None
    raw = reader.read_at(top.ftyp.at + top.ftyp.head, min(top.ftyp.size, 4096))
    raw = raw[: top.ftyp.size - top.ftyp.head]
    if len(raw) < 4:
        raise corrupt("box 'ftyp' is too short")
    brand = raw[:4]
    report.facts["brand"] = brand.decode("latin-1").strip()
    items = top.meta is not None and _has_items(reader, top.meta)
    if brand in PICTURE_BRANDS or items:
        return ("avif" if brand in {b"avif", b"avis"} else "heif"), report.facts["brand"]
    return ("mov" if brand == b"qt  " else "mp4"), report.facts["brand"]


def _has_items(reader: Reader, meta: TopBox) -> bool:
    """A `meta` box with item boxes makes FFmpeg read the file as a HEIF picture."""
    raw = reader.read_at(meta.at + meta.head, min(meta.size - meta.head, 4096))
    return any(kind in raw for kind in (b"iloc", b"iinf", b"iprp", b"pitm"))


def _movie_header(reader: Reader, moov: TopBox) -> bytes:
    if moov.size > MAX_MOOV_BYTES:
        raise over_limit("bytes of header", moov.size, MAX_MOOV_BYTES)
    return reader.read_at(moov.at + moov.head, moov.size - moov.head)


def _inflated(boxes: Boxes, cmov: Box) -> bytes:
    """The movie header out of a compressed one. Its declared size is checked before anything is inflated."""
    scheme, packed = boxes.first(cmov, b"dcom"), boxes.first(cmov, b"cmvd")
    if scheme is None or packed is None or boxes.data[scheme.start : scheme.start + 4] != b"zlib":
        raise corrupt("compressed header of an unknown kind")
    (size,) = boxes.unpack(">I", packed, 0)
    if size > MAX_MOOV_BYTES:
        raise over_limit("bytes of header", size, MAX_MOOV_BYTES)
    raw = zlib.decompressobj().decompress(boxes.data[packed.start + 4 : packed.end], max_length=size)
    inner = Boxes(raw)
    found = next((box for box in inner.children(0, len(raw)) if box.kind == b"moov"), None)
    if found is None:
        raise corrupt("compressed header without a header")
    return raw[found.start : found.end]


def _parse(raw: bytes, movie: Movie, report: Report) -> Movie:
    boxes = Boxes(raw)
    everything = list(boxes.children(0, len(raw)))
    kinds = {box.kind: box for box in reversed(everything)}
    if b"cmov" in kinds:
        boxes = Boxes(_inflated(boxes, kinds[b"cmov"]))
        everything = list(boxes.children(0, len(boxes.data)))
        kinds = {box.kind: box for box in reversed(everything)}
        if b"cmov" in kinds:
            raise corrupt("a compressed header in a compressed header")
    if b"rmra" in kinds:
        words = "The media data are in another file or at an address."
        raise Unusable(finding("external_reference", "container", words, measured="rmra"))
    if (mvhd := kinds.get(b"mvhd")) is not None:
        wide = boxes.unpack(">B", mvhd, 0)[0] == 1
        movie.timescale, movie.duration = boxes.unpack(">IQ" if wide else ">II", mvhd, 20 if wide else 12)
        movie.duration = 0 if movie.duration in {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF} else movie.duration
        movie.mvhd = boxes.body(mvhd, _HEAD_BYTES)
    if (mvex := kinds.get(b"mvex")) is not None:
        movie.fragmented = True
        _defaults(boxes, mvex, movie)
    traks = [box for box in everything if box.kind == b"trak"]
    if len(traks) > MAX_TRACKS:
        raise over_limit("tracks", len(traks), MAX_TRACKS)
    movie.tracks = [read_track(boxes, trak, index, report) for index, trak in enumerate(traks)]
    return movie


def _defaults(boxes: Boxes, mvex: Box, movie: Movie) -> None:
    for box in boxes.children(mvex.start, mvex.end):
        if box.kind == b"mehd":
            wide = boxes.unpack(">B", box, 0)[0] == 1
            movie.fragment_duration = boxes.unpack(">Q" if wide else ">I", box, 4)[0]
        elif box.kind == b"trex":
            track, _, duration, size, flags = boxes.unpack(">5I", box, 4)
            movie.defaults[track] = (duration, size, flags)
            movie.trex[track] = boxes.body(box, _HEAD_BYTES)
