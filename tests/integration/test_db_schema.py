"""What the migrations make is what the tables say, on both databases."""

from __future__ import annotations

import re
import subprocess
import sys
from enum import StrEnum

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.migrate import current, head, upgrade
from orchestrator.adapters.db.tables import metadata
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import FileKind, FileState, RunOutcome
from orchestrator.domain.states import JobState

CHECKED = [("jobs", "state", JobState), ("jobs", "effect", Effect), ("files", "kind", FileKind),
           ("files", "state", FileState), ("runs", "outcome", RunOutcome)]  # fmt: skip


def test_the_migrated_schema_is_the_declared_one(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


@pytest.mark.parametrize(("table", "column", "words"), CHECKED)
def test_check_constraints_list_exactly_the_words(
    database_url: str, table: str, column: str, words: type[StrEnum]
) -> None:
    engine = make_engine(database_url)
    found = {each["name"]: each["sqltext"] for each in sa.inspect(engine).get_check_constraints(table)}
    engine.dispose()
    assert set(re.findall(r"'(\w+)'", found[f"ck_{table}_{column}"])) == {word.value for word in words}


def test_indexes_are_partial_where_declared(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
        else:
            query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '% WHERE %'"
        partial = set(connection.execute(sa.text(query)).scalars())
    engine.dispose()
    declared = {
        index.name
        for table in metadata.sorted_tables
        for index in table.indexes
        if index.dialect_options["postgresql"]["where"] is not None
    }
    assert partial == declared


def test_an_upgrade_that_was_done_is_not_done_again(empty_database_url: str) -> None:
    assert current(empty_database_url) is None
    upgrade(empty_database_url)
    upgrade(empty_database_url)
    assert current(empty_database_url) == head()


def test_several_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    program = "import sys; from orchestrator.adapters.db.migrate import upgrade; upgrade(sys.argv[1])"
    children = [subprocess.Popen([sys.executable, "-c", program, empty_database_url]) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert current(empty_database_url) == head()
