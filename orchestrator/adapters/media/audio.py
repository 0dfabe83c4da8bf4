"""Looks at a sound file: its length is what its packets hold, not what a header says. Runs in the confined child."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, cast

import av
import av.error

from orchestrator.adapters.media import archive, decode, isobmff, isobmff_view
from orchestrator.adapters.media.findings import MIB, Report, Unusable, corrupt, finding
from orchestrator.adapters.media.isobmff_boxes import MAX_SAMPLES
from orchestrator.adapters.media.isobmff_track import SOUND, VIDEO
from orchestrator.adapters.media.probe import PARSER_ERRORS, sound_facts
from orchestrator.adapters.media.ranges import Piece, Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, guess, sniff

DEMUXERS: Final = {"wav": "wav", "mp3": "mp3", "ogg": "ogg", "flac": "flac", "isobmff": "mov"}
MAX_DECODED_FILE_BYTES: Final = 40 * MIB
MAX_ERRORS: Final = 50
DECODED_S: Final = 20  # of the beginning; a second of sound takes about a hundredth
MAX_WALKED: Final = 100_000  # packets read one by one: below a second; an hour of MP3 has 138,000
END_S: Final = 20  # how far before its end a large file is read on
TAIL_PACKETS: Final = 50
_PCM: Final = frozenset({1, 3, 6, 7, 0xFFFE})


def probe_audio(reader: Reader, report: Report) -> None:
    """Codec and length of a sound file, or what is in a ZIP of them. Raises Unusable."""
    head = reader.read_at(0, HEAD_BYTES)
    found = sniff(head)
    if found is None:
        what = guess(head)
        message = f"This is not a sound file (it begins like {what})."
        raise Unusable(finding("audio_unrecognized", "container", message, measured=what))
    report.facts["container"] = found
    if found == "zip":
        archive.probe_sounds(reader, frozenset(DEMUXERS))
    elif found in DEMUXERS:
        _probe_sound(reader, report, found)


def _probe_sound(reader: Reader, report: Report, found: str) -> None:
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
        jump = whole is None and reader.size_bytes > MAX_DECODED_FILE_BYTES
        seconds, rate = _measured(container, stream, enough=whole is not None, jump=jump)
        if not rate:
            words = "The sound cannot be decoded."
            raise Unusable(finding("decode_failed", "duration_s", words))
        report.facts["duration_s"] = report.facts["audio_duration_s"] = round(seconds if whole is None else whole, 3)
        report.facts |= {"sample_rate_hz": rate, "channels": context.channels}
        report.facts["audio_bit_rate"] = context.bit_rate or _mean_bit_rate(reader, report)


def _mean_bit_rate(reader: Reader, report: Report) -> int | None:
    """Of the whole file, which is hardly more than its sound: for codecs that name none."""
    seconds = report.facts["duration_s"]
    return round(reader.size_bytes * 8 / seconds) if isinstance(seconds, float) and seconds > 0 else None


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


def _measured(
    container: av.container.InputContainer, stream: av.AudioStream, *, enough: bool, jump: bool | None
) -> tuple[float, int]:
    """(seconds, rate) of the sound.

    The beginning and the end are decoded. Between them the packets tell how long they are: decoding an hour takes
    half a minute.

    Args:
        enough: the first frame will do, the length is known from the bytes.
        jump: the file is too large to be read: the end is looked for, and tells by its own times what lies before it;
            so it is in a smaller file once too many packets were read.

    Raises:
        Unusable: what is behind the end that the header tells is too much to be read as well.
    """
    sound = _Sound()
    tail: deque[av.Packet[av.AudioStream]] = deque()
    packets, walked = container.demux(stream), 0
    while sound.errors < MAX_ERRORS:
        try:
            packet = next(packets)
            walked += 1
            if (jump and sound.seconds >= DECODED_S) or walked > MAX_WALKED:
                if jump is None:
                    raise Unusable(finding("duration_unknown", "duration_s", "The header tells a false length."))
                jump, walked = None, 0
                tail.clear()
                packets = _near_the_end(container, stream)
                sound.skip_to(packet := next(packets))
        except (StopIteration, av.error.FFmpegError, decode.NestedOpen):
            break
        if sound.seconds < DECODED_S and not tail:
            sound.decode(packet)
        else:
            tail.append(packet)  # the last one is empty and makes the decoder give what it holds back
            if len(tail) > TAIL_PACKETS:
                sound.believe(tail.popleft())
        if enough and sound.rate:
            return sound.seconds, sound.rate
    sound.end(tail)
    return sound.seconds, sound.rate


def _near_the_end(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.Packet[av.AudioStream]]:
    """The packets of the last seconds, wherever the header says they are."""
    container.seek(max(0, (container.duration or 0) - END_S * av.time_base))
    return container.demux(stream)


class _Sound:
    """How much sound there was so far."""

    def __init__(self) -> None:
        self._samples = 0
        self._believed_s = 0.0
        self._next: int | None = None  # when the packet behind the last one begins
        self.rate = self.errors = 0

    @property
    def seconds(self) -> float:
        return self._believed_s + (self._samples / self.rate if self.rate else 0.0)

    def decode(self, packet: av.Packet[av.AudioStream]) -> bool:
        """Whether sound came out."""
        self._passed(packet)
        before = self._samples
        try:
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    self._samples += frame.samples
                    self.rate = self.rate or frame.sample_rate
        except av.error.FFmpegError:
            self.errors += 1
        return self._samples > before

    def believe(self, packet: av.Packet[av.AudioStream]) -> None:
        """Add what the packet says; one that says nothing is decoded."""
        if not packet.duration or not packet.time_base:
            self.decode(packet)
            return
        self._passed(packet)
        self._believed_s += float(packet.duration * packet.time_base)

    def _passed(self, packet: av.Packet[av.AudioStream]) -> None:
        self._next = None if packet.pts is None else packet.pts + (packet.duration or 0)

    def skip_to(self, packet: av.Packet[av.AudioStream]) -> None:
        """Take the time between the packets before and this one for sound, if there is any."""
        if packet.pts is not None and packet.time_base and self._next is not None:
            self._believed_s += max(0.0, float((packet.pts - self._next) * packet.time_base))

    def end(self, tail: Iterable[av.Packet[av.AudioStream]]) -> None:
        """Decode the last packets. If none of them is sound, nothing that was only believed counts."""
        packets = list(tail)
        believed_s = self._believed_s
        samples, self._samples = self._samples, 0
        heard = [self.decode(packet) for packet in packets]
        if packets and not any(heard):
            believed_s = 0.0
        # Some codecs need a few packets until sound comes: those are as long as they say.
        late = packets[: heard.index(True)] if any(heard) else []
        self._believed_s = believed_s + sum(float((each.duration or 0) * (each.time_base or 0)) for each in late)
        self._samples += samples


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
