"""What is asked of lists and what is shown of a job: plain values between the database and the dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from orchestrator.domain.model import Comment, File, FileKind, FileState, Job, JobSheet, LogEntry, Run
from orchestrator.domain.states import STATES, JobState, Phase

MAX_PAGE: Final = 100


class Dossier(NamedTuple):
    """What the steps of the machine work from: the sheet, the sealed files, what the stages have made.

    Attributes:
        made: stage -> its newest successful run, of those that worked on the present material.
    """

    sheet: JobSheet
    files: Sequence[File]
    made: Mapping[str, Run]


class Queue(NamedTuple):
    """Who has a pool, and who wants it.

    Attributes:
        held: project -> how many slots its runs hold, counted from what really runs.
        waiting: of every project the jobs that come first, as many as there are slots to give out.
    """

    held: Mapping[str, int]
    waiting: Sequence[Job]


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, in which order, which page.

    Attributes:
        project_id: None: all projects (people only).
        exact: column -> value, for profile, owner, batch_name, app_user_id, id.
        before: a job id; the page begins behind it (deep pages cost what the first one does).
        offset: records to skip, for public APIs that page that way; prefer `before`.
        tag: one of the job's labels.
        attributes, settings: fields of the sheet by name; False is also met by a job that does not have the field.
        wide_video: whether the longer side of the training video has more than 1920 pixels.
        updated_since, updated_until: of the last create or submit by the owner.
        by_update: in the order of that instant, not of creation.
        phase: as `machine.phase_of` says, which takes the place of `states`.
    """

    project_id: str | None
    states: Sequence[JobState] = ()
    exact: Mapping[str, object] = field(default_factory=dict)
    name_contains: str = ""
    created_since: datetime | None = None
    created_until: datetime | None = None
    before: str | None = None
    offset: int = 0
    limit: int = 20
    oldest_first: bool = False
    tag: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    wide_video: bool | None = None
    updated_since: datetime | None = None
    updated_until: datetime | None = None
    by_update: bool = False
    phase: Phase | None = None

    @property
    def every_state(self) -> Sequence[JobState]:
        """The states asked for, each once, by themselves or by phase; none: whatever state."""
        if self.phase is None:
            return list(dict.fromkeys(self.states))
        return [s for s, info in STATES.items() if info.phase is self.phase]

    @property
    def only_states(self) -> bool:
        """Nothing but project and states is asked for, so the kept counts answer."""
        return not (
            self.exact or self.name_contains or self.created_since or self.created_until or self.tag
            or self.attributes or self.settings or self.wide_video is not None
            or self.updated_since or self.updated_until
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobSummary:
    job: Job
    sheet: JobSheet


@dataclass(frozen=True, slots=True)
class JobDetail:
    job: Job
    sheet: JobSheet
    log: Sequence[LogEntry]
    comments: Sequence[Comment]
    files: Sequence[File]
    runs: Sequence[Run]

    @property
    def run(self) -> Run | None:
        """The run the job stands on now, if any."""
        return next((run for run in self.runs if run.id == self.job.run_id), None)

    def sealed(self, kind: FileKind) -> File | None:
        """The newest sealed file of a kind."""
        return next((f for f in reversed(self.files) if f.kind is kind and f.state is FileState.SEALED), None)
