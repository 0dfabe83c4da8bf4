"""Types of the wire that the schemas are made of: real JSON types, the vendor's limits."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.dialects.common.wire import MAX_INT, TIME_LENGTH, NoNul, instant


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


def filled(**fields: object) -> dict[str, object]:
    """The fields that are known: absent ones are left out, as the vendor does."""
    return {name: value for name, value in fields.items() if value is not None}


Time = Annotated[str, Field(max_length=TIME_LENGTH), NoNul, AfterValidator(_time)]


# A text of at most so many characters; `Some`: and of at least one.
Exactly24 = Annotated[str, Field(min_length=24, max_length=24), NoNul]
Exactly64 = Annotated[str, Field(min_length=64, max_length=64), NoNul]
Some32 = Annotated[str, Field(min_length=1, max_length=32), NoNul]
Some64 = Annotated[str, Field(min_length=1, max_length=64), NoNul]
Some128 = Annotated[str, Field(min_length=1, max_length=128), NoNul]
Some256 = Annotated[str, Field(min_length=1, max_length=256), NoNul]
Some512 = Annotated[str, Field(min_length=1, max_length=512), NoNul]
Some1024 = Annotated[str, Field(min_length=1, max_length=1024), NoNul]
Some1028 = Annotated[str, Field(min_length=1, max_length=1028), NoNul]
Text32 = Annotated[str, Field(max_length=32), NoNul]
Text64 = Annotated[str, Field(max_length=64), NoNul]
Text128 = Annotated[str, Field(max_length=128), NoNul]
Text256 = Annotated[str, Field(max_length=256), NoNul]
Text512 = Annotated[str, Field(max_length=512), NoNul]
Text1024 = Annotated[str, Field(max_length=1024), NoNul]
Text2048 = Annotated[str, Field(max_length=2048), NoNul]
Text4096 = Annotated[str, Field(max_length=4096), NoNul]
Id = Annotated[str, Field(min_length=1, max_length=64), NoNul]
Offset = Annotated[int, Field(ge=0, le=MAX_INT)]
Limit = Annotated[int, Field(ge=1, le=100)]
