"""Alembic's entry: one connection, one transaction, one migrator at a time."""  # noqa: INP001  loaded by path

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.tables import metadata

_LOCK = 7_265_001  # any number, as long as every migrator takes the same


def run() -> None:
    engine = make_engine(context.config.attributes["url"])
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            context.configure(
                connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite",
                compare_type=True, transactional_ddl=True, transaction_per_migration=False,
            )  # fmt: skip
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
