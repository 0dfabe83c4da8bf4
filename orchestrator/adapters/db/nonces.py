"""Nonces of signed requests, by their hash."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from orchestrator.adapters.db.tables import nonces

_ADD = sa.text("""
    INSERT INTO nonces (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT (digest) DO NOTHING
""").bindparams(sa.bindparam("expires_at", type_=nonces.c.expires_at.type))


class SqlNonces:
    """The nonces of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, digest: str, expires_at: datetime) -> bool:
        """False: it is there already. Of two transactions with one nonce the second waits for the first."""
        return self._connection.execute(_ADD, {"digest": digest, "expires_at": expires_at}).rowcount == 1

    def expired(self, now: datetime) -> int:
        query = sa.select(sa.func.count()).select_from(nonces).where(nonces.c.expires_at <= now)
        return int(self._connection.execute(query).scalar_one())

    def drop_expired(self, now: datetime) -> int:
        """Forget those whose request would be too old anyway."""
        return self._connection.execute(sa.delete(nonces).where(nonces.c.expires_at <= now)).rowcount
