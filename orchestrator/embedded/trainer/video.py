"""Frames evenly over a video, small, without decoding all of it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from orchestrator.embedded.trainer.pictures import Frames, spread
from orchestrator.embedded.trainer.workspace import BadInput

BOX: Final = (96, 54)  # frames are made to fit this, or its upright form
_EVEN: Final = 2
_DECODE_FACTOR: Final = 2  # full-size frames decoded for one wanted: seconds, however long the video
_THREADS: Final = 2
# Real video files and nothing that names other files or addresses to open, as playlists and scripts do.
_ONLY: Final = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg",
}


@dataclass(frozen=True, slots=True)
class Sample:
    frames: Frames
    times_s: NDArray[np.float64]
    width: int  # of the video itself
    height: int
    frame_rate_fps: float
    duration_s: float


def sample(path: Path, limit: int, at: Callable[[float], None]) -> Sample:
    """Up to `limit` frames, evenly by keyframes and, where those are few, some of what follows each.

    Args:
        path: any container and codec that FFmpeg reads.
        limit: number of frames, above 0.
        at: told the part of the work that is done, 0..1.

    Raises:
        BadInput: it is no video, or not one frame of it can be decoded.
    """
    try:
        with av.open(str(path), options=_ONLY) as container:
            if not container.streams.video:
                raise BadInput("the training video has no picture")
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", _THREADS
            return _sample(container, stream, limit, at)
    except (av.error.FFmpegError, ValueError) as error:
        raise BadInput(f"the training video cannot be decoded: {error}") from error


def _sample(container: InputContainer, stream: VideoStream, limit: int, at: Callable[[float], None]) -> Sample:
    keys = _keyframes(container, stream, limit)
    width, height = _fit(stream.codec_context.width, stream.codec_context.height)
    each = -(-limit // len(keys))
    reach = max(each, _DECODE_FACTOR * limit // len(keys)) if each > 1 else 1
    frames: dict[int, NDArray[np.uint8]] = {}
    for number, key in enumerate(keys):
        until = keys[number + 1] if number + 1 < len(keys) else None
        stride = max(1, min(reach, _length(container, stream, key, until)) // each)
        for frame in itertools.islice(_group(container, stream, key, until), 0, reach, stride):
            small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            frames[frame.pts or 0] = small.to_ndarray().astype(np.uint8, copy=False)
        at((number + 1) / len(keys))
    if not frames:
        raise BadInput("not one frame of the training video can be decoded")
    chosen = [sorted(frames)[index] for index in spread(len(frames), limit)]
    return Sample(
        frames=np.stack([frames[pts] for pts in chosen]),
        times_s=np.array([float(pts * stream.time_base) if stream.time_base else 0.0 for pts in chosen]),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        frame_rate_fps=float(stream.average_rate or 0),
        duration_s=_duration_s(container, stream),
    )


def _group(container: InputContainer, stream: VideoStream, key: int, until: int | None) -> Iterator[av.VideoFrame]:
    """The frames from one keyframe to the next. Damage within costs the rest of the group."""
    container.seek(key, stream=stream, backward=True)
    with contextlib.suppress(av.error.InvalidDataError):
        for frame in container.decode(stream):
            if frame.pts is None or (until is not None and frame.pts >= until):
                return
            if frame.pts >= key:
                yield frame


def _length(container: InputContainer, stream: VideoStream, key: int, until: int | None) -> int:
    """About how many frames lie between two keyframes."""
    time_base, rate = float(stream.time_base or 0), float(stream.average_rate or 0)
    end_s = _duration_s(container, stream) if until is None else until * time_base
    return round((end_s - key * time_base) * rate)


def _keyframes(container: InputContainer, stream: VideoStream, limit: int) -> list[int]:
    """Times of keyframes, in the stream's time base, by seeking to even distances: nothing is decoded."""
    begin = stream.start_time or 0
    length = round(_duration_s(container, stream) / stream.time_base) if stream.time_base else 0
    found: set[int] = set()
    for number in range(limit if length else 1):
        container.seek(begin + length * number // limit, stream=stream, backward=True)
        found.update(_first_key(container, stream))
    if not found:
        raise BadInput("not one frame of the training video can be decoded")
    return sorted(found)


def _first_key(container: InputContainer, stream: VideoStream) -> Iterator[int]:
    for packet in container.demux(stream):
        if packet.is_keyframe and packet.pts is not None:
            yield packet.pts
            return


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _fit(width: int, height: int) -> tuple[int, int]:
    if not width or not height:
        raise BadInput("the training video has no size")
    long, short = BOX
    scale = min(long / max(width, height), short / min(width, height))
    return max(_EVEN, round(width * scale / _EVEN) * _EVEN), max(_EVEN, round(height * scale / _EVEN) * _EVEN)
