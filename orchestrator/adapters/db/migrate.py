"""Bringing a database to the present schema with Alembic."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from orchestrator.adapters.db import schema
from orchestrator.adapters.db.engine import make_engine
from orchestrator.domain.errors import DatabaseUnavailable


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["url"] = url  # not an option: options are interpolated, and a password may hold a percent sign
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every missing migration. Safe to run from several processes: they wait for each other.

    Raises:
        OtherSchema: the database is newer than this version.
        DatabaseUnavailable: others hold a table for too long. Nothing was changed.
    """
    found = current(url)
    if found is not None and found not in schema.revisions():
        raise schema.OtherSchema(
            f"the database has schema {found}, which is newer than this version's {head()}: nothing to upgrade"
        )
    try:
        command.upgrade(_config(url), revision)
    except sa.exc.OperationalError as exc:
        if not isinstance(exc.orig, psycopg.errors.LockNotAvailable):
            raise
        raise DatabaseUnavailable(
            f"a table was in use for longer than {schema.LOCK_PATIENCE_S} s; nothing was changed, try again"
        ) from exc


def current(url: str) -> str | None:
    """The revision the database stands at, None for an empty one."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return schema.current(connection)
    finally:
        engine.dispose()


def head() -> str:
    """The revision this code expects."""
    return schema.revisions()[-1]
