"""Small pictures: a grid of frames as one image, and a measure of how alike two are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frames = NDArray[np.uint8]  # (count, height, width, 3), RGB
Pixels = NDArray[np.float32]
FULL = 255.0
IDENTICAL_DB = 100.0  # stands for an infinite PSNR, which JSON cannot say


def to_uint8(pixels: Pixels) -> Frames:
    """Floats of 0..255 as bytes; what lies outside is cut off."""
    return np.clip(np.rint(pixels), 0, FULL).astype(np.uint8)


def write_grid(path: Path, frames: Frames, columns: int) -> None:
    """Frames side by side, as a PNG or JPEG by the suffix of `path`."""
    count, height, width, _ = frames.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, frame in enumerate(frames):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = frame
    Image.fromarray(sheet).save(path)


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the indexes below `count`, evenly."""
    return sorted({round(position) for position in np.linspace(0, count - 1, min(count, wanted))})


def psnr_db(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio; IDENTICAL_DB at most."""
    error = float(np.mean((one - other) ** 2))
    return IDENTICAL_DB if error == 0 else min(IDENTICAL_DB, float(10 * np.log10(FULL**2 / error)))
