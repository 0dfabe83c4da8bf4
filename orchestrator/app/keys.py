"""Projects and keys: who may come in, and as whom."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.app.context import Context
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.errors import Invalid, KeyDisabled, NotFound, Unauthenticated
from orchestrator.ports.store import KeyRow

_LETTERS = string.ascii_uppercase + string.digits
_ID_LIMIT = 64


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh key; the only time that its secrets are seen.

    Attributes:
        secret: for request signing with `id` as the access key.
        token: for `Authorization: Bearer`.
    """

    id: str
    project_id: str
    role: Role
    name: str
    secret: str = field(repr=False)
    token: str = field(repr=False)


class Keys:
    """Use cases on projects and keys."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_project(self, project_id: str, name: str = "", attributes: Mapping[str, object] | None = None) -> bool:
        """A project (a tenant). False: it was there already.

        Raises:
            Invalid: an id that is not 1 to 64 letters, digits, `-` or `_`.
        """
        letters = project_id.replace("-", "").replace("_", "")
        if not (1 <= len(project_id) <= _ID_LIMIT and letters.isascii() and letters.isalnum()):
            raise Invalid(f"project id {project_id!r}: 1 to {_ID_LIMIT} letters, digits, '-' and '_' are allowed")
        with self._context.store.begin() as tx:
            return tx.keys.add_project(project_id, name or project_id, self._context.clock(), attributes or {})

    def create(self, project_id: str, role: Role, name: str) -> NewKey:
        """A key with a signing secret and a bearer token. Raises Conflict when the project does not exist."""
        key = NewKey(
            id="".join(secrets.choice(_LETTERS) for _ in range(20)), project_id=project_id, role=role, name=name,
            secret=secrets.token_urlsafe(30), token=f"understudy_{secrets.token_urlsafe(32)}",
        )  # fmt: skip
        sealed = self._context.secret_box.seal(key.secret)
        with self._context.store.begin() as tx:
            tx.keys.add(
                key.id, project_id, role=role, name=name, at=self._context.clock(),
                secret_encrypted=sealed, token_hash=_hash(key.token),
            )  # fmt: skip
        return key

    def disable(self, key_id: str) -> None:
        """Refuse a key from now on. Raises NotFound."""
        with self._context.store.begin() as tx:
            if not tx.keys.disable(key_id, self._context.clock()):
                raise NotFound(f"there is no key {key_id} in use", key_id=key_id)

    def all(self) -> Sequence[KeyRow]:
        """Every key of every project, disabled ones too."""
        with self._context.store.read() as tx:
            return tx.keys.all()

    def caller_of_token(self, token: str) -> Caller:
        """Who comes with this bearer token. Raises Unauthenticated."""
        with self._context.store.read() as tx:
            row = tx.keys.by_token(_hash(token))
        if row is None:
            raise Unauthenticated("the token is not known")
        if row.disabled_at is not None:
            raise Unauthenticated("the token is disabled")
        return Caller(row.project_id, row.role, row.name)

    def is_token_of(self, access_key: str, token: str) -> bool:
        """Whether `token` is the bearer token of that key, which stands for the session token of a temporary key."""
        with self._context.store.read() as tx:
            row = tx.keys.by_token(_hash(token))
        return row is not None and row.id == access_key and row.disabled_at is None

    def secret_of(self, access_key: str) -> tuple[str, Caller]:
        """The signing secret of an access key and who comes with it. Raises Unauthenticated, KeyDisabled."""
        with self._context.store.read() as tx:
            row = tx.keys.by_id(access_key)
        if row is None or row.secret_encrypted is None:
            raise Unauthenticated(f"the access key {access_key[:128]} is not known")
        if row.disabled_at is not None:
            raise KeyDisabled(f"the access key {access_key} is disabled")
        return self._context.secret_box.open(row.secret_encrypted), Caller(row.project_id, row.role, row.name)


def _hash(token: str) -> str:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
