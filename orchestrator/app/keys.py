"""Projects and keys: who may come in, and as whom. All of it is for operators, and every change says who made it."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.context import Context
from orchestrator.domain.actors import MACHINE, Caller, Role
from orchestrator.domain.audit import Act
from orchestrator.domain.errors import Conflict, Invalid, KeyDisabled, NotFound, Unauthenticated
from orchestrator.ports.store import KeyRow, Tx

TRUSTED_FOR: Final = timedelta(seconds=1)  # so long another process may let in a key that was disabled
_REMEMBERED: Final = 10_000
MAX_OVERLAP: Final = timedelta(days=90)
# Of temporary keys. Source: Huawei Cloud IAM, duration_seconds of CreateTemporaryAccessKey (900 to 86400 s).
MIN_LIFETIME: Final = timedelta(minutes=15)
MAX_LIFETIME: Final = timedelta(hours=24)
_LETTERS = string.ascii_uppercase + string.digits
_ID_LIMIT = 64
_TOKEN_LIMIT = 512  # ours have 54 characters; whoever sends a book has it hashed by nobody


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


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key as signatures are checked with it. `secret` and `token_hash` are never shown."""

    secret: str = field(repr=False)
    caller: Caller
    token_hash: str = field(repr=False)
    is_temporary: bool

    def admits(self, session_token: str | None) -> bool:
        """Whether the session token beside a signature is the key's own; a lasting key needs none."""
        if session_token is None:
            return not self.is_temporary
        return secrets.compare_digest(_hash(session_token), self.token_hash)


