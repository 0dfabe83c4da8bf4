"""A kind of job: what material it needs, whether people review it, which stages run, how patient we are.

Profiles come from TOML files; a team adds its own without touching code. A job keeps the switches it was made with, so
that changing a profile never changes the life of a job under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from orchestrator.domain.errors import Invalid
from orchestrator.domain.media import MediaKind, MediaRules
from orchestrator.domain.model import FileKind
from orchestrator.domain.retry import RetryPolicy
from orchestrator.domain.stages import STAGE_BY_NAME
from orchestrator.domain.states import JobState

# What a profile may turn on besides stages.
SWITCHES: Final = {
    "review": "people decide after the machine's check",
    "mask": "an admin puts in a mask file before learning begins",
    "admin_confirm": "an admin looks at the result before the owner gets it",
    "named_account": "the owner accepts or rejects the result",
    "flexus": "the owner may ask for a limited number of retrainings",
    "resubmit": "the owner may mend and resubmit a job that failed anywhere",
    "keep_success": "a job that succeeded cannot be deleted",
}


@dataclass(frozen=True, slots=True)
class Material:
    """One kind of file that a job takes.

    Attributes:
        required: the job cannot be submitted without it, unless the project has one of `waived_by`.
        waived_by: switches of the job that make the material optional.
        required_when: attribute of the job -> the value that makes the material required.
        judged_as: how it is probed.
        rules: what the probe allows.
        alpha_from: name of the job's attribute that says whether the file must (true) or must not (false) have an
            alpha channel; empty: alpha is judged as `rules` say.
    """

    kind: FileKind
    judged_as: MediaKind
    required: bool = False
    waived_by: Sequence[str] = ()
    rules: MediaRules = field(default_factory=MediaRules)
    alpha_from: str = ""
    required_when: Mapping[str, str] = field(default_factory=dict)

    def is_required(self, switches: frozenset[str], attributes: Mapping[str, object]) -> bool:
        """Whether a job with these switches and attributes cannot do without it."""
        asked = self.required or any(attributes.get(name) == value for name, value in self.required_when.items())
        return asked and not switches.intersection(self.waived_by)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How a stage is run: the trainer's command line, the pool whose slots it takes, its limits."""

    command: Sequence[str]
    pool: str = "local"
    timeout: timedelta = timedelta(hours=24)
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of job.

    Attributes:
        switches: of SWITCHES; the names of `stages` are added to them.
        stages: by name of domain.stages; which ones run, and how.
        deadlines: replace the table's own deadline of a state.
        upload_lifetime: after it an unfinished upload is aborted.
        model_file, thumbnail_file: names of the artefacts that become MAIN and COVER of the asset.
    """

    name: str
    title: str
    materials: Sequence[Material]
    stages: Mapping[str, StageSettings]
    switches: frozenset[str] = frozenset()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    deadlines: Mapping[JobState, timedelta] = field(default_factory=dict)
    upload_lifetime: timedelta = timedelta(days=7)
    repairs: int = 0
    name_limit: int = 256
    model_file: str = "model.npz"
    thumbnail_file: str = "thumbnail.png"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.stages) - set(STAGE_BY_NAME))
        if unknown:
            raise Invalid(f"profile {self.name}: no such stages: {unknown}; there are {sorted(STAGE_BY_NAME)}")
        if "training" not in self.stages:
            raise Invalid(f"profile {self.name}: the stage training is missing; without it there is nothing to publish")
        unknown = sorted(self.switches - set(SWITCHES))
        if unknown:
            raise Invalid(f"profile {self.name}: no such switches: {unknown}; there are {sorted(SWITCHES)}")

    @property
    def all_switches(self) -> frozenset[str]:
        return self.switches | frozenset(self.stages)

    def material(self, kind: FileKind) -> Material | None:
        return next((m for m in self.materials if m.kind is kind), None)

    def lacking(
        self, switches: frozenset[str], attributes: Mapping[str, object], held: frozenset[FileKind]
    ) -> dict[FileKind, str]:
        """A sentence for every required material that a job with `switches` and `attributes` does not hold."""
        return {
            m.kind: f"the {m.kind.replace('_', ' ')} is missing"
            for m in self.materials
            if m.kind not in held and m.is_required(switches, attributes)
        }
