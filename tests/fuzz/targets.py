"""What is fuzzed: a name, files to begin with, and what must never happen. Bytes in; an exception is a find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orchestrator.adapters.media import (
    audio,
    documents,
    ebml,
    ebml_blocks,
    images,
    isobmff,
    isobmff_fragments,
    isobmff_length,
    isobmff_view,
)
from orchestrator.adapters.media.findings import Report, Unusable
from orchestrator.adapters.media.isobmff_track import VIDEO
from orchestrator.adapters.media.probe import PARSER_ERRORS, probe_video
from orchestrator.adapters.media.ranges import InputFile, Reader
from tests.media_odd import FRAGMENTS, edited, edits, mp4, webm
from tests.media_samples import Bytes, generator, sample

SMALL: Final = 64 * 1024


@dataclass(frozen=True)
class Target:
    """Attributes:
    seeds: files to begin with.
    run: raises on a find.
    """

    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], object]


def _reader(data: bytes) -> Reader:
    source = Bytes(data)
    return Reader(source.read_range, len(data))


def _boxes(data: bytes) -> None:
    """The header reader of MP4, all tracks measured, and what FFmpeg would see of them."""
    reader, report = _reader(data), Report()
    try:
        movie = isobmff.read_movie(reader, report)
        for track in movie.tracks:
            if track.handler != VIDEO or not track.entries:
                continue
            if movie.fragmented:
                isobmff_fragments.measure(reader, movie, track, report)
            else:
                isobmff_length.measure(movie, track, report)
                track.samples.end_of_data()
            _read_all(InputFile(reader, isobmff_view.view(movie, [track], len(data))))
    except (Unusable, *PARSER_ERRORS):
        pass  # the probe makes container_corrupt of them


def _elements(data: bytes) -> None:
    reader, report = _reader(data), Report()
    try:
        segment = ebml.read_segment(reader, report)
        for track in segment.tracks:
            ebml_blocks.measure(reader, segment, track)
        _read_all(InputFile(reader, segment.view(segment.tracks[:1])))
    except (Unusable, *PARSER_ERRORS):
        pass


def _read_all(file: InputFile) -> None:
    size = file.seek(0, 2)
    file.seek(0)
    got = 0
    while piece := file.read(65536):
        assert len(piece) <= 65536
        got += len(piece)
    assert got == size


def _judged(look: Callable[[Reader, Report], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with suppress(Unusable):
            look(_reader(data), Report())

    return run


def _ranges(data: bytes) -> None:
    """Pairs of numbers as ranges: the reader gives what a slice would."""
    reader = _reader(data)
    for at in range(0, min(len(data) - 6, 600), 6):
        start, length = int.from_bytes(data[at : at + 3], "big"), int.from_bytes(data[at + 3 : at + 6], "big")
        look = reader.read_ahead if start % 2 else reader.read_at
        assert look(start, length) == data[start : start + length]


def _videos() -> list[bytes]:
    small = mp4(4, n=4)
    return [
        small,
        generator().fast(small),
        edited(edits((1, -1, 65536), (2, 0, 65536)), small),
        mp4(4, n=4, movflags=FRAGMENTS),
    ]


def _webms() -> list[bytes]:
    return [
        data for data in (webm(4), webm(4, unknown=False, duration=4000.0), webm(4, alpha_mode=1)) if len(data) < SMALL
    ]


TARGETS: Final[Mapping[str, Target]] = {
    "boxes": Target(_videos, _boxes),
    "elements": Target(_webms, _elements),
    "video": Target(lambda: [*_videos(), *_webms()], _judged(probe_video)),
    "image": Target(lambda: [sample("square.jpg"), sample("not_square.png")], _judged(images.probe_image)),
    "document": Target(lambda: [b"%PDF-1.4\n/ObjStm stream\nx startxref\n%%EOF"], _judged(documents.probe_document)),
    "audio": Target(lambda: [generator().wav(1, 8000)], _judged(audio.probe_audio)),
    "ranges": Target(lambda: [bytes(range(256)) * 200], _ranges),
}
