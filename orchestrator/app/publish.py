"""From a finished training to a published asset: artefacts to their final keys, then one asset by one move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import PurePosixPath
from typing import Final, cast

from orchestrator.app import thumbnails
from orchestrator.app.context import Context, new_id
from orchestrator.app.library import let_go
from orchestrator.app.moves import Ask, retry_delay
from orchestrator.app.outcome import Outcome
from orchestrator.app.specs import artefacts_of
from orchestrator.domain import machine
from orchestrator.domain.actors import Actor
from orchestrator.domain.assets import Asset, AssetFile, AssetState
from orchestrator.domain.commands import Command, Effect
from orchestrator.domain.editions import is_wide
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.guards import Given
from orchestrator.domain.model import FileKind, Job
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import FINISHING
from orchestrator.domain.states import TERMINAL
from orchestrator.domain.views import Dossier
from orchestrator.ports.storage import ObjectChanged, ObjectMissing
from orchestrator.ports.store import Tx

THREADS: Final = 4
_AFTER_STORING: Final = frozenset(stage.name for stage in FINISHING)
MODEL_TYPE: Final = "HUMAN_MODEL_2D"
KeyOf = Callable[[Mapping[str, object]], str]  # where an artefact is kept for good


class Publishing:
    """The steps behind Effect.STORE_MODEL and Effect.PUBLISH."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def store_model(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Copy what the stages made out of the runs' own prefixes, where late zombies might still write."""
        with self._context.store.read() as tx:
            dossiers = tx.reads.dossiers([job.id for job in jobs])
        made = {job.id: artefacts_of(dossiers[job.id].made.values()) for job in jobs}
        idle = [job for job in jobs if not made[job.id]]
        busy = [job for job in jobs if made[job.id]]
        outcomes = [self._stored(job, {}) for job in idle]
        if busy:
            with ThreadPoolExecutor(min(THREADS, len(busy)), "store-model") as pool:
                outcomes += pool.map(lambda job: self._stored(job, made[job.id]), busy)
        return outcomes

    def nothing_to_store(self, jobs: Sequence[Job], dossiers: Mapping[str, Dossier]) -> list[Outcome]:
        """The answer for jobs whose stages have made no file."""
        return [self._stored(job, {}) for job in jobs if not artefacts_of(dossiers[job.id].made.values())]

    def _stored(self, job: Job, made: Mapping[str, Mapping[str, object]]) -> Outcome:
        try:
            self._keep(made, partial(_first_key, job))
        except Unavailable:
            return Outcome(job, snooze=self._context.timing.step_retry)
        except (ObjectMissing, ObjectChanged) as exc:
            return Outcome(job, self._failed(job, exc.message))
        details: dict[str, object] = {"files": sorted(made)}
        return Outcome(job, Ask(Command.MODEL_STORED, Actor.SYSTEM, details=details, message=""))

    def _keep(self, made: Mapping[str, Mapping[str, object]], key_of: KeyOf) -> None:
        """Copy artefacts to their final keys, as far as they are not there. Raises ObjectMissing, ObjectChanged."""
        storage = self._context.storage
        for artefact in made.values():
            target = key_of(artefact)
            there = storage.head(target)
            if there is None or there.size_bytes != artefact["size_bytes"]:
                source = storage.head(str(artefact["key"]))
                if source is None or source.size_bytes != artefact["size_bytes"]:
                    raise ObjectMissing(f"the artefact {artefact['name']} is not where its run put it")
                storage.copy(source, target)

    def _failed(self, job: Job, text: str) -> Ask:
        """What a stage has made is not where it put it: what made it, or the storing, is tried again by policy."""
        failure = FailureClass.INFRASTRUCTURE
        delay = retry_delay(self._context.profile_of(job), job, failure)
        due = (Effect.RETRY, self._context.clock() + delay) if delay is not None else None
        return Ask(
            Command.FAIL, Actor.SYSTEM, given=Given(failure=failure), due=due, description=text,
            error_code=failure.value, message=text,
        )  # fmt: skip

    def publish(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Make the asset, in the transaction of the move that says so."""
        with self._context.store.read() as tx:
            dossiers = tx.reads.dossiers([job.id for job in jobs])
        outcomes = []
        for job in jobs:
            dossier = dossiers[job.id]
            is_first = job.asset_id is None
            made = _made_late(dossier) if is_first else artefacts_of(dossier.made.values())
            try:
                self._keep(made, _keys_of(job))
            except Unavailable:
                outcomes.append(Outcome(job, snooze=self._context.timing.step_retry))
            else:
                outcomes.append(self._published(job, dossier))
        return outcomes

    def publish_what_is_stored(self, jobs: Sequence[Job], dossiers: Mapping[str, Dossier]) -> list[Outcome]:
        """The answer for jobs whose files all have their final keys."""
        return [
            self._published(job, dossiers[job.id])
            for job in jobs if job.asset_id is None and not _made_late(dossiers[job.id])
        ]  # fmt: skip

    def _published(self, job: Job, dossier: Dossier) -> Outcome:
        sheet, made = dossier.sheet, artefacts_of(dossier.made.values())
        wide = any(is_wide(file.facts) for file in dossier.files if file.kind is FileKind.TRAINING_VIDEO)
        at = self._context.clock()
        row = machine.decide(job, Command.PUBLISH, Actor.SYSTEM)
        state = AssetState.ACTIVED if row.target in TERMINAL else AssetState.UNACTIVED
        asset_id = job.asset_id or new_id(at)
        asset = Asset(
            asset_id, job.project_id, job.id, MODEL_TYPE, state, sheet.name, sheet.description,
            {"profile": job.profile, "wide": wide, **sheet.attributes}, at, at, app_user_id=sheet.app_user_id,
        )  # fmt: skip
        profile = self._context.profile_of(job)
        key_of = _keys_of(job)
        category = {profile.model_file: "MAIN", profile.thumbnail_file: "COVER"}
        contents = [
            AssetFile(
                new_id(at), category.get(name, "OTHER"), name, key_of(each), str(each["content_type"]),
                int(str(each["size_bytes"])), str(each["sha256"]),
            )
            for name, each in made.items()
        ]  # fmt: skip
        ask = Ask(
            Command.PUBLISH, Actor.SYSTEM, assign={"asset_id": asset_id}, details={"asset_id": asset_id}, message=""
        )
        return Outcome(job, ask, extra=(asset, contents))

    def record(self, tx: Tx, outcomes: Sequence[Outcome]) -> None:
        """Write the assets of the moves that were won."""
        published = [cast("tuple[Asset, Sequence[AssetFile]]", outcome.extra) for outcome in outcomes]
        at = self._context.clock()
        let_go(tx, tx.assets.publish_many(published, at), at)
        for asset, files in published:
            thumbnails.order(tx, asset, files, at)


def _first_key(job: Job, artefact: Mapping[str, object]) -> str:
    """Below its own content."""
    return f"models/{job.id}/{str(artefact['sha256'])[:16]}/{PurePosixPath(str(artefact['name']))}"


def _keys_of(job: Job) -> KeyOf:
    """The keys of what is about to be published.

    Published again, it has keys of its own, below the version that the job is published from: whoever takes a file out
    of the former model deletes that one's object, at whatever moment, and the same training makes the same content.
    """
    if job.asset_id is None:
        return partial(_first_key, job)
    return lambda artefact: f"models/{job.id}/version-{job.version}/{PurePosixPath(str(artefact['name']))}"


def _made_late(dossier: Dossier) -> dict[str, Mapping[str, object]]:
    """What the stages after the storing have made; nothing, for most kinds of job."""
    return artefacts_of(run for run in dossier.made.values() if run.stage in _AFTER_STORING)
