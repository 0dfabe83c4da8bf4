"""What an operation is: a row of method, path and handler; and what a handler is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from orchestrator.app.app import App
from orchestrator.dialects.common.faults import Fault
from orchestrator.dialects.common.wire import split
from orchestrator.dialects.metastudio import errors
from orchestrator.dialects.metastudio.wire import Wire
from orchestrator.domain.actors import Caller

W = TypeVar("W", bound=Wire)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, after the check of who asks.

    Attributes:
        path: values of the template's placeholders, decoded.
        query: decoded pairs in the order they came.
    """

    caller: Caller
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: bytes
    group: errors.Group

    def read(self, model: type[W]) -> W:
        """The body. Raises Fault for what is not of the model."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as exc:
            raise errors.invalid_body(exc, self.group) from exc

    def parameters(self, model: type[W]) -> W:
        """The query. Empty values count as not sent; lists come repeated or joined by commas."""
        lists = model.list_fields()
        values: dict[str, object] = {}
        for name, value in self.query:
            if name in lists:
                held = values.setdefault(name, [])
                assert isinstance(held, list)  # noqa: S101  made one line above
                held += [each for each in value.split(",") if each]
            elif name in values:
                raise self.bad_query(f"{name} came twice")
            elif value != "":
                values[name] = value
        try:
            return model.model_validate(values, strict=False)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
            said = first["msg"].removeprefix("Value error, ")
            raise self.bad_query(f"{'.'.join(map(str, first['loc']))}: {said}") from exc

    def words(self, name: str, told: str, known: Collection[str]) -> list[str]:
        """The values of a comma-separated parameter. Raises Fault for a stranger, with the known ones it resembles."""
        found = split(told)
        for word in found:
            if word not in known:
                alike = get_close_matches(word.upper(), known) or known
                raise self.bad_query(f"{name}: {word!r} is none of its values, such as {', '.join(alike)}")
        return found

    def bad_query(self, why: str) -> Fault:
        return self.group.query.fault(why)


@dataclass(frozen=True, slots=True)
class Bytes:
    """An answer that is no JSON: a file, piece by piece."""

    pieces: Iterator[bytes]
    size_bytes: int
    name: str


Handler = Callable[[App, Asked], "Mapping[str, object] | Bytes | None"]


class Operation(NamedTuple):
    """One row.

    Attributes:
        name: of the SDK's method.
        path: below `/v1`; `{name}` stands for one segment.
    """

    name: str
    method: str
    path: str
    handler: Handler
    group: errors.Group

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))
