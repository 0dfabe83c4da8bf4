"""Stage compile: the model for devices, as float16 and as int8 with a scale a direction, and what that costs."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.basis import Model
from orchestrator.embedded.trainer.inference import model_of
from orchestrator.embedded.trainer.pictures import Pixels, psnr_db, spread
from orchestrator.embedded.trainer.preprocess import FRAMES
from orchestrator.embedded.trainer.training import frames_of
from orchestrator.embedded.trainer.workspace import Workspace, save

_INT8: Final = 127


def run(workspace: Workspace) -> None:
    model = model_of(workspace)
    half = {"mean": model.mean.astype(np.float16), "basis": model.basis.astype(np.float16)}
    scale = np.maximum(np.abs(model.basis).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / _INT8
    bytes_ = np.rint(model.basis / scale).astype(np.int8)
    shape = np.array(model.shape)
    save(workspace.outputs / "model.float16.npz", shape=shape, **half)
    save(workspace.outputs / "model.int8.npz", shape=shape, mean=half["mean"], basis=bytes_, scale=scale)
    workspace.say(progress=0.5, message="measuring")
    bases = {"float16": half["basis"].astype(np.float32), "int8": bytes_.astype(np.float32) * scale}
    mean = half["mean"].astype(np.float32)
    report = {name: _errors(workspace, model, Model(mean, basis, model.shape)) for name, basis in bases.items()}
    workspace.write_document("compile.json", report)
    workspace.say(progress=1.0, message="compiled")


def _errors(workspace: Workspace, model: Model, small: Model) -> dict[str, float]:
    errors = {"largest_basis_error": float(_largest(model.basis, small.basis))}
    if workspace.has(FRAMES):
        frames = frames_of(workspace)
        frames = frames[spread(len(frames), 12)]
        errors["psnr_to_original_db"] = round(psnr_db(model.reconstruct(frames), small.reconstruct(frames)), 3)
    return errors


def _largest(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one - other).max(initial=0.0))
