"""How secrets are kept at rest."""

from __future__ import annotations

from typing import Protocol


class SecretBox(Protocol):
    def seal(self, secret: str) -> str:
        """The secret, encrypted for the database."""

    def open(self, sealed: str) -> str:
        """The secret again. Raises Invalid when it was sealed with another key."""

    def reseal(self, sealed: str) -> str | None:
        """The same secret sealed with the present key; None: it is already. Raises as `open` does."""
