"""What the core needs to write a file to an address of somebody else's: only where the operator said so."""

from __future__ import annotations

from typing import Protocol

from orchestrator.domain.errors import Refused


class NotDelivered(Refused):
    """The address is not one of the operator's stores, or its store says no: trying again helps nobody."""

    code = "not_delivered"


class Courier(Protocol):
    def put(self, url: str, content: bytes, content_type: str) -> None:
        """Write `content` to `url`. Raises NotDelivered, or Unavailable when it may go better later."""
        ...


class NoCourier:
    """Of a deployment that writes nowhere else."""

    def put(self, url: str, content: bytes, content_type: str) -> None:  # noqa: ARG002  says no to everything
        raise NotDelivered("no store is allowed as a place for thumbnails")
