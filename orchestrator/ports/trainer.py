"""What the core needs of a training backend: start, look, stop, read the log, find again.

A backend runs stage commands outside the control plane. It never retries by itself, it never moves a job, and it
writes artefacts only below the run's own prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from orchestrator.domain.retry import FailureClass


class RunState(StrEnum):
    """What a backend says of a run. Only the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"  # the backend knows the handle no more, or its process died without a word


@dataclass(frozen=True, slots=True)
class RunInput:
    """A file the stage reads. The runner verifies `sha256` where it is known and reports it where it is not."""

    name: str  # e.g. "training_video.mp4": the file name below inputs/
    url: str  # presigned GET; a secret
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Everything a backend needs to run one attempt of one stage."""

    run_id: str
    job_id: str
    project_id: str
    stage: str
    attempt: int
    command: Sequence[str]  # argv; "{python}" stands for the interpreter of the runner
    inputs: Sequence[RunInput]
    output_prefix: str  # store prefix of this run's artefacts, ends in "/"
    checkpoint_key: str  # the same for all attempts of a stage of a job: where a resumed try finds its checkpoint
    parameters: Mapping[str, object]
    timeout_s: float
    heartbeat_s: float = 5.0
    grace_s: float = 20.0  # between TERM and KILL
    gpus: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artefact:
    name: str  # path below the run's prefix
    key: str
    size_bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    handle: str
    state: RunState
    heartbeat_at: datetime | None = None
    progress: float | None = None  # 0..1
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: FailureClass | None = None
    exit_code: int | None = None
    artefacts: Sequence[Artefact] = ()
    input_hashes: Mapping[str, str] = field(default_factory=dict)  # input name -> SHA-256 as read


class TrainerBackend(Protocol):
    """Raises TrainerUnavailable when the backend cannot be asked; never for what a run did."""

    def submit(self, spec: RunSpec, key: str) -> str:
        """Start the run and give its handle. Asked again with one key, it starts nothing and gives the same handle."""

    def observe(self, handles: Sequence[str]) -> list[RunStatus]:
        """One status a handle, in order; unknown handles are GONE."""

    def cancel(self, handle: str, grace_s: float) -> None:
        """Ask the run to stop: TERM, then KILL after `grace_s` seconds. Returns at once; observe tells the end."""

    def logs(self, handle: str, offset: int, limit: int = 65536) -> tuple[str, int]:
        """Text of the run's output from a byte offset, and the offset to go on from."""

    def find(self, key: str) -> str | None:
        """The handle of a run submitted under this key, None if there is none."""
