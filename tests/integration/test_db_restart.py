"""PostgreSQL that restarts while our connections lie idle: nobody's request is the one that finds out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from orchestrator.adapters.db.database import Database
from orchestrator.domain.errors import DatabaseUnavailable
from tests.servers import Postgres


@pytest.mark.parametrize("how", ["stop", "stop_immediately"])
def test_a_restart_costs_nobody_a_request(how: str) -> None:
    with Postgres() as postgres:
        database = Database(postgres.url)
        for _ in range(2):
            for engine in (database.engine, database.single):
                with engine.connect() as connection:
                    assert connection.exec_driver_sql("SELECT 1").scalar() == 1
            getattr(postgres, how)()
            postgres.start()
        database.dispose()


def test_a_server_that_ends_while_it_is_asked_again_and_again_is_a_database_that_does_not_answer(
    postgresql_url: str,
) -> None:
    database = Database(postgresql_url)

    def end(*_: object) -> None:
        raise sa.exc.DisconnectionError

    for engine in (database.engine, database.single):
        sa.event.listen(engine, "checkout", end)
    for work in (database.begin, database.read, database.lease):
        with pytest.raises(DatabaseUnavailable), work():
            pass
    with pytest.raises(DatabaseUnavailable):
        database.ping()
    database.dispose()
