"""Stage training: learns the basis, keeps a checkpoint after every epoch, writes the model."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from orchestrator.embedded.trainer.basis import Learner
from orchestrator.embedded.trainer.pictures import Frames, to_uint8, write_grid
from orchestrator.embedded.trainer.preprocess import FRAMES
from orchestrator.embedded.trainer.workspace import BadInput, Workspace, save

MODEL: Final = "model.npz"
DESCRIPTION: Final = "model.json"
FORMAT: Final = "understudy-pca/1"
_CHECKPOINT: Final = "basis.npz"


def run(workspace: Workspace) -> None:
    frames = frames_of(workspace)
    epochs = int(workspace.number("epochs", 30, 1, 100_000))
    learner = Learner(frames, int(workspace.number("components", 16, 1, 256)))
    fingerprint = np.frombuffer(hashlib.sha256(frames.tobytes()).digest(), np.uint8)
    done, explained = _resume(workspace, learner, fingerprint)
    if done:
        workspace.say(progress=done / epochs, message=f"resumed after epoch {done} of {epochs}")
    for epoch in range(done + 1, epochs + 1):
        explained = learner.epoch()
        save(
            workspace.checkpoint / _CHECKPOINT,
            basis=learner.basis,
            epoch=np.array(epoch),
            explained=np.array(explained),
            fingerprint=fingerprint,
        )
        workspace.say(
            progress=round(epoch / epochs, 4),
            message=f"epoch {epoch} of {epochs}",
            metrics={"explained_variance": round(explained, 6), "epoch": epoch},
        )
    _write(workspace, frames, learner, epochs, explained)


def frames_of(workspace: Workspace) -> Frames:
    """The sampled frames. Raises BadInput when they are none."""
    frames = workspace.arrays(FRAMES).get("frames")
    if frames is None or frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):  # noqa: PLR2004
        raise BadInput(f"{FRAMES} holds no frames")
    return frames.astype(np.uint8, copy=False)


def _resume(workspace: Workspace, learner: Learner, fingerprint: np.ndarray) -> tuple[int, float]:
    path = workspace.checkpoint / _CHECKPOINT
    try:
        with np.load(path, allow_pickle=False) as kept:
            basis, same = kept["basis"], np.array_equal(kept["fingerprint"], fingerprint)
            epoch, explained = int(kept["epoch"]), float(kept["explained"])
    except (OSError, ValueError, KeyError, EOFError):
        return 0, 0.0
    if not same or basis.shape != learner.basis.shape:  # of another video, or other parameters
        return 0, 0.0
    learner.basis = basis
    return epoch, explained


def _write(workspace: Workspace, frames: Frames, learner: Learner, epochs: int, explained: float) -> None:
    model = learner.model()
    height, width, _ = model.shape
    save(workspace.outputs / MODEL, **model.arrays())
    workspace.write_document(
        DESCRIPTION,
        {
            "format": FORMAT,
            "width": width,
            "height": height,
            "components": learner.components,
            "frames": len(frames),
            "epochs": epochs,
            "explained_variance": explained,
            "is_flat": learner.is_flat,
        },
    )
    middle = frames[len(frames) // 2][np.newaxis]
    write_grid(workspace.outputs / "thumbnail.png", to_uint8(model.reconstruct(middle)), columns=1)
