"""What a run is given: the files of its job, what earlier stages made, settings, a prefix of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from orchestrator.app.context import Context
from orchestrator.domain.model import File, FileState, Run
from orchestrator.domain.stages import STAGES
from orchestrator.ports.store import Tx
from orchestrator.ports.trainer import RunInput, RunSpec

_ORDER = {stage.name: position for position, stage in enumerate(STAGES)}


class Specs:
    """Builds run specs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, runs: Sequence[Run]) -> dict[str, RunSpec]:
        """The spec of every run, by run id. Three statements for any number of runs."""
        ids = sorted({run.job_id for run in runs})
        with self._context.store.read() as tx:
            files = tx.files.of_jobs(ids, FileState.SEALED)
            before = tx.runs.succeeded(ids)
            sheets = tx.reads.sheets(ids)
            jobs = tx.jobs.get_many(ids)
        # a job deleted this moment has runs nobody wants: they are asked to stop as soon as they have a handle
        profiles = {run.id: self._context.profile_of(jobs[run.job_id]) for run in runs if run.job_id in jobs}
        return {
            run.id: RunSpec(
                run_id=run.id, job_id=run.job_id, project_id=run.project_id, stage=run.stage, attempt=run.attempt,
                command=profiles[run.id].stages[run.stage].command,
                inputs=[
                    *(self._file(file) for file in _material(files[run.job_id])),
                    *self._artefacts(run, before[run.job_id]),
                ],
                output_prefix=f"runs/{run.job_id}/{run.id}/", checkpoint_key=f"{run.job_id}-{run.stage}",
                parameters={**sheets[run.job_id].settings, "attributes": dict(sheets[run.job_id].attributes)},
                timeout_s=profiles[run.id].stages[run.stage].timeout.total_seconds(),
                gpus=profiles[run.id].stages[run.stage].gpus,
            )
            for run in runs
            if run.id in profiles
        }  # fmt: skip

    def files_by_input(self, run: Run, tx: Tx) -> dict[str, str]:
        """Input name -> file id, for the inputs that are files of the job."""
        return {_input_name(file): file.id for file in _material(tx.files.of_job(run.job_id, FileState.SEALED))}

    def _file(self, file: File) -> RunInput:
        return RunInput(_input_name(file), self._url(str(file.final_key), file.content_type), file.size_bytes or 0, file.sha256)

    def _artefacts(self, run: Run, before: dict[str, Run]) -> list[RunInput]:
        """What earlier stages left; of two with one name the later stage's."""
        found: dict[str, RunInput] = {}
        for stage in sorted(before, key=_ORDER.__getitem__):
            if _ORDER[stage] < _ORDER[run.stage]:
                for made in before[stage].artefacts:
                    name = str(made["name"])
                    url = self._url(str(made["key"]), str(made["content_type"]))
                    found[name] = RunInput(name, url, int(str(made["size_bytes"])), str(made["sha256"]))
        return list(found.values())

    def _url(self, key: str, content_type: str) -> str:
        return self._context.storage.presign_get(
            key, filename=PurePosixPath(key).name, content_type=content_type, now=self._context.clock(),
            expires_in=self._context.timing.download_url_lifetime,
        )  # fmt: skip


def _material(files: Sequence[File]) -> list[File]:
    """What the job's owner and admins put in for training; talk about the job is no input."""
    return [file for file in files if file.kind not in {"attachment", "id_card_front", "id_card_back", "authorization_letter"}]


def _input_name(file: File) -> str:
    suffix = PurePosixPath(file.name).suffix.lower()
    return file.kind.value + (suffix if suffix.isascii() and suffix[1:].isalnum() else "")
