"""The door of the HTTP process, as every public API passes it: who signs in, how often, and with what success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from orchestrator.domain.actors import Caller

IN_SCOPE: Final = "understudy.visit"
"""Where the HTTP edge puts the visit of a request into its ASGI scope."""


class Visit(Protocol):
    """One request that wants to come in."""

    def sign_in(self, identify: Callable[[], Caller], refusal: type[Exception]) -> Caller:
        """Who comes in.

        Args:
            identify: finds out by token or signature.
            refusal: what `identify` raises when it lets nobody in; counted against the address.

        Raises:
            TooManyRequests: the address has failed too often, or the key asks too often.
        """


class _Uncounted:
    """Behind no edge of ours."""

    def sign_in(self, identify: Callable[[], Caller], refusal: type[Exception]) -> Caller:
        del refusal
        return identify()


def visit_of(scope: Mapping[str, Any]) -> Visit:
    """The visit that a request is part of."""
    found: Visit = scope.get(IN_SCOPE) or _Uncounted()
    return found
