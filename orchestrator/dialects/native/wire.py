"""Types of the wire that schemas and views are made of."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from orchestrator.domain.errors import Invalid

MAX_VALUE_BYTES: Final = 16 * 1024
_ID: Final = r"^[0-9A-Za-z_-]{1,64}$"


class Wire(BaseModel):
    """Strict in both directions: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _storable(value: Any) -> Any:  # noqa: ANN401  any JSON
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    if len(text.encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"at most {MAX_VALUE_BYTES} bytes of JSON are allowed")
    if "\\u0000" in text.replace("\\\\", ""):  # a backslash of the sender's own, before a "u0000", is no NUL
        raise ValueError("NUL characters are not allowed")
    return value


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Id = Annotated[str, Field(pattern=_ID)]
Json = Annotated[Any, AfterValidator(_storable)]
Object = Annotated[dict[str, Any], AfterValidator(_storable)]
Instant = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]


def cursor_of(last_id: str) -> str:
    """Opaque to callers, so that we may change what it means."""
    return base64.urlsafe_b64encode(f"1:{last_id}".encode()).decode().rstrip("=")


def id_of(cursor: str | None) -> str | None:
    """The id behind a cursor. Raises Invalid for what `cursor_of` never gave."""
    if cursor is None:
        return None
    try:
        version, _, last_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
    except (binascii.Error, ValueError):
        version = last_id = ""
    if version != "1" or not re.fullmatch(_ID, last_id):
        raise Invalid("the cursor is none of ours; use next_cursor of the page before", field="cursor")
    return last_id
