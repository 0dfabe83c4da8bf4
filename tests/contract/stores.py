"""The store port's implementations, for its contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from orchestrator.adapters.db.database import Database
from orchestrator.ports.store import Store
from tests.builders import NOW
from tests.databases import Factory
from tests.fakes.store import MemoryStore


@pytest.fixture(params=["memory", "sqlite_files", "postgres_databases"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The fake, SQLite and PostgreSQL, each with two projects."""
    with ExitStack() as stack:
        if request.param == "memory":
            store: Store = MemoryStore()
        else:
            factory: Factory = request.getfixturevalue(request.param)
            database = Database(stack.enter_context(factory.migrated()))
            stack.callback(database.dispose)
            store = database
        with store.begin() as tx:
            for project in ("project-1", "project-2"):
                tx.keys.add_project(project, project, NOW, {})
        yield store
