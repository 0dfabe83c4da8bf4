"""What a run is given: the files of its job, what earlier stages made, settings, a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.model import File, FileKind, FileState, Job, Run
from orchestrator.domain.profile import StageSettings
from orchestrator.domain.stages import STAGES
from orchestrator.domain.views import Dossier
from orchestrator.ports.store import Tx
from orchestrator.ports.trainer import RunInput, RunSpec

_ORDER: Final = {stage.name: position for position, stage in enumerate(STAGES)}
_NO_INPUT: Final = frozenset(
    {FileKind.ATTACHMENT, FileKind.ID_CARD_FRONT, FileKind.ID_CARD_BACK, FileKind.AUTHORIZATION_LETTER}
)


_PERSONAL: Final = frozenset({"contact"})  # of the owner; no training needs it


class Specs:
    """Builds run specs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(
        self, runs: Sequence[Run], jobs: Mapping[str, Job], dossiers: Mapping[str, Dossier]
    ) -> dict[str, RunSpec | str]:
        """The spec of every run by run id, or why it has none.

        A run whose job is not there any more, since it was deleted this moment, is left out: nobody wants it.
        """
        found: dict[str, RunSpec | str] = {}
        for run in runs:
            if run.job_id in jobs and run.job_id in dossiers:
                settings = self._settings(jobs[run.job_id], run)
                found[run.id] = (
                    settings if isinstance(settings, str) else self._spec(run, settings, dossiers[run.job_id])
                )
        return found

    def _settings(self, job: Job, run: Run) -> StageSettings | str:
        profile = self._context.profiles.get(job.profile)
        settings = None if profile is None else profile.stages.get(run.stage)
        return settings or f"the profile {job.profile} does not say any more how the stage {run.stage} is run"

    def _spec(self, run: Run, settings: StageSettings, dossier: Dossier) -> RunSpec:
        return RunSpec(
            run_id=run.id, job_id=run.job_id, project_id=run.project_id, stage=run.stage, attempt=run.attempt,
            command=settings.command,
            inputs=[*(self._file(file) for file in _material(dossier.files)), *self._artefacts(run, dossier.made)],
            output_prefix=f"runs/{run.job_id}/{run.id}/", checkpoint_key=f"{run.job_id}-{run.stage}",
            parameters={**dossier.sheet.settings, "attributes": _without_people(dossier.sheet.attributes)},
            timeout_s=settings.timeout.total_seconds(), gpus=settings.gpus,
        )  # fmt: skip

    def files_by_input(self, run: Run, tx: Tx) -> dict[str, str]:
        """Input name -> file id, for the inputs that are files of the job."""
        return {_input_name(file): file.id for file in _material(tx.files.of_job(run.job_id, FileState.SEALED))}

    def _file(self, file: File) -> RunInput:
        key = str(file.final_key)
        url = self._context.download_url(key, PurePosixPath(key).name, file.content_type)
        return RunInput(_input_name(file), url, file.size_bytes or 0, file.sha256)

    def _artefacts(self, run: Run, before: Mapping[str, Run]) -> list[RunInput]:
        earlier = [one for one in before.values() if _ORDER[one.stage] < _ORDER[run.stage]]
        return [
            RunInput(
                name, self._context.download_url(str(made["key"]), name, str(made["content_type"])),
                int(str(made["size_bytes"])), str(made["sha256"]),
            )
            for name, made in artefacts_of(earlier).items()
        ]  # fmt: skip


def artefacts_of(runs: Iterable[Run]) -> dict[str, Mapping[str, object]]:
    """What stages left, by name; of two with one name the later stage's."""
    in_order = sorted(runs, key=lambda run: _ORDER[run.stage])
    return {str(made["name"]): made for run in in_order for made in run.artefacts}


def _without_people(attributes: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in attributes.items() if name not in _PERSONAL}


def _material(files: Sequence[File]) -> list[File]:
    """What the job's owner and admins put in for training; talk about the job and identity papers are no input."""
    return [file for file in files if file.kind not in _NO_INPUT]


def _input_name(file: File) -> str:
    suffix = PurePosixPath(file.name).suffix.lower()
    return file.kind.value + (suffix if suffix.isascii() and suffix[1:].isalnum() else "")
