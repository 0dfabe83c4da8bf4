"""Stage beauty: samples the video and smooths its frames, sparing the edges; preprocessing goes on with them."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.pictures import Pixels, spread, to_uint8, write_grid
from orchestrator.embedded.trainer.preprocess import FRAMES, sampled
from orchestrator.embedded.trainer.workspace import Workspace, save

_SOFTNESS: Final = 12.0  # difference of a byte's value above which a pixel counts as an edge
_STRENGTH: Final = 0.6
_BATCH: Final = 32


def run(workspace: Workspace) -> None:
    arrays = workspace.arrays(FRAMES) if workspace.has(FRAMES) else sampled(workspace, 0.3)
    frames = arrays["frames"]
    strength = workspace.number("beauty_strength", _STRENGTH, 0, 1)
    smooth = np.empty_like(frames)
    for begin in range(0, len(frames), _BATCH):
        smooth[begin : begin + _BATCH] = to_uint8(_smooth(frames[begin : begin + _BATCH].astype(np.float32), strength))
        done = min(begin + _BATCH, len(frames)) / len(frames)
        workspace.say(progress=round(0.3 + 0.65 * done, 3), message="smoothing")
    save(workspace.outputs / FRAMES, **(arrays | {"frames": smooth}))
    shown = spread(len(frames), 4)
    write_grid(workspace.outputs / "beauty.png", np.concatenate([frames[shown], smooth[shown]]), columns=len(shown))
    workspace.say(progress=1.0, message="smoothed")


def _smooth(frames: Pixels, strength: float) -> Pixels:
    """Each pixel moves to the mean of its neighbours as far as they are like it (a bilateral filter, 3 by 3)."""
    padded = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = frames.shape[1:3]
    total, weights = np.zeros_like(frames), np.zeros_like(frames)
    for down in range(3):
        for right in range(3):
            neighbour = padded[:, down : down + height, right : right + width]
            weight = np.exp(-(((neighbour - frames) / _SOFTNESS) ** 2))
            total += weight * neighbour
            weights += weight
    return frames + strength * (total / weights - frames)
