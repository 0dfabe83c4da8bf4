"""Conditions on JSON columns that PostgreSQL and SQLite understand alike."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles


class holds(sa.sql.functions.GenericFunction[bool]):  # noqa: N801  a function of SQL
    """Whether a JSON list has a text among its items: `holds(column, text)`."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(holds, "postgresql")
def _holds_postgresql(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(jsonb_typeof({column}) = 'array' AND {column} @> to_jsonb(CAST({text} AS text)))"


@compiles(holds, "sqlite")
def _holds_sqlite(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = {text})"  # noqa: S608  our own names


class mentions(sa.sql.functions.GenericFunction[bool]):  # noqa: N801  a function of SQL
    """Whether a JSON list has an item that is like a pattern, whatever the case: `mentions(column, pattern)`."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(mentions, "postgresql")
def _mentions_postgresql(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    listed = f"jsonb_array_elements_text(CASE WHEN jsonb_typeof({column}) = 'array' THEN {column} ELSE '[]' END)"
    return f"EXISTS (SELECT 1 FROM {listed} AS item WHERE lower(item) LIKE lower({text}) ESCAPE '/')"  # noqa: S608


@compiles(mentions, "sqlite")
def _mentions_sqlite(element: Any, compiler: Any, **options: Any) -> str:  # noqa: ANN401  SQLAlchemy's own
    column, text = (compiler.process(clause, **options) for clause in element.clauses)
    return (
        f"EXISTS (SELECT 1 FROM json_each({column}) AS item "  # noqa: S608  our own names
        f"WHERE lower(item.value) LIKE lower({text}) ESCAPE '/')"
    )


def pattern(text: str) -> str:
    """For `mentions`: anywhere in the item."""
    escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"


def same(value: Any, wanted: object) -> sa.ColumnElement[bool]:  # noqa: ANN401  an indexed JSON column
    """Whether a JSON value is the wanted bool or text; False is met by nothing at all too."""
    if isinstance(wanted, bool):
        told: sa.ColumnElement[bool] = value.as_boolean()
        return told.is_(True) if wanted else sa.or_(told.is_(None), told.is_(False))
    found: sa.ColumnElement[bool] = value.as_string() == str(wanted)
    return found
