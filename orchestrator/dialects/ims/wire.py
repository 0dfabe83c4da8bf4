"""Types that the requests are made of. Parameters are texts in a query; the vendor's limits count characters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from orchestrator.dialects.common.wire import MAX_INT, NoNul, Text

MAX_PAGE: Final = 100


class Parameters(BaseModel):
    """What an operation takes: `job_id` comes as `JobId`. Unknown parameters are ignored, as the vendor does.

    Empty values count as not sent, but for those that `may_be_empty` names (as fields).
    """

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_pascal)
    may_be_empty: ClassVar[frozenset[str]] = frozenset()  # type: ignore[pydantic-alias]  # of the line above: made from the wire only


def _at_most_bytes(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if (size := len(text.encode())) > limit:
            raise ValueError(f"it has {size} bytes, {limit} are allowed")
        return text

    return AfterValidator(check)


# A text of at most so many bytes in UTF-8.
Bytes64 = Annotated[Text, _at_most_bytes(64)]
Bytes128 = Annotated[Text, _at_most_bytes(128)]
Bytes1024 = Annotated[Text, _at_most_bytes(1024)]

Id = Annotated[str, Field(min_length=1, max_length=64), NoNul]
MediaId = Annotated[str, Field(min_length=32, max_length=32), NoNul]
PageNo = Annotated[int, Field(ge=1, le=MAX_INT)]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class Paged(Parameters):
    """Which page of a list that is asked for by numbers."""

    page_no: PageNo = 1
    page_size: PageSize = 10

    @property
    def offset(self) -> int:
        return (self.page_no - 1) * self.page_size
