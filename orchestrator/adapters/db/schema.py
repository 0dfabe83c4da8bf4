"""Whether this version may work on a database as it is.

Migrations add only, so a version may go on while a newer one has brought the schema forward. One that takes something
away says which revision a version has to know from then on (`contract`, see docs/upgrading.md), and `schema_floor`
keeps it: only by that can a version judge a schema of which it knows nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from orchestrator.adapters.db.tables import schema_floor
from orchestrator.domain.errors import Refused

MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK_PATIENCE_S: Final = 10  # of a migration for a table that others work on
_VERSION: Final = sa.text("SELECT version_num FROM alembic_version")  # Alembic's own


class OtherSchema(Refused):
    """The database is not one that this version may work on."""

    code = "other_schema"


@cache
def revisions() -> tuple[str, ...]:
    """Those that this version knows, oldest first; it wants the last one. A file is named after its revision."""
    return tuple(sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def check(connection: sa.Connection) -> str:
    """The revision of a database that this version may work on.

    Raises:
        OtherSchema: it is empty, older than this version wants, or newer than it bears.
    """
    known, wanted = revisions(), revisions()[-1]
    found = current(connection)
    if found is None:
        raise OtherSchema("the database is empty: run `understudy db upgrade` first")
    if found in known:
        if found != wanted:
            raise OtherSchema(
                f"the database has schema {found}, this version wants {wanted}: run `understudy db upgrade` first"
            )
        return found
    floor = connection.execute(sa.select(schema_floor.c.revision)).scalar_one_or_none()
    if floor is not None and floor not in known:
        raise OtherSchema(
            f"the database has schema {found}, for versions that know {floor}; this one knows {wanted} at most: "
            "start the newer version instead"
        )
    return found


def current(connection: sa.Connection) -> str | None:
    """The revision of the database, None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(_VERSION).scalar_one_or_none()
    return found


def raise_floor(connection: sa.Connection, revision: str) -> None:
    """From now on only versions that know `revision` may work on the database."""
    connection.execute(sa.delete(schema_floor))
    connection.execute(sa.insert(schema_floor).values(revision=revision))
