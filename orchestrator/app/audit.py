"""Looking at who did what to projects, keys and secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.actors import MACHINE, Caller, Role
from orchestrator.domain.audit import AuditEntry
from orchestrator.domain.errors import Invalid

MAX_PAGE: Final = 1000


class Audit:
    """Use cases on the audit log. It is written by the use cases whose acts it holds."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, before: int | None = None, limit: int = 100, *, by: Caller = MACHINE) -> Sequence[AuditEntry]:
        """Newest first; `before` is the id of the last line of the page before. Raises Forbidden."""
        by.require(Role.OPERATOR, "the audit log")
        if not 1 <= limit <= MAX_PAGE:
            raise Invalid(f"the page size is {limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        with self._context.store.read() as tx:
            return tx.audit.page(before, limit)
