"""The vendor's words: its five states are our phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.domain.states import Phase

PHASE_NAMES: Final[Mapping[Phase, str]] = {
    Phase.INIT: "Init",
    Phase.QUEUED: "Queuing",
    Phase.RUNNING: "Training",
    Phase.SUCCEEDED: "Success",
    Phase.FAILED: "Fail",
}
PHASES_BY_NAME: Final = {name: phase for phase, name in PHASE_NAMES.items()}

AVATAR_TYPE: Final = "2DAvatar"
