"""What a finished model may be used for, how finely it renders, and what the editions of training make of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import File, FileKind, FileState

FLEXUS: Final = "flexus"
FULL_HD_SIDE: Final = 1920
"""Pixels of the longer side; a video with more makes a 4K model."""

LIVE: Final = "LIVE_2D"
_SERVICES: Final = ("VIDEO_2D", LIVE)
_SERVICES_OF_FLEXUS: Final = ("VIDEO_2D",)


def services(switches: frozenset[str], asked: Sequence[str] | None) -> Sequence[str]:
    """The services that a model is made for: those asked for, else the usual ones of the edition.

    Source: MetaStudio, `supported_service` of Create2dModelTrainingJob.

    Raises:
        Invalid: jobs of the Flexus edition make videos only.
    """
    usual = _SERVICES_OF_FLEXUS if FLEXUS in switches else _SERVICES
    if not asked:
        return usual
    if FLEXUS in switches and (others := sorted(set(asked) - set(usual))):
        raise Invalid(f"jobs of the Flexus edition support {usual[0]} only, not {others}", field="supported_service")
    return asked


def traits(attributes: Mapping[str, object], served: Sequence[str]) -> dict[str, object]:
    """What a finished model says of itself, from what was said of its job and the services it is made for."""
    return {
        "is_flexus": attributes.get("is_flexus", False),
        "is_live_copy": attributes.get("is_live_copy", False),
        "is_real_background": not attributes.get("is_background_replacement", True),
        "support_live": LIVE in served,
    }


def is_wide(facts: Mapping[str, object] | None) -> bool:
    """Whether a video of which `facts` were measured is larger than full HD; one that was not measured is not."""
    display = (facts or {}).get("display")
    return isinstance(display, list) and any(isinstance(side, int) and side > FULL_HD_SIDE for side in display)


def decisive_video(files: Iterable[File]) -> File | None:
    """The training video that says how finely the model renders, among a job's files, oldest first.

    The one that is there; where its owner has deleted it since, the last one that was measured.
    """
    videos = [file for file in files if file.kind is FileKind.TRAINING_VIDEO]
    there = [file for file in videos if file.state is FileState.SEALED]
    return next(iter(reversed(there or [file for file in videos if file.facts])), None)
