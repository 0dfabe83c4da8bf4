"""Secrets at rest, encrypted with Fernet (AES-128-CBC and HMAC-SHA256)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from orchestrator.domain.errors import Invalid


def new_key() -> str:
    """A fresh key for `FernetBox`."""
    return Fernet.generate_key().decode()


class FernetBox:
    """The port `SecretBox`.

    Args:
        keys: the first one encrypts, all of them decrypt. To rotate, put a new key first and keep the old ones until
            every secret was sealed again (`understudy key rotate-encryption`).

    Raises:
        Invalid: no key, or one that is not 32 bytes in URL-safe base64.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise Invalid("there is no encryption key; make one with `understudy key new-encryption-key`")
        try:
            fernets = [Fernet(key) for key in keys]
        except ValueError:
            # without the cause: it could show the key
            raise Invalid("an encryption key is not 32 bytes in URL-safe base64") from None
        self._present, self._fernet = fernets[0], MultiFernet(fernets)

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret again. Raises Invalid when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise Invalid("a stored secret was sealed with a key that is not configured any more") from None

    def reseal(self, sealed: str) -> str | None:
        """The secret under the first key; None: it is already. Raises as `open` does."""
        try:
            self._present.decrypt(sealed)
        except InvalidToken:
            return self.seal(self.open(sealed))
        return None
