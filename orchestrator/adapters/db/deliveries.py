"""Thumbnails on their way to addresses of their owners."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import deliveries
from orchestrator.domain.assets import Delivery

_COLUMNS: Final = tuple(deliveries.c[name] for name in Delivery._fields)


class SqlDeliveries:
    """The deliveries of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, delivery: Delivery) -> None:
        """A newer one takes the place of the model's former one."""
        self._connection.execute(sa.delete(deliveries).where(deliveries.c.asset_id == delivery.asset_id))
        self._connection.execute(sa.insert(deliveries).values(**delivery._asdict()))

    def due(self, now: datetime, limit: int) -> list[Delivery]:
        query = sa.select(*_COLUMNS).where(deliveries.c.due_at <= now).order_by(deliveries.c.due_at).limit(limit)
        return [Delivery(*row) for row in self._connection.execute(query)]

    def postpone(self, delivery: Delivery, due_at: datetime) -> None:
        self._connection.execute(
            sa.update(deliveries).where(*_is(delivery)).values(tries=delivery.tries + 1, due_at=due_at)
        )

    def drop(self, delivery: Delivery) -> None:
        """Be done with it; a newer one of the model stays."""
        self._connection.execute(sa.delete(deliveries).where(*_is(delivery)))


def _is(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    """The row as it was read: not the one of a newer model, nor of one that goes to another address."""
    columns = deliveries.c
    return columns.asset_id == delivery.asset_id, columns.key == delivery.key, columns.url == delivery.url
