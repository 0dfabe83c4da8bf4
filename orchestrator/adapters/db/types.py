"""Column types that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC instant: `timestamptz` on PostgreSQL, on SQLite ISO 8601 text whose order is the order of time."""

    impl = sa.String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[datetime]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(27))  # type: ignore[arg-type]  # text stands for the instant

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | str | None:
        if value is None or dialect.name == "postgresql":
            return value
        return to_text(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        # the driver of PostgreSQL gives datetimes by itself: a call for every value of every row less
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return from_text(value) if isinstance(value, str) else value


@lru_cache(maxsize=256)  # the rows of a batch share their instants: 10 % of a worker's time went into this
def to_text(at: datetime) -> str:
    """Fixed-width text of an instant; PostgreSQL reads it too."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    return datetime.fromisoformat(text)


JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only INTEGER keys by itself
