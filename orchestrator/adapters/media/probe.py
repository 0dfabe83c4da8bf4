"""Looks at a video: our own header reader first, then one decoded picture, then two more further on."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeVar

import av
import av.error
import av.stream

from orchestrator.adapters.media import (
    alpha,
    decode,
    ebml,
    ebml_blocks,
    isobmff,
    isobmff_fragments,
    isobmff_length,
    isobmff_view,
    units,
)
from orchestrator.adapters.media.findings import Report, Unusable, corrupt, finding, truncated
from orchestrator.adapters.media.isobmff_track import SOUND, VIDEO, Track
from orchestrator.adapters.media.ranges import Piece, Reader
from orchestrator.adapters.media.sniff import EBML, HEAD_BYTES, ISOBMFF, guess, sniff
from orchestrator.adapters.media.timing import Timing
from orchestrator.domain.media_words import clock, size

STRANGERS: Final = frozenset(
    {
        "avi", "wav", "webp", "riff", "ogg", "flv", "mpeg-ps", "mpeg-video", "asf", "nut", "ivf", "raw-video",
        "mpeg-ts",
    }
)  # fmt: skip
PARSER_ERRORS: Final = (struct.error, ValueError, IndexError, KeyError, OverflowError, zlib.error, AssertionError)
_HDR_TRANSFERS: Final = {16: "pq", 18: "hlg"}
_PLAIN_BITS: Final = 8
_QUARTERS: Final = (90, 270)
_TURNS: Final = (0, 90, 180, 270)
_PREFETCH_BYTES: Final = 384 * 1024

_T = TypeVar("_T")


@dataclass(slots=True)
class Chosen:
    """The video track that counts, whatever the container."""

    demuxer: str
    pieces: list[Piece]  # what FFmpeg sees: this video alone, and one sound track
    codec: str
    declared: tuple[int, int]
    timing: Timing
    alpha_mode: int = 0
    spots: bool = True
    mirrored: bool = False
    cropped: bool = False
    fragmented: bool = False


def probe_video(reader: Reader, report: Report) -> None:
    """Everything about a video, into the report. Raises Unusable where nothing more can be known."""
    head = reader.read_at(0, HEAD_BYTES)
    found = sniff(head)
    if found in STRANGERS:
        report.facts["container"] = found
        return
    if found not in {ISOBMFF, EBML}:
        what = guess(head) if found is None else found.upper()
        message = f"This is not a video file (it begins like {what})."
        raise Unusable(finding("container_unrecognized", "container", message, measured=what))
    try:
        chosen = _isobmff(reader, report) if found == ISOBMFF else _ebml(reader, report)
    except PARSER_ERRORS as exc:
        raise corrupt(type(exc).__name__) from exc
    if chosen is None or report.problems_end_it or chosen.timing.frames == 0:  # nothing to decode is no damage
        return
    _decode(reader, report, chosen)


def _isobmff(reader: Reader, report: Report) -> Chosen | None:
    movie = isobmff.read_movie(reader, report)
    if movie.container in {"heif", "avif"}:
        return None
    videos = [track for track in movie.tracks if track.handler == VIDEO and track.entries]
    sounds = [track for track in movie.tracks if track.handler == SOUND and track.entries]
    report.facts["audio_streams"] = len(sounds)
    chapters = {number for track in movie.tracks for number in track.chapters}
    real = [track for track in videos if track.id not in chapters and not track.still]
    usable = real or [track for track in videos if track.id not in chapters]
    track = _choose([(each, each.enabled) for each in usable], report)
    if track is None:
        return None
    sizes = {(entry.width, entry.height) for entry in track.entries}
    if len(sizes) > 1:
        words = " and ".join(size(each) for each in sorted(sizes))
        report.problem(
            finding("resolution_changes", "coded", f"The file declares pictures of {words}.", measured=words)
        )
    if movie.fragmented:
        timing = isobmff_fragments.measure(reader, movie, track, report)
    else:
        timing = isobmff_length.measure(movie, track, report)
    timing.tell(report)
    _check_places(reader, report, [track, *sounds])
    if track.samples.total_bytes and timing.length_s:
        report.facts["video_bit_rate"] = round(track.samples.total_bytes * 8 / timing.length_s)
    _prefetch(reader, movie, track)
    entry = track.entries[0]
    pieces = isobmff_view.view(movie, [track, *sounds[:1]], reader.size_bytes)
    return Chosen(
        "mov", pieces, entry.fourcc.decode("latin-1").strip(), (entry.width, entry.height),
        timing, mirrored=track.mirrored, cropped=b"clap" in entry.extra, fragmented=movie.fragmented,
    )  # fmt: skip


def _prefetch(reader: Reader, movie: isobmff.Movie, track: Track) -> None:
    """Where FFmpeg will start reading, in one request."""
    start = min(track.samples.chunks, default=0) or (movie.moofs[0].at if movie.moofs else movie.media_at)
    reader.prefetch(start, _PREFETCH_BYTES)


def _check_places(reader: Reader, report: Report, tracks: list[Track]) -> None:
    """Every sample the tables promise must lie inside the file."""
    need = 0
    for track in tracks:
        samples = track.samples
        if not samples.count:
            continue
        if track.handler == VIDEO:
            need = max(need, samples.total_bytes)
        if track.handler == VIDEO or not samples.constant_size:
            need = max(need, samples.end_of_data())
    if need > reader.size_bytes:
        report.problem(truncated(reader.size_bytes, need))


def _ebml(reader: Reader, report: Report) -> Chosen | None:
    segment = ebml.read_segment(reader, report)
    if segment.container == "ebml":
        return None
    videos = [track for track in segment.tracks if track.kind == ebml.VIDEO]
    sounds = [track for track in segment.tracks if track.kind == ebml.SOUND]
    report.facts["audio_streams"] = len(sounds)
    track = _choose([(each, each.enabled) for each in videos], report)
    if track is None:
        return None
    ebml.encrypted(track, report)
    timing = ebml_blocks.measure(reader, segment, track)
    timing.tell(report)
    return Chosen(
        "matroska", segment.view([track, *sounds[:1]]), track.codec, (track.width, track.height), timing,
        alpha_mode=track.alpha_mode, spots=not track.encoded, cropped=track.cropped,
    )  # fmt: skip


def _choose(tracks: list[tuple[_T, bool]], report: Report) -> _T | None:
    """The one track that counts; none or several is a problem."""
    enabled = [track for track, on in tracks if on] or [track for track, _ in tracks]
    report.facts["video_streams"] = len(enabled)
    if not enabled:
        words = "The file has no video track."
        report.problem(finding("no_video_stream", "video_streams", words, measured=0, allowed=1))
        return None
    if len(enabled) > 1:
        words = f"The file has {len(enabled)} video tracks; one is allowed."
        report.problem(finding("multiple_video_streams", "video_streams", words, measured=len(enabled), allowed=1))
    return enabled[0]


def _decode(reader: Reader, report: Report, chosen: Chosen) -> None:
    width, height = chosen.declared
    if width * height > decode.MAX_PIXELS:
        report.facts["coded"] = report.facts["display"] = chosen.declared
        limit = f"{size(chosen.declared)} is more than the {decode.MAX_PIXELS} pixels that are decoded here."
        report.problem(finding("decode_failed", "coded", limit, measured=width * height, allowed=decode.MAX_PIXELS))
        return
    try:
        container = decode.open_input(reader, chosen.demuxer, chosen.pieces, fragmented=chosen.fragmented)
    except (av.error.FFmpegError, decode.NestedOpen, ValueError) as exc:
        raise corrupt(f"the decoder cannot open it: {type(exc).__name__}") from exc
    with container:
        _sound(container, report)
        stream = next(iter(container.streams.video), None)
        context = None if stream is None else stream.codec_context
        report.facts["video_codec"] = chosen.codec if context is None else _codec_name(context.name)
        if stream is None or context is None or context.name not in decode.VIDEO_CODECS:
            name = report.facts["video_codec"]
            words = f"The video is coded as {name}, which is not taken."
            allowed = [_codec_name(each) for each in decode.VIDEO_CODECS]
            report.problem(finding("codec_not_allowed", "video_codec", words, measured=name, allowed=allowed))
            return
        for other in container.streams:
            if other.index != stream.index:
                other.discard = av.stream.Discard.all
        picture = decode.first_picture(container, stream)
        if picture.frame is None:
            _undecodable(report, 0.0)
            return
        _picture(report, chosen, stream, picture)
        opaque = bool(report.facts["alpha"]) and alpha.is_opaque(stream, picture)
        if chosen.spots and context.name in decode.SPOT_CODECS:
            opaque &= _spot_checks(reader, report, chosen, stream, picture)
        if opaque:
            report.note("alpha_all_opaque", "alpha", "The alpha channel hides nothing in the pictures looked at.")


def _codec_name(decoder: str) -> str:
    return "av1" if decoder == "libdav1d" else decoder


def _undecodable(report: Report, at_s: float) -> None:
    message = f"The picture at {clock(at_s)} cannot be decoded."
    report.problem(finding("decode_failed", "display", message, measured=round(at_s, 3)))


def _sound(container: av.container.InputContainer, report: Report) -> None:
    stream = next(iter(container.streams.audio), None)
    if stream is None or stream.codec_context is None:
        return
    context = stream.codec_context
    report.facts |= sound_facts(stream)
    report.facts["audio_codec"] = context.name
    report.facts["sample_rate_hz"] = context.sample_rate or None
    report.facts["channels"] = context.channels or None
    report.facts["audio_bit_rate"] = context.bit_rate or None


def sound_facts(stream: av.AudioStream) -> dict[str, object]:
    """The same for every file with sound."""
    context = stream.codec_context
    return decode.stream_facts("audio", stream) | {
        "audio_profile": context.profile,
        "channel_layout": context.layout.name if context.channels else None,
        "sample_format": getattr(context.format, "name", None),  # the stubs forget that there may be none
    }


def _picture(report: Report, chosen: Chosen, stream: av.VideoStream, picture: decode.Picture) -> None:
    frame = picture.frame
    if frame is None:
        return
    facts = report.facts
    width, height = picture.size
    aspect = stream.sample_aspect_ratio
    aspect = Fraction(aspect) if aspect and aspect > 0 else Fraction(1)
    shown = (width, height) if aspect == 1 else (round(width * aspect), height)
    # a matrix of zeros, or none, turns nothing: FFmpeg's angle is no number then, and no angle as an int
    rotation = -frame.rotation % 360 if abs(frame.rotation) <= 360 else 0
    facts["coded"], facts["rotation"] = (width, height), rotation
    facts["sar"] = f"{aspect.numerator}:{aspect.denominator}"
    facts["display"] = shown[::-1] if rotation in _QUARTERS else shown
    facts |= decode.stream_facts("video", stream)
    facts["video_profile"] = stream.profile or None
    facts["video_level"] = stream.codec_context.level if stream.codec_context.level > 0 else None
    facts["video_b_frames"] = int(stream.codec_context.has_b_frames)
    facts["pix_fmt"] = frame.format.name
    facts["bit_depth"] = max((component.bits for component in frame.format.components), default=None)
    facts["alpha"] = alpha.has_alpha(
        stream, picture, alpha_mode=chosen.alpha_mode, matroska=chosen.demuxer == "matroska"
    )
    facts["color_transfer"] = _HDR_TRANSFERS.get(frame.color_trc)
    if rotation % 90:
        words = f"The picture is turned by {rotation} degrees; only quarter turns are taken."
        report.problem(finding("rotation_not_supported", "rotation", words, measured=rotation, allowed=_TURNS))
    if rotation or chosen.mirrored:
        report.note("rotated", "rotation", f"The picture is turned by {rotation} degrees or mirrored.")
    if frame.interlaced_frame:
        report.note("interlaced", "display", "The picture is interlaced.")
    if facts["color_transfer"]:
        report.note("hdr", "color_transfer", "The picture has a high dynamic range.")
    if (facts["bit_depth"] or 0) > _PLAIN_BITS:
        report.note("high_bit_depth", "bit_depth", f"The picture has {facts['bit_depth']} bits per component.")
    if chosen.declared != (width, height):
        words = f"The header says {size(chosen.declared)}, the picture is {size((width, height))}."
        report.note("size_header_mismatch", "coded", words)
    if chosen.cropped:
        report.note("cropped", "coded", "The container asks for a crop; the whole picture was judged.")
    if picture.addition and not chosen.alpha_mode:
        report.note(
            "alpha_data_without_flag", "alpha", "There is alpha data, but no flag that says so: players ignore it."
        )


def _spot_checks(
    reader: Reader, report: Report, chosen: Chosen, stream: av.VideoStream, picture: decode.Picture
) -> bool:
    """Two more pictures must decode, in the same size. Gives whether their alpha, if they have any, hides nothing."""
    opaque = True
    for spot in chosen.timing.spots:
        if spot.size > decode.MAX_SPOT_BYTES:
            continue
        data = reader.read_at(spot.offset, spot.size)
        frame = decode.decode_alone(stream, picture, data) if data else None
        if frame is None:
            if not units.needs_others(stream.codec_context.name, picture.extradata, data):
                _undecodable(report, spot.at_s)
        elif (frame.width, frame.height) != picture.size:
            changed = (frame.width, frame.height)
            words = f"It changes from {size(picture.size)} to {size(changed)} at {clock(spot.at_s)}."
            report.problem(
                finding("resolution_changes", "coded", words, measured=list(changed), allowed=list(picture.size))
            )
        elif opaque and not picture.addition:
            opaque = alpha.hides_nothing(frame)
    return opaque
