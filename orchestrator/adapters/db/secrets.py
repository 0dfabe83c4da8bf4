"""Every column that holds sealed secrets, so that one command can seal them all anew; and the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import access_keys, audit_log, idempotency_keys
from orchestrator.domain.actors import Caller
from orchestrator.domain.audit import Act, AuditEntry

SEALED: Final[Mapping[str, sa.Column[str]]] = {
    "access_keys": access_keys.c.secret_encrypted,
    "idempotency_keys": idempotency_keys.c.body,
}
"""A new column of sealed secrets is one row here."""


class SqlSecrets:
    """Sealed secrets, place by place."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def places(self) -> list[str]:
        return list(SEALED)

    def page(self, place: str, after: Sequence[str] | None, limit: int) -> list[tuple[tuple[str, ...], str]]:
        """The next secrets behind the id `after`, in the order of ids: (id, sealed)."""
        column = SEALED[place]
        key = tuple(column.table.primary_key)
        query = sa.select(*key, column).where(column.is_not(None)).order_by(*key).limit(limit)
        if after is not None:
            query = query.where(sa.tuple_(*key) > sa.tuple_(*after))
        return [(tuple(row[:-1]), row[-1]) for row in self._connection.execute(query)]

    def replace(self, place: str, secret_id: Sequence[str], old: str, new: str) -> bool:
        """Compare-and-set. False: somebody wrote the secret meanwhile."""
        column = SEALED[place]
        same = (key == value for key, value in zip(column.table.primary_key, secret_id, strict=True))
        statement = sa.update(column.table).where(*same, column == old).values({column: new})
        return self._connection.execute(statement).rowcount == 1


class SqlAudit:
    """Who did what; lines are only ever added."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, by: Caller, act: Act, subject: str, at: datetime, **details: object) -> None:
        line = {"at": at, "key_id": by.key_id, "operator": by.name, "act": act, "subject": subject, "details": details}
        self._connection.execute(sa.insert(audit_log).values(line))

    def page(self, before: int | None, limit: int) -> list[AuditEntry]:
        """Newest first, below the id `before`."""
        query = sa.select(*_ENTRY).order_by(audit_log.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit_log.c.id < before)
        return [
            AuditEntry(row.id, row.at, row.key_id, row.operator, Act(row.act), row.subject, row.details)
            for row in self._connection.execute(query)
        ]


_ENTRY: Final = tuple(audit_log.c[name] for name in AuditEntry.__dataclass_fields__)
