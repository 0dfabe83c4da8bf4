"""Looks at a sound file: its length is what decodes, not what a header says. Runs in the confined child."""

from __future__ import annotations

import struct
from typing import Final, cast

import av
import av.error

from orchestrator.adapters.media import decode, isobmff, isobmff_view
from orchestrator.adapters.media.findings import MIB, Report, Unusable, corrupt, finding
from orchestrator.adapters.media.isobmff_boxes import MAX_SAMPLES
from orchestrator.adapters.media.isobmff_track import SOUND, VIDEO
from orchestrator.adapters.media.probe import PARSER_ERRORS, sound_facts
from orchestrator.adapters.media.ranges import Piece, Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, guess, sniff

DEMUXERS: Final = {"wav": "wav", "mp3": "mp3", "ogg": "ogg", "flac": "flac", "isobmff": "mov"}
MAX_DECODED_FILE_BYTES: Final = 40 * MIB
MAX_ERRORS: Final = 50
_PCM: Final = frozenset({1, 3, 6, 7, 0xFFFE})


def probe_audio(reader: Reader, report: Report) -> None:
    """Codec and length of a sound file. Raises Unusable."""
    head = reader.read_at(0, HEAD_BYTES)
    found = sniff(head)
    if found not in DEMUXERS:
        what = guess(head) if found is None else found.upper()
        if found is not None:
            report.facts["container"] = found
            return
        message = f"This is not a sound file (it begins like {what})."
        raise Unusable(finding("audio_unrecognized", "container", message, measured=what))
    report.facts["container"] = found
    pieces: list[Piece] | None = None
    if found == "isobmff":
        try:
            pieces = _header(reader, report)
        except PARSER_ERRORS as exc:
            raise corrupt(type(exc).__name__) from exc
        if report.problems_end_it:
            return
    try:
        container = decode.open_input(reader, DEMUXERS[found], pieces)
    except (av.error.FFmpegError, decode.NestedOpen, ValueError) as exc:
        raise corrupt(f"the decoder cannot open it: {type(exc).__name__}") from exc
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise _silent()
        context = cast("av.AudioCodecContext | None", stream.codec_context)  # the stubs forget unknown codecs
        if context is None or context.name not in decode.SOUND_CODECS:
            name = "unknown" if context is None else context.name
            words = f"The sound is coded as {name}, which is not taken."
            raise Unusable(finding("codec_not_allowed", "audio_codec", words, measured=name))
        context.thread_count = 1
        report.facts |= sound_facts(stream) | {
            "audio_codec": context.name,
            "audio_streams": len(container.streams.audio),
        }
        whole = None if found != "wav" or reader.size_bytes <= MAX_DECODED_FILE_BYTES else _wav_length(reader)
        seconds, rate = _decoded(container, stream, enough=whole is not None)
        if not rate:
            words = "The sound cannot be decoded."
            raise Unusable(finding("decode_failed", "duration_s", words))
        report.facts["duration_s"] = report.facts["audio_duration_s"] = round(seconds if whole is None else whole, 3)
        report.facts |= {"sample_rate_hz": rate, "channels": context.channels}


def _header(reader: Reader, report: Report) -> list[Piece]:
    """The bounded header reader first, as for videos; gives what FFmpeg may see."""
    movie = isobmff.read_movie(reader, report)
    videos = [track for track in movie.tracks if track.handler == VIDEO and track.entries and not track.still]
    sounds = [track for track in movie.tracks if track.handler == SOUND and track.entries]
    if not videos and sounds:
        report.facts["container"] = "m4a"
    if not sounds:
        raise _silent()
    return isobmff_view.view(movie, sounds[:1], reader.size_bytes, MAX_SAMPLES)


def _silent() -> Unusable:
    return Unusable(finding("no_audio_stream", "audio_streams", "There is no sound in the file.", measured=0))


def _decoded(container: av.container.InputContainer, stream: av.AudioStream, *, enough: bool) -> tuple[float, int]:
    """(seconds, rate) of what decodes; the first frame is enough where the length is known from the bytes."""
    samples = rate = errors = 0
    packets = container.demux(stream)
    while errors < MAX_ERRORS:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, decode.NestedOpen):
            break
        try:
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    samples += frame.samples
                    rate = rate or frame.sample_rate
        except av.error.FFmpegError:
            errors += 1
        if enough and rate:
            break
    return (samples / rate if rate else 0.0), rate


def _wav_length(reader: Reader) -> float | None:
    """Seconds of a large plain WAV by the bytes that are there."""
    at, rate, align = 12, 0, 0
    for _ in range(64):
        head = reader.read_at(at, 8)
        if len(head) < 8:
            return None
        kind, size = struct.unpack("<4sI", head)
        if kind == b"fmt ":
            body = reader.read_at(at + 8, 16)
            if len(body) < 16 or struct.unpack_from("<H", body)[0] not in _PCM:
                return None
            rate, align = struct.unpack_from("<I", body, 4)[0], struct.unpack_from("<H", body, 12)[0]
        elif kind == b"data":
            there = reader.size_bytes - at - 8
            size = there if size == 0 else min(size, there)
            return size // align / rate if rate and align else None
        at += 8 + size + size % 2
    return None
