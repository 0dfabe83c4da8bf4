"""Stage inference_data_preprocess: the model has to give the person back; refused when it does not."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.basis import Model
from orchestrator.embedded.trainer.pictures import psnr_db, spread, to_uint8, write_grid
from orchestrator.embedded.trainer.training import MODEL, frames_of
from orchestrator.embedded.trainer.workspace import BadInput, Workspace

_SHOWN: Final = 6
_LEAST_DB: Final = 15.0  # below this people see another picture; a mean frame alone has about as much


def model_of(workspace: Workspace) -> Model:
    """The trained model. Raises BadInput when the file is none."""
    try:
        return Model.of(workspace.arrays(MODEL))
    except ValueError as error:
        raise BadInput(f"{MODEL}: {error}") from error


def run(workspace: Workspace) -> None:
    model, frames = model_of(workspace), frames_of(workspace)
    least_db = workspace.number("min_psnr_db", _LEAST_DB, 0, 100)
    chosen = frames[spread(len(frames), 24)]
    try:
        returned = model.reconstruct(chosen)
    except ValueError as error:
        raise BadInput(str(error)) from error
    workspace.say(progress=0.5, message="measuring")
    each = [psnr_db(one.astype(np.float32), other) for one, other in zip(chosen, returned, strict=True)]
    mean_db, worst_db = float(np.mean(each)), min(each)
    if mean_db < least_db:
        raise BadInput(
            f"the model does not give the frames back: PSNR {mean_db:.1f} dB, at least {least_db:g} dB wanted"
        )
    shown = spread(len(chosen), _SHOWN)
    write_grid(
        workspace.outputs / "preview.png",
        np.concatenate([chosen[shown], to_uint8(returned[shown])]),
        columns=len(shown),
    )
    workspace.write_document(
        "inference.json",
        {
            "psnr_db": round(mean_db, 3),
            "worst_psnr_db": round(worst_db, 3),
            "frames": len(chosen),
            "wanted_db": least_db,
        },
    )
    workspace.say(progress=1.0, message=f"PSNR {mean_db:.1f} dB", metrics={"psnr_db": round(mean_db, 3)})
