"""What may be wrong with an installation, looked at from one of its machines: one finding a line, each with a remedy.

Nothing is changed but small objects of the store's own check. A check that cannot be made says why and counts as
trouble; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from orchestrator.cli.doctor import parts
from orchestrator.cli.doctor.patient import Check, Finding, Level, Patient
from orchestrator.cli.doctor.work import work
from orchestrator.domain.errors import UnderstudyError
from orchestrator.settings import Settings

__all__ = ["Finding", "Level", "examine"]

_WITH_DATABASE: Final[Sequence[tuple[str, Check]]] = (
    ("workers", parts.workers), ("beat", parts.beat), ("sweeps", parts.sweeps), ("secrets", parts.secrets),
    ("jobs", work),
)  # fmt: skip
_ALWAYS: Final[Sequence[tuple[str, Check]]] = (
    ("broker", parts.broker), ("store", parts.store), ("pools", parts.pools), ("sandbox", parts.sandbox),
)  # fmt: skip


def examine(settings: Settings, *, deep: bool = True) -> Iterator[Finding]:
    """Every finding as soon as it is there. Without a database the checks that need one are left out."""
    patient = Patient(settings, deep=deep)
    found = list(_made("settings", parts.settings, patient))
    yield from found
    if _is_bad(found):
        return
    try:
        found = list(_made("database", parts.database, patient))
        yield from found
        checks: Sequence[tuple[str, Check]] = _ALWAYS if _is_bad(found) else (*_WITH_DATABASE, *_ALWAYS)
        for name, make in checks:
            yield from _made(name, make, patient)
    finally:
        patient.app.context.store.dispose()  # type: ignore[attr-defined]  # the SQL adapter's


def _made(name: str, make: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from make(patient)
    except UnderstudyError as exc:
        yield Finding(name, Level.TROUBLE, exc.message, "see the message")
    except (OSError, sa.exc.SQLAlchemyError) as exc:
        yield Finding(name, Level.TROUBLE, f"cannot be checked: {type(exc).__name__}", "see the log of this part")


def _is_bad(found: Sequence[Finding]) -> bool:
    return any(finding.level is Level.TROUBLE for finding in found)
