"""Bringing a database to the present schema with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.adapters.db.engine import make_engine

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url  # not an option: options are interpolated, and a password may hold a percent sign
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every missing migration. Safe to run from several processes: they wait for each other."""
    command.upgrade(_config(url), revision)


def current(url: str) -> str | None:
    """The revision the database stands at, None for an empty one."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str | None:
    """The revision this code expects."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()
