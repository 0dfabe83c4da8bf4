"""Stage video_analyze: is there anything to see? Light, sharpness and black frames over the whole video."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.video import sample
from orchestrator.embedded.trainer.workspace import BadInput, Workspace

_FRAMES: Final = 60
_BLACK: Final = 16.0  # mean luma; video black itself
_MOST_BLACK: Final = 0.9  # part of the video
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


def run(workspace: Workspace) -> None:
    sampled = sample(workspace.video(), _FRAMES, lambda part: workspace.say(progress=round(0.9 * part, 3)))
    luma = sampled.frames.astype(np.float32) @ _LUMA
    brightness = luma.mean(axis=(1, 2))
    # Variance of the Laplacian: the usual measure of focus.
    inner = luma[:, 1:-1, 1:-1]
    laplacian = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:] - 4 * inner
    sharpness = laplacian.var(axis=(1, 2))
    black = float((brightness < _BLACK).mean())
    facts = {
        "frames": len(luma),
        "brightness_mean": round(float(brightness.mean()), 3),
        "brightness_deviation": round(float(brightness.std()), 3),
        "sharpness_median": round(float(np.median(sharpness)), 3),
        "black_part": round(black, 4),
    }
    workspace.write_document("analysis.json", facts)
    if black > _MOST_BLACK:
        raise BadInput(f"{black:.0%} of the training video is black, at most {_MOST_BLACK:.0%} may be")
    workspace.say(progress=1.0, message="analysed", metrics=facts)
