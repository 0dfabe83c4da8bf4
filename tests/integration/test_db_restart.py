"""PostgreSQL that restarts while our connections lie idle: nobody's request is the one that finds out."""

from __future__ import annotations

import pytest

from orchestrator.adapters.db.database import Database
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
