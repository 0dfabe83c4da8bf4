"""Does a video carry alpha, and does it hide anything? A rule per codec: the pixel format tells it only for some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import av
import av.error

from orchestrator.adapters.media import decode, hevc

_NEVER: Final = frozenset({"h264", "libdav1d", "mpeg4", "mjpeg"})
_BESIDE: Final = frozenset({"vp8", "vp9"})  # alpha is a second stream, in the block additions
_ADDITION_ID_BYTES: Final = 8
_ALMOST_OPAQUE: Final = 250  # a lossy codec may miss 255 by a little
_OPAQUE: Final = bytes(range(_ALMOST_OPAQUE, 256))
# Pixel formats with all components of a pixel side by side: bytes of a pixel, place of the high byte of its alpha.
_PACKED: Final = {
    "rgba": (4, 3), "bgra": (4, 3), "argb": (4, 0), "abgr": (4, 0), "ya8": (2, 1), "rgba64be": (8, 6),
    "rgba64le": (8, 7), "ya16be": (4, 2), "ya16le": (4, 3),
}  # fmt: skip


def has_alpha(stream: av.VideoStream, picture: decode.Picture, *, alpha_mode: int, matroska: bool) -> bool:
    """Whether the coded stream carries alpha, opaque or not."""
    name = stream.codec_context.name
    if name in _BESIDE:
        return matroska and alpha_mode == 1 and bool(picture.addition)
    if name == "hevc":
        return hevc.has_alpha(picture.extradata, picture.key)
    if name in _NEVER or picture.frame is None:
        return False
    return any(component.is_alpha for component in picture.frame.format.components)


def is_opaque(stream: av.VideoStream, picture: decode.Picture) -> bool:
    """Whether the alpha of this picture hides nothing. False also where that cannot be seen: HEVC, palettes."""
    name = stream.codec_context.name
    if name in _BESIDE:
        plane = _beside(name, picture.addition[_ADDITION_ID_BYTES:])
        return plane is not None and hides_nothing(plane, luma=True)
    return name != "hevc" and picture.frame is not None and hides_nothing(picture.frame)


def _beside(name: str, data: bytes) -> av.VideoFrame | None:
    """The alpha picture, in the luma plane of a stream of its own."""
    context = av.CodecContext.create(name, "r")
    if not data or not isinstance(context, av.VideoCodecContext):
        return None
    decode.limited(context)
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None


def hides_nothing(frame: av.VideoFrame, *, luma: bool = False) -> bool:
    """Whether every alpha value of the frame, or every luma value, is the highest there is, or all but that."""
    seen = False
    for row in _rows(frame, luma=luma):
        if row.translate(None, _OPAQUE):
            return False
        seen = True
    return seen


def _rows(frame: av.VideoFrame, *, luma: bool) -> Iterator[bytes]:
    """The eight highest bits of each value, or of the lowest, line by line; nothing for formats that we do not read."""
    form = frame.format
    if form.name in _PACKED:
        width, place = _PACKED[form.name]
        yield from (row[place::width] for row in _lines(frame.planes[0], frame.width * width))
        return
    wanted = [each for each in form.components if (each.is_luma if luma else each.is_alpha)]
    if len(wanted) != 1 or form.has_palette or [each.plane for each in form.components].count(wanted[0].plane) > 1:
        return
    bits, plane = wanted[0].bits, frame.planes[wanted[0].plane]
    if bits == 8:
        yield from _lines(plane, frame.width)
    elif 8 < bits <= 16 and not form.is_big_endian:
        for row in _lines(plane, 2 * frame.width):
            yield bytes((min(memoryview(row).cast("H")) >> (bits - 8),)) if bits < 16 else row[1::2]


def _lines(plane: av.video.plane.VideoPlane, used: int) -> Iterator[bytes]:
    """What is behind the used bytes of a line is left from whatever was there."""
    data = bytes(plane)
    for at in range(0, plane.height * plane.line_size, plane.line_size):
        yield data[at : at + used]
