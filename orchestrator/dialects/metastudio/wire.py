"""Types of the wire that the schemas are made of: real JSON types, the vendor's limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.dialects.common.wire import MAX_INT, TIME_LENGTH, Text, instant


class Wire(BaseModel):
    """Strict: no guessing of types, and unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    @classmethod
    @cache
    def list_fields(cls) -> frozenset[str]:
        """Which fields are lists, however optional."""
        return frozenset(name for name, field in cls.model_fields.items() if _is_list(field.annotation))


def _is_list(annotation: Any) -> bool:  # noqa: ANN401  any type expression
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))


def _time(text: str) -> str:
    if text:
        instant(text)
    return text


def last_instant(text: str) -> datetime:
    """The end of the second that a time names: it is shown without its fraction, and asked for as it was shown."""
    return instant(text) + timedelta(microseconds=999_999)


def filled(**fields: object) -> dict[str, object]:
    """The fields that are known: absent ones are left out, as the vendor does."""
    return {name: value for name, value in fields.items() if value is not None}


Time = Annotated[Text, Field(max_length=TIME_LENGTH), AfterValidator(_time)]


# A text of at most so many characters; `Some`: and of at least one.
Exactly24 = Annotated[Text, Field(min_length=24, max_length=24)]
Exactly64 = Annotated[Text, Field(min_length=64, max_length=64)]
Some32 = Annotated[Text, Field(min_length=1, max_length=32)]
Some64 = Annotated[Text, Field(min_length=1, max_length=64)]
Some128 = Annotated[Text, Field(min_length=1, max_length=128)]
Some256 = Annotated[Text, Field(min_length=1, max_length=256)]
Some512 = Annotated[Text, Field(min_length=1, max_length=512)]
Some1024 = Annotated[Text, Field(min_length=1, max_length=1024)]
Some1028 = Annotated[Text, Field(min_length=1, max_length=1028)]
Text32 = Annotated[Text, Field(max_length=32)]
Text64 = Annotated[Text, Field(max_length=64)]
Text128 = Annotated[Text, Field(max_length=128)]
Text256 = Annotated[Text, Field(max_length=256)]
Text512 = Annotated[Text, Field(max_length=512)]
Text1024 = Annotated[Text, Field(max_length=1024)]
Text2048 = Annotated[Text, Field(max_length=2048)]
Text4096 = Annotated[Text, Field(max_length=4096)]
Id = Annotated[Text, Field(min_length=1, max_length=64)]
Offset = Annotated[int, Field(ge=0, le=MAX_INT)]
Limit = Annotated[int, Field(ge=1, le=100)]
