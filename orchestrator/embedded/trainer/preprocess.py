"""Stage training_data_preprocess: the video becomes a few hundred small frames."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.pictures import spread, write_grid
from orchestrator.embedded.trainer.video import sample
from orchestrator.embedded.trainer.workspace import Arrays, BadInput, Workspace, save

FRAMES: Final = "frames.npz"
_FEWEST: Final = 2


def run(workspace: Workspace) -> None:
    # the stage beauty has sampled already; a video retouched by hand is newer than what it made
    by_hand = any(workspace.inputs.glob("beauty_video*"))
    arrays = workspace.arrays(FRAMES) if workspace.has(FRAMES) and not by_hand else sampled(workspace, 0.95)
    frames = arrays["frames"].astype(np.uint8, copy=False)
    count = len(frames)
    save(workspace.outputs / FRAMES, **arrays)
    write_grid(workspace.outputs / "thumbnail.jpg", frames[spread(count, 6)], columns=3)
    workspace.say(progress=1.0, message=f"{count} frames", metrics={"frames": count})


def sampled(workspace: Workspace, share: float) -> Arrays:
    """Frames of the video and what is known of it, to be saved as FRAMES.

    Args:
        share: of the stage's progress that sampling is.

    Raises:
        BadInput: the video has too few usable frames.
    """
    limit = int(workspace.number("frames", 240, _FEWEST, 2000))
    workspace.say(progress=0.0, message="sampling frames")

    def at(part: float) -> None:
        workspace.say(progress=round(share * part, 3), message="sampling frames")

    found = sample(workspace.video(), limit, at)
    count = len(found.frames)
    if count < _FEWEST:
        raise BadInput(f"the training video has {count} usable frame(s), at least {_FEWEST} are needed")
    source = np.array([found.width, found.height, found.frame_rate_fps, found.duration_s])
    return {"frames": found.frames, "times_s": found.times_s, "source": source}
