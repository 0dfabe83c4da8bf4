"""The vendor's words: its five states are our phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.domain.states import STATES, JobState, Phase

PHASE_NAMES: Final[Mapping[Phase, str]] = {
    Phase.INIT: "Init",
    Phase.QUEUED: "Queuing",
    Phase.RUNNING: "Training",
    Phase.SUCCEEDED: "Success",
    Phase.FAILED: "Fail",
}
STATUS_NAMES: Final[Mapping[JobState, str]] = {state: PHASE_NAMES[info.phase] for state, info in STATES.items()}
STATES_BY_STATUS: Final[Mapping[str, tuple[JobState, ...]]] = {
    name: tuple(state for state, status in STATUS_NAMES.items() if status == name) for name in PHASE_NAMES.values()
}

AVATAR_TYPE: Final = "2DAvatar"
