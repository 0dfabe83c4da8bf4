"""Many rows in one statement, on PostgreSQL and SQLite alike: rows travel as one JSON text.

One parameter instead of thousands: the driver adapts one string, the server plans one statement, and a batch of moves
costs about what a single one does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from orchestrator.adapters.db.types import to_text

# PostgreSQL types of a column kind; SQLite needs none.
_POSTGRES: Final = {
    "text": "text", "int": "bigint", "bool": "boolean", "at": "timestamptz", "json": "jsonb", "float": "float8",
}  # fmt: skip


def source(dialect: str, columns: Mapping[str, str], parameter: str = "rows") -> str:
    """A FROM item named `v` that reads `columns` (name -> kind) out of the JSON array in `:parameter`."""
    if dialect == "postgresql":
        listed = ", ".join(f'"{name}" {_POSTGRES[kind]}' for name, kind in columns.items())
        return f"json_to_recordset(CAST(:{parameter} AS json)) AS v({listed})"
    listed = ", ".join(f"value ->> '$.{name}' AS \"{name}\"" for name in columns)
    return f"(SELECT {listed} FROM json_each(:{parameter})) AS v"  # noqa: S608  only our own column names


def giving(statement: sa.TextClause, *names: str) -> sa.TextualSelect:
    """`statement`, whose rows have these columns: told once, they are not found out anew at each execution."""
    return statement.columns(*(sa.column(name) for name in names))


def rows_json(rows: Sequence[Mapping[str, object]]) -> str:
    """The parameter for `source`: instants as text, everything else as JSON has it.

    Trainers and files say what they like: a NUL, half a surrogate pair or a NaN is stored as what JSON can hold, or the
    row, and all others of its batch, could not be written at all.
    """
    try:
        text = _dumped(rows)
        if "\\u0000" not in text and (text.isascii() or _encodable(text)):
            return text
    except ValueError:  # NaN or infinity
        pass
    return _dumped([_cleaned(row) for row in rows])


def _dumped(rows: object) -> str:
    return json.dumps(rows, default=_plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_cleaned(name)): _cleaned(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_cleaned(each) for each in value]
    return value


def one_of(dialect: str, column: str, query: str) -> str:
    """The condition that `column` is in what `query`, which has a LIMIT, gives.

    PostgreSQL may run the query of an IN once for every row, and with SKIP LOCKED each run finds others: a claim of one
    took three. What is made an array is run once.
    """
    return f"{column} = ANY(ARRAY({query}))" if dialect == "postgresql" else f"{column} IN ({query})"


def among(dialect: str, column: sa.ColumnElement[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """`column IN values` as one parameter: the statement stays the same for any number, so it is planned once."""
    return among_listed(dialect, column, None, listed(dialect, values))


def among_listed(
    dialect: str, column: sa.ColumnElement[Any], parameter: str | None, value: object = None
) -> sa.ColumnElement[bool]:
    """The same for a statement that is built once: `parameter` is given `listed(values)` when it is executed."""
    if dialect == "postgresql":
        texts = postgresql.ARRAY(sa.Text)
        # by a subquery, whose length no planner sees: with few values it would else plan anew each time, for longer
        # than such a statement runs
        told = sa.select(sa.bindparam(parameter, value, type_=texts)).scalar_subquery()
        return column == sa.any_(sa.cast(told, texts))
    each = sa.func.json_each(sa.bindparam(parameter, value, type_=sa.Text)).table_valued("value")
    return column.in_(sa.select(each.c.value))


def listed(dialect: str, values: Sequence[str]) -> object:
    return list(values) if dialect == "postgresql" else json.dumps(list(values))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (frozenset, set, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")
