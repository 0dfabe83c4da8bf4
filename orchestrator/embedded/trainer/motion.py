"""Stages action_generate_data, arrange, action_mark: where the person moves, in which order, under which names."""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.embedded.trainer.preprocess import FRAMES
from orchestrator.embedded.trainer.training import frames_of
from orchestrator.embedded.trainer.workspace import Workspace

_LIVELY: Final = 1.5  # times the median change: more than this is movement
_STILL: Final = 0.5  # mean change of a byte: less than this is noise of the codec


def run(workspace: Workspace) -> None:
    actions = _actions(workspace)
    if workspace.stage == "arrange":
        actions = sorted(actions, key=lambda action: -action["strength"])
    name = {"arrange": "arrangement.json", "action_mark": "action_marks.json"}.get(workspace.stage, "actions.json")
    marked = [{"name": f"action-{number}", **action} for number, action in enumerate(actions, start=1)]
    workspace.write_document(name, {"actions": marked})
    workspace.say(progress=1.0, message=f"{len(actions)} movements", metrics={"actions": len(actions)})


def _actions(workspace: Workspace) -> list[dict[str, float]]:
    """Runs of neighbouring samples that differ more than usual."""
    frames, times_s = frames_of(workspace).astype(np.float32), workspace.arrays(FRAMES).get("times_s")
    if times_s is None or len(times_s) != len(frames):
        times_s = np.arange(len(frames), dtype=np.float64)
    change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    workspace.say(progress=0.5, message="comparing frames")
    if not len(change):
        return []
    moving = np.concatenate([[False], change > max(_STILL, _LIVELY * float(np.median(change))), [False]])
    begins, ends = np.flatnonzero(~moving[:-1] & moving[1:]), np.flatnonzero(moving[:-1] & ~moving[1:])
    return [
        {
            "begin_s": round(float(times_s[begin]), 3),
            "end_s": round(float(times_s[end]), 3),
            "strength": round(float(change[begin:end].mean()), 3),
        }
        for begin, end in zip(begins, ends, strict=True)
    ]
