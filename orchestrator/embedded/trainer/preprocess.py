"""Stage training_data_preprocess: the video becomes a few hundred small frames."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.pictures import spread, write_grid
from orchestrator.embedded.trainer.video import sample
from orchestrator.embedded.trainer.workspace import BadInput, Workspace, save

FRAMES: Final = "frames.npz"
_FEWEST: Final = 2


def run(workspace: Workspace) -> None:
    limit = int(workspace.number("frames", 240, _FEWEST, 2000))
    workspace.say(progress=0.0, message="sampling frames")

    def at(part: float) -> None:
        workspace.say(progress=round(0.95 * part, 3), message="sampling frames")

    sampled = sample(workspace.video(), limit, at)
    count = len(sampled.frames)
    if count < _FEWEST:
        raise BadInput(f"the training video has {count} usable frame(s), at least {_FEWEST} are needed")
    save(
        workspace.outputs / FRAMES,
        frames=sampled.frames,
        times_s=sampled.times_s,
        source=np.array([sampled.width, sampled.height, sampled.frame_rate_fps, sampled.duration_s]),
    )
    write_grid(workspace.outputs / "thumbnail.jpg", sampled.frames[spread(count, 6)], columns=3)
    workspace.say(progress=1.0, message=f"{count} frames", metrics={"frames": count})
