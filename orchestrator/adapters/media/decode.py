"""The one place where FFmpeg meets a stranger's video. Runs only in the confined child process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import av
import av.error

from orchestrator.adapters.media import hevc
from orchestrator.adapters.media.findings import MIB
from orchestrator.adapters.media.ranges import InputFile, Piece, Reader

MAX_PIXELS: Final = 4096 * 2304
MAX_PACKETS: Final = 300
MAX_ERRORS: Final = 3
MAX_SPOT_BYTES: Final = 24 * MIB
VIDEO_CODECS: Final = (
    "h264", "hevc", "vp8", "vp9", "libdav1d", "prores", "qtrle", "png", "mjpeg", "mpeg4",
)  # fmt: skip
SOUND_CODECS: Final = (
    "aac", "opus", "vorbis", "mp3", "mp3float", "flac", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be",
    "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw",
)  # fmt: skip
# Decoders of codecs in which one key frame stands alone, and a damaged one fails.
SPOT_CODECS: Final = frozenset({"h264", "hevc", "vp8", "vp9", "libdav1d", "prores", "png", "mjpeg"})
_WHITELISTS: Final = {
    "mov": "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska": "matroska,webm",
    "wav": "wav",
    "mp3": "mp3",
    "ogg": "ogg",
    "flac": "flac",
}
BLOCK_ADDITIONS: Final = "matroska_block_additional"


def stream_facts(kind: str, stream: av.VideoStream | av.AudioStream) -> dict[str, object]:
    """What the container and the decoder tell of a stream, by the names of MediaFacts; nothing is judged by it.

    Args:
        kind: `video` or `audio`, begins the names.
    """
    context = stream.codec_context
    told: dict[str, object] = {
        f"{kind}_codec_name": context.codec.long_name,
        f"{kind}_time_base": None if stream.time_base is None else str(stream.time_base),
        f"{kind}_language": stream.language,
    }
    with suppress(ValueError):  # a tag that is no ASCII
        told[f"{kind}_tag"] = context.codec_tag if context.codec_tag.isprintable() else None
    if stream.start_time is not None and stream.time_base is not None:
        told[f"{kind}_start_s"] = round(float(stream.start_time * stream.time_base), 6)
    return told


class NestedOpen(Exception):
    """The file asked for another file."""


def _refuse(_url: str, _flags: int, _options: dict[str, str]) -> object:
    raise NestedOpen


def open_input(
    reader: Reader, demuxer: str, pieces: Sequence[Piece] | None = None, *, fragmented: bool = False
) -> av.container.InputContainer:
    """The file under one forced demuxer, unable to open anything else.

    Args:
        pieces: what FFmpeg sees of it, None for all.

    Raises:
        FFmpegError: it makes nothing of it.
    """
    options = {"threads": "1", "max_pixels": str(MAX_PIXELS)}
    if fragmented:
        options["fflags"] = "+ignidx"  # without it FFmpeg reads every fragment
    elif demuxer == "mp3":
        options["fflags"] = "+fastseek"  # without it FFmpeg reads all that lies before the place it is to go to
    container = {
        "format_whitelist": _WHITELISTS[demuxer],
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(VIDEO_CODECS + SOUND_CODECS),
        "max_streams": "64",
        "probesize": "2000000",
        "analyzeduration": "2000000",
    }
    if demuxer == "mov":
        # Edits are measured from the tables, by us; FFmpeg would drop pictures by them.
        container |= {"enable_drefs": "0", "use_absolute_path": "0", "ignore_editlist": "1"}
    return av.open(
        InputFile(reader, pieces),
        mode="r",
        format=demuxer,
        io_open=_refuse,
        metadata_errors="replace",  # the default raises on a title that is no UTF-8
        buffer_size=65536,
        options=options,
        container_options=container,
    )


@dataclass(slots=True)
class Picture:
    """The first picture of a stream, and the packet of its first key frame."""

    frame: av.VideoFrame | None = None
    key: bytes = b""
    addition: bytes = b""  # what is carried beside the picture, where alpha may be
    extradata: bytes = b""
    rewritten: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return (self.frame.width, self.frame.height) if self.frame is not None else (0, 0)


def limited(context: av.VideoCodecContext) -> av.VideoCodecContext:
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context


def first_picture(container: av.container.InputContainer, stream: av.VideoStream) -> Picture:
    """Decode until the first whole picture; `frame` is None when none comes."""
    context = limited(stream.codec_context)
    out = Picture(extradata=bytes(context.extradata or b""))
    errors = count = 0
    packets = container.demux(stream)
    while count < MAX_PACKETS and errors < MAX_ERRORS:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, NestedOpen):
            break
        count += 1
        if packet.is_keyframe and not out.key and packet.size:
            out.key = bytes(packet)
            if packet.has_sidedata(BLOCK_ADDITIONS):
                out.addition = bytes(packet.get_sidedata(BLOCK_ADDITIONS))
        try:
            out.frame = _whole(packet.decode())
        except av.error.FFmpegError:
            errors += 1
        if out.frame is not None:
            return out
    if out.key and context.name == "hevc" and hevc.layered(out.extradata, out.key):
        out.rewritten = True
        out.frame = decode_alone(stream, out, out.key)
    return out


def _whole(frames: Sequence[object]) -> av.VideoFrame | None:
    return next((f for f in frames if isinstance(f, av.VideoFrame) and not f.is_corrupt), None)


def decode_alone(stream: av.VideoStream, picture: Picture, data: bytes) -> av.VideoFrame | None:
    """One key frame in a decoder of its own, None when it does not decode."""
    extradata = picture.extradata
    if picture.rewritten:
        extradata, data = hevc.base_layer_only(extradata, data)
    context = av.CodecContext.create(stream.codec_context.name, "r")
    if not isinstance(context, av.VideoCodecContext):
        return None
    limited(context)
    if extradata:
        context.extradata = extradata
    context.codec_tag = stream.codec_context.codec_tag
    width, height = stream.codec_context.width, stream.codec_context.height
    if stream.codec_context.name == "prores" and width and height:
        context.width, context.height = width, height
    frames: list[object] = []
    try:
        frames += context.decode(av.Packet(data))
        frames += context.decode(None)
    except av.error.FFmpegError:
        pass
    return _whole(frames)
