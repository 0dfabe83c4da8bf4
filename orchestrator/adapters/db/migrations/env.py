"""Alembic's entry: one connection, one transaction, one migrator at a time."""  # noqa: INP001  loaded by path

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.schema import LOCK_PATIENCE_S, raise_floor
from orchestrator.adapters.db.tables import metadata

_LOCK = 7_265_001  # any number, as long as every migrator takes the same


def _applied(ctx: MigrationContext, step: MigrationInfo, *_: Any, **__: Any) -> None:  # noqa: ANN401  not ours
    """A migration that takes something away says who may work on what is left: it is written down with it."""
    floor = getattr(getattr(step.up_revision, "module", None), "contract", None)
    if step.is_upgrade and floor is not None and ctx.connection is not None:
        raise_floor(ctx.connection, floor)


def run() -> None:
    engine = make_engine(context.config.attributes["url"])
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                # who waits for a table makes everybody wait who comes after it
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE_S}s'"))
            context.configure(
                connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite",
                compare_type=True, transactional_ddl=True, transaction_per_migration=False,
                on_version_apply=_applied,
            )  # fmt: skip
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