class Keys:
    """Use cases on projects and keys."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, _Seen] = {}  # by access key, and by hash of a token

    def add_project(
        self, project_id: str, name: str = "", attributes: Mapping[str, object] | None = None, *, by: Caller = MACHINE
    ) -> bool:
        """A project (a tenant). False: it was there already.

        Raises:
            Invalid: an id that is not 1 to 64 letters, digits, `-` or `_`.
            Forbidden.
        """
        by.require(Role.OPERATOR, "a new project")
        letters = project_id.replace("-", "").replace("_", "")
        if not (1 <= len(project_id) <= _ID_LIMIT and letters.isascii() and letters.isalnum()):
            raise Invalid(f"project id {project_id!r}: 1 to {_ID_LIMIT} letters, digits, '-' and '_' are allowed")
        at = self._context.clock()
        with self._context.store.begin() as tx:
            made = tx.keys.add_project(project_id, name or project_id, at, attributes or {})
            if made:
                tx.audit.add(by, Act.CREATE_PROJECT, project_id, at)
        return made

    def create(
        self, project_id: str, role: Role, name: str, *, lifetime: timedelta | None = None, by: Caller = MACHINE
    ) -> NewKey:
        """A key with a signing secret and a bearer token.

        Args:
            lifetime: makes a temporary key, as vendors' token services issue them: it is refused after so long, 15
                minutes to 24 hours, and its signatures count only beside its token. None: a lasting key.

        Raises:
            Invalid: there is no such project, or the lifetime is too short or too long.
            Forbidden.
        """
        by.require(Role.OPERATOR, "a new key")
        if lifetime is not None and not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
            raise Invalid(f"the lifetime is {lifetime}; {MIN_LIFETIME} to {MAX_LIFETIME} are allowed", field="lifetime")
        key, at = _new_key(project_id, role, name), self._context.clock()
        ends_at = None if lifetime is None else at + lifetime
        told: dict[str, object] = {} if ends_at is None else {"refused_at": ends_at.isoformat()}
        with self._context.store.begin() as tx:
            try:
                self._add(tx, key, at, ends_at)
            except Conflict as exc:  # of 20 random letters no two are alike
                said = f"there is no project {project_id!r}; `understudy project create {project_id}` makes it"
                raise Invalid(said, field="project_id") from exc
            tx.audit.add(by, Act.CREATE_KEY, key.id, at, project_id=project_id, role=role.value, name=name, **told)
        return key

    def replace(self, key_id: str, overlap: timedelta = timedelta(0), *, by: Caller = MACHINE) -> NewKey:
        """A key with fresh secrets in the place of another: same project, role and name.

        Args:
            overlap: the old key is let in for so long, so that its users have time to change; up to 90 days.

        Raises:
            NotFound: there is no such key in use.
            Invalid: the overlap is negative or too long, or the key is a temporary one.
            Forbidden.
        """
        by.require(Role.OPERATOR, "a key in the place of another")
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise Invalid(f"the overlap is {overlap}; 0 to {MAX_OVERLAP.days} days are allowed", field="overlap")
        at = self._context.clock()
        with self._context.store.begin() as tx:
            old = tx.keys.by_id(key_id)
            if old is not None and old.is_temporary:
                raise Invalid(f"key {key_id} is temporary: ask for another one", field="key_id")
            if old is None or not tx.keys.disable(key_id, at + overlap):
                raise NotFound(f"there is no key {key_id} in use", key_id=key_id)
            key = _new_key(old.project_id, old.role, old.name)
            self._add(tx, key, at)
            refused_at = (at + overlap).isoformat()
            tx.audit.add(by, Act.REPLACE_KEY, key_id, at, replaced_by=key.id, refused_at=refused_at)
        self._seen.clear()
        return key

    def _add(self, tx: Tx, key: NewKey, at: datetime, ends_at: datetime | None = None) -> None:
        tx.keys.add(
            key.id, key.project_id, role=key.role, name=key.name, at=at,
            secret_encrypted=self._context.secret_box.seal(key.secret), token_hash=_hash(key.token), ends_at=ends_at,
        )  # fmt: skip

    def disable(self, key_id: str, *, by: Caller = MACHINE) -> None:
        """Refuse a key from now on; other processes, within TRUSTED_FOR. Raises NotFound, Forbidden."""
        by.require(Role.OPERATOR, "to disable a key")
        at = self._context.clock()
        with self._context.store.begin() as tx:
            if not tx.keys.disable(key_id, at):
                raise NotFound(f"there is no key {key_id} in use", key_id=key_id)
            tx.audit.add(by, Act.DISABLE_KEY, key_id, at)
        self._seen.clear()

    def all(self, *, by: Caller = MACHINE) -> Sequence[KeyRow]:
        """Every key of every project, disabled ones too. Raises Forbidden."""
        by.require(Role.OPERATOR, "the list of keys")
        with self._context.store.read() as tx:
            return tx.keys.all()

    def caller_of_token(self, token: str) -> Caller:
        """Who comes with this bearer token. Raises Unauthenticated."""
        row = self._of_token(token)
        if row is None:
            raise Unauthenticated("the token is not known")
        if self._is_disabled(row):
            raise Unauthenticated("the token is disabled")
        return _caller(row)

    def signing_key(self, access_key: str) -> SigningKey:
        """What requests of an access key are signed with, and who comes. Raises Unauthenticated, KeyDisabled."""
        seen = self._looked_up(access_key, lambda tx: tx.keys.by_id(access_key))
        if seen is None or seen.row.secret_encrypted is None:
            raise Unauthenticated(f"the access key {access_key[:128]} is not known")
        if self._is_disabled(seen.row):
            raise KeyDisabled(f"the access key {access_key} is disabled")
        if seen.secret is None:
            seen.secret = self._context.secret_box.open(seen.row.secret_encrypted)
        row = seen.row
        return SigningKey(seen.secret, _caller(row), row.token_hash or "", is_temporary=row.is_temporary)

    def _of_token(self, token: str) -> KeyRow | None:
        if len(token) > _TOKEN_LIMIT:
            return None
        hashed = _hash(token)
        seen = self._looked_up(hashed, lambda tx: tx.keys.by_token(hashed))
        return None if seen is None else seen.row

    def _looked_up(self, name: str, look: Callable[[Tx], KeyRow | None]) -> _Seen | None:
        """A key that was looked at a moment ago is not looked at again: most requests come in rows."""
        now = self._context.clock()
        seen = self._seen.get(name)
        if seen is not None and abs(now - seen.at) < TRUSTED_FOR:
            return seen
        with self._context.store.read() as tx:
            row = look(tx)
        if row is None:
            return None
        seen = _Seen(row, now)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[name] = seen
        return seen

    def _is_disabled(self, row: KeyRow) -> bool:
        return row.disabled_at is not None and row.disabled_at <= self._context.clock()


@dataclass(slots=True)
class _Seen:
    """A key as it was at an instant; its secret is opened when it is needed first."""

    row: KeyRow
    at: datetime
    secret: str | None = None


def _caller(row: KeyRow) -> Caller:
    return Caller(row.project_id, row.role, row.name, key_id=row.id)


def _new_key(project_id: str, role: Role, name: str) -> NewKey:
    return NewKey(
        id="".join(secrets.choice(_LETTERS) for _ in range(20)), project_id=project_id, role=role, name=name,
        secret=secrets.token_urlsafe(30), token=f"understudy_{secrets.token_urlsafe(32)}",
    )  # fmt: skip


def _hash(token: str) -> str:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
