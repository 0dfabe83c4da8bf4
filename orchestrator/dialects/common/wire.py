"""Types of the wire that several dialects' schemas are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

MAX_INT: Final = 2_147_483_647
TIME_LENGTH: Final = 20


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL characters are not allowed")
    return text


def _true_or_false(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def instant(text: str) -> datetime:
    """An aware instant from `2024-07-30T10:43:17Z`. Raises ValueError for any other form."""
    if len(text) != TIME_LENGTH or not text.endswith("Z"):
        raise ValueError("a time has the form 2024-07-30T10:43:17Z")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def last_instant(text: str) -> datetime:
    """The end of the second that a time names: it is shown without its fraction, and asked for as it was shown."""
    return instant(text) + timedelta(microseconds=999_999)


def time_text(at: datetime | None) -> str | None:
    """20 characters, UTC."""
    return None if at is None else f"{at.astimezone(UTC).isoformat()[: TIME_LENGTH - 1]}Z"


def split(text: str | None) -> list[str]:
    """The values of a comma-separated parameter."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


# Behind the limits of a length: those that stand behind a validator speak of items, not of characters.
NoNul = AfterValidator(_without_nul)
Text = Annotated[str, NoNul]
QueryBool = Annotated[bool, BeforeValidator(_true_or_false)]
"""`true` or `false` in any letter case, as query strings have them."""
