"""Sweeps, projects, keys and the audit log as operators get them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from orchestrator.app.care import SweepReport
from orchestrator.app.keys import NewKey
from orchestrator.app.sweeps import Sweep
from orchestrator.dialects.native.wire import Instant, Wire
from orchestrator.domain.audit import AuditEntry
from orchestrator.ports.store import KeyRow


class SweepView(Wire):
    name: str
    purpose: str
    every_s: float
    last_run_at: Instant | None

    @classmethod
    def of(cls, sweep: Sweep, last_run_at: Any) -> Self:  # noqa: ANN401  an instant or None; pydantic checks it
        return cls(name=sweep.name, purpose=sweep.purpose, every_s=sweep.every.total_seconds(), last_run_at=last_run_at)


class Sweeps(Wire):
    items: Sequence[SweepView]


class SweepReportView(Wire):
    name: str
    dry_run: bool
    skipped: bool
    done: Sequence[str]
    failed: Sequence[str]

    @classmethod
    def of(cls, report: SweepReport) -> Self:
        return cls(
            name=report.name, dry_run=report.dry_run, skipped=report.skipped, done=report.done, failed=report.failed
        )


class ProjectView(Wire):
    id: str
    created: bool


class KeyView(Wire):
    """A new key: the only time that its secrets are shown."""

    id: str
    project_id: str
    role: str
    name: str
    access_key: str
    secret_key: str
    token: str

    @classmethod
    def of(cls, key: NewKey) -> Self:
        return cls(
            id=key.id, project_id=key.project_id, role=key.role, name=key.name, access_key=key.id,
            secret_key=key.secret, token=key.token,
        )  # fmt: skip


class KeyRowView(Wire):
    """A key, without its secrets. Refused from `disabled_at` on, which may lie ahead."""

    access_key: str
    project_id: str
    role: str
    name: str
    disabled_at: Instant | None

    @classmethod
    def of(cls, key: KeyRow) -> Self:
        return cls(
            access_key=key.id, project_id=key.project_id, role=key.role, name=key.name, disabled_at=key.disabled_at
        )


class Keys(Wire):
    items: list[KeyRowView]


class AuditView(Wire):
    """One act on projects, keys or secrets. `key_id` is empty for the command line."""

    id: int
    at: Instant
    key_id: str
    operator: str
    act: str
    subject: str
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            id=entry.id, at=entry.at, key_id=entry.key_id, operator=entry.operator, act=entry.act,
            subject=entry.subject, details=dict(entry.details),
        )  # fmt: skip


class Audit(Wire):
    items: list[AuditView]
