"""`python -m orchestrator.embedded.trainer STAGE`, run in a run directory."""

from __future__ import annotations

import importlib
import sys
from typing import Final

from orchestrator.embedded.trainer.workspace import BadInput, Workspace

EX_OK: Final = 0
EX_USAGE: Final = 64  # sysexits.h
EX_DATAERR: Final = 65  # the same: the input was wrong

# Stage name -> module with `run(workspace)`. Imported one at a time: a stage without video needs no decoder.
STAGES: Final = {
    "video_analyze": "analyze",
    "training_data_preprocess": "preprocess",
    "training": "training",
    "inference_data_preprocess": "inference",
    "test_video_check": "clip",
    "compile": "compiling",
    "action_generate_data": "motion",
    "arrange": "motion",
    "action_mark": "motion",
    "beauty": "beauty",
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m orchestrator.embedded.trainer STAGE, one of {', '.join(STAGES)}\n")
        return EX_USAGE
    workspace = Workspace.here(arguments[0])
    module = importlib.import_module(f"orchestrator.embedded.trainer.{STAGES[arguments[0]]}")
    try:
        module.run(workspace)
    except BadInput as error:
        workspace.say(error=str(error))
        return EX_DATAERR
    return EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
