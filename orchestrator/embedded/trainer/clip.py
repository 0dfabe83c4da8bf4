"""Stage test_video_check: the model renders a short clip, and the clip has to play."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av
import numpy as np

from orchestrator.embedded.trainer.inference import model_of
from orchestrator.embedded.trainer.pictures import Frames, spread, to_uint8
from orchestrator.embedded.trainer.training import frames_of
from orchestrator.embedded.trainer.workspace import BadInput, Workspace

_FRAMES: Final = 50
_RATE_FPS: Final = 25
_ENLARGE: Final = 4


def run(workspace: Workspace) -> None:
    model, frames = model_of(workspace), frames_of(workspace)
    try:
        rendered = to_uint8(model.reconstruct(frames[spread(len(frames), _FRAMES)]))
    except ValueError as error:
        raise BadInput(str(error)) from error
    path = workspace.outputs / "test_video.mp4"
    _encode(path, rendered.repeat(_ENLARGE, axis=1).repeat(_ENLARGE, axis=2))
    workspace.say(progress=0.7, message="rendered")
    played = _play(path)
    if played != len(rendered):
        raise BadInput(f"the test video does not play: {played} of {len(rendered)} frames")
    workspace.write_document("test_video.json", {"frames": played, "frame_rate_fps": _RATE_FPS})
    workspace.say(progress=1.0, message=f"{played} frames play", metrics={"frames": played})


def _encode(path: Path, frames: Frames) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=_RATE_FPS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def _play(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
