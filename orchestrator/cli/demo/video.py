"""Real videos for the demo, made here: H.264 in MP4, a moving figure before a noisy background."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

FPS: Final = 1
LEGAL_S: Final = 181  # three minutes are the least
BAD_S: Final = 44
FULL_HD: Final = (1920, 1080)
HALF_HD: Final = (1280, 720)
_NOISE_PLANES: Final = 8  # noise is dear to make: a few planes are used again, shifted
_NOISE: Final = 6

Plane = NDArray[np.uint8]


def make_video(path: Path, *, size: tuple[int, int] = FULL_HD, duration_s: int = LEGAL_S, seed: int = 1) -> Path:
    """A video of `duration_s` seconds at FPS frames a second; the noise makes a legal one about 20 MB.

    Written under another name first: a file at `path` is whole.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    noise = [rng.integers(0, _NOISE, (height, width), dtype=np.uint8) for _ in range(_NOISE_PLANES)]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    backdrop = (60 + 80 * columns / width + 30 * rows / height).astype(np.uint8)
    colour = np.full((height // 2, width), 128, np.uint8)  # both chroma planes, neutral
    draft = path.with_name(f".{path.name}.part")
    with av.open(str(draft), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "30", "g": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number in range(duration_s * FPS):
            luma = _figure(backdrop, number) + np.roll(noise[number % _NOISE_PLANES], 97 * number)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, colour]), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return draft.replace(path)


def _figure(backdrop: Plane, number: int) -> Plane:
    """Head and shoulders that sway, and a mouth that opens."""
    height, width = backdrop.shape
    x, y = width * (0.5 + 0.04 * np.sin(number / 5)), height * (0.42 + 0.02 * np.cos(number / 3))
    frame = backdrop.copy()
    _ellipse(frame, (x, height), (0.33 * width, 0.33 * height), 70)
    _ellipse(frame, (x, y), (0.11 * width, 0.26 * height), 190)
    opening = 0.01 + 0.02 * abs(np.sin(number * 0.9))
    _ellipse(frame, (x, y + 0.12 * height), (0.035 * width, opening * height), 40)
    return frame


def _ellipse(frame: Plane, centre: tuple[float, float], radii: tuple[float, float], shade: int) -> None:
    """Filled; squares are taken along the axes only, which is what makes it quick."""
    (x, y), (across, down) = centre, radii
    height, width = frame.shape
    top, bottom = max(0, int(y - down)), min(height, int(y + down) + 2)
    left, right = max(0, int(x - across)), min(width, int(x + across) + 2)
    columns = ((np.arange(left, right, dtype=np.float32) - x) / across) ** 2
    rows = ((np.arange(top, bottom, dtype=np.float32) - y) / down) ** 2
    frame[top:bottom, left:right][rows[:, np.newaxis] + columns < 1] = shade
