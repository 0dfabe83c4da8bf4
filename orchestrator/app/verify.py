"""The machine's check of what was uploaded: every material of the profile, every reason at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, cast

from orchestrator.app.context import Context
from orchestrator.app.moves import Ask
from orchestrator.app.outcome import Outcome
from orchestrator.app.stored import StoredObject
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import CheckBrokenOff, Unavailable
from orchestrator.domain.media import MediaFacts, Reason, Verdict
from orchestrator.domain.model import File, Job
from orchestrator.domain.profile import Material
from orchestrator.domain.views import Dossier
from orchestrator.ports.storage import ObjectChanged, ObjectInfo, ObjectMissing
from orchestrator.ports.store import Tx

THREADS: Final = 4  # probes are child processes: threads only wait for them
_MESSAGE_LIMIT: Final = 2000  # characters; MetaStudio shows at most 2048


class Verification:
    """The step behind Effect.VERIFY."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def verify(self, jobs: Sequence[Job]) -> list[Outcome]:
        judged = [job for job in jobs if self._context.profile_of(job).materials]
        if not judged:
            return [_accepted(job, {}) for job in jobs]
        ids = [job.id for job in judged]
        with self._context.store.read() as tx:
            dossiers = tx.reads.dossiers(ids)
        with ThreadPoolExecutor(min(THREADS, len(judged)), "verify") as pool:
            outcomes = pool.map(lambda job: self._verify(job, dossiers[job.id]), judged)
            return [*(_accepted(job, {}) for job in jobs if job.id not in dossiers), *outcomes]

    def _verify(self, job: Job, dossier: Dossier) -> Outcome:
        profile = self._context.profile_of(job)
        verdicts: dict[str, Verdict] = {}
        facts: dict[str, dict[str, object]] = {}
        try:
            for file in dossier.files:
                material = profile.material(file.kind)
                if material is not None:
                    verdicts[file.kind] = verdict = self._judge(file, material, dossier.sheet.attributes)
                    facts[file.id] = verdict.as_dict()["facts"]  # type: ignore[assignment]  # a dict by its own contract
        except Unavailable as exc:
            # counted, or a film that gets its reader killed would be tried for ever
            broken = isinstance(exc, CheckBrokenOff)
            return Outcome(job, snooze=self._context.timing.step_retry, crashed=broken)
        lacking = profile.lacking(
            job.switches, dossier.sheet.attributes, frozenset(file.kind for file in dossier.files)
        )
        bad = {kind: verdict.reasons for kind, verdict in verdicts.items() if not verdict.accepted}
        if not bad and not lacking:
            return _accepted(job, verdicts)._replace(extra=facts)
        texts = [f"{kind.replace('_', ' ')}: {r.message}" for kind, reasons in bad.items() for r in reasons]
        text = " ".join([*texts, *(f"{lack[0].upper()}{lack[1:]}." for lack in lacking.values())])[:_MESSAGE_LIMIT]
        first = next((reasons[0].code for reasons in bad.values()), "material_missing")
        details = _details(verdicts) | {"missing": sorted(lacking)}
        ask = Ask(Command.AUTO_REJECT, Actor.SYSTEM, description=text, error_code=first, details=details, message=text)
        return Outcome(job, ask, extra=facts)

    def record(self, tx: Tx, outcomes: Sequence[Outcome]) -> None:
        """Write what was measured to the file rows."""
        for outcome in outcomes:
            for file_id, measured in cast("Mapping[str, Mapping[str, object]]", outcome.extra).items():
                tx.files.record(file_id, facts=dict(measured))

    def _judge(self, file: File, material: Material, attributes: Mapping[str, object]) -> Verdict:
        rules = material.rules
        if material.alpha_from:
            rules = replace(rules, alpha=bool(attributes.get(material.alpha_from, False)))
        info = ObjectInfo(str(file.final_key), str(file.etag), file.size_bytes or 0)
        try:
            return self._context.prober.judge(StoredObject(self._context.storage, info), material.judged_as, rules)
        except (ObjectMissing, ObjectChanged) as exc:
            message = f"{exc.message}. Upload the file again."
            reason = Reason(exc.code, "file", None, None, "file", message)
            return Verdict(False, (reason,), (), MediaFacts(material.judged_as, info.size_bytes))  # noqa: FBT003  its field


def _details(verdicts: Mapping[str, Verdict]) -> dict[str, object]:
    """What the log keeps: reasons and warnings of every file, and the facts that people ask for."""
    return {"files": {kind: verdict.as_dict() for kind, verdict in verdicts.items()}}


def _accepted(job: Job, verdicts: Mapping[str, Verdict]) -> Outcome:
    details = _details(verdicts) if verdicts else None
    return Outcome(job, Ask(Command.AUTO_ACCEPT, Actor.SYSTEM, details=details, message=""))
