"""What an operation is: a row of name, parameters and handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from orchestrator.app.app import App
from orchestrator.dialects.ims import errors
from orchestrator.dialects.ims.wire import Parameters
from orchestrator.domain.actors import Caller

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Operation(Generic[P]):
    """One row.

    Attributes:
        name: the action.
        parameters: what the handler is given, parsed.
        handler: its answer is the body without RequestId.
    """

    name: str
    parameters: type[P]
    handler: Callable[[App, Caller, P], Mapping[str, object]]

    def run(self, app: App, caller: Caller, pairs: Sequence[tuple[bytes, bytes]]) -> Mapping[str, object]:
        """Parse, ask, answer. Raises Fault, UnderstudyError."""
        return self.handler(app, caller, read(self.parameters, pairs))


AnyOperation = Operation[Any]


def wrapped(**data: object) -> dict[str, object]:
    """The form of answers about avatars; those about media are flat."""
    return {"Success": True, "Data": data}


def read(model: type[P], pairs: Sequence[tuple[bytes, bytes]]) -> P:
    """Parameters of a request. Raises Fault for what is not of the model."""
    keep = {model.model_fields[name].alias for name in model.may_be_empty}
    values: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        try:
            name, value = raw_name.decode(), raw_value.decode()
        except UnicodeDecodeError as exc:
            raise errors.invalid(raw_name.decode("utf-8", "replace")[:64], "it is not UTF-8") from exc
        if name in values:
            raise errors.invalid(name[:64], "it came twice")
        values[name] = value
    try:
        return model.model_validate({name: value for name, value in values.items() if value or name in keep})
    except ValidationError as exc:
        raise errors.of_parameters(exc) from exc
