"""Who asks: a signature of one of our keys, or one of our tokens in `X-Auth-Token`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from orchestrator.app.app import App
from orchestrator.dialects.common.faults import NotAdmitted
from orchestrator.dialects.common.received import NotSigned, Received
from orchestrator.dialects.metastudio import errors, signing
from orchestrator.domain.actors import Caller
from orchestrator.domain.errors import Unauthenticated
from orchestrator.ports.visit import Visit

FAILURES: Final = 5
LOCKED_FOR: Final = timedelta(minutes=5)
_REMEMBERED: Final = 10_000
_USER_ID_LIMIT: Final = 256

log = structlog.get_logger()


class LockOut:
    """Refuses a key for 5 minutes after 5 wrong signatures in a row.

    Kept in the memory of the process, so a deployment of N processes lets N times as many guesses through: against a
    secret of 240 random bits that makes no difference, and no request has to write to the database. Only keys that
    exist are counted, at most 10,000 of them.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def is_locked(self, access_key: str) -> bool:
        failed = self._failed.get(access_key)
        if failed is None or failed[0] < FAILURES:
            return False
        if self._clock() - failed[1] < LOCKED_FOR:
            return True
        self.succeeded(access_key)
        return False

    def failed(self, access_key: str) -> None:
        with self._lock:
            times, _ = self._failed.pop(access_key, (0, None))
            self._failed[access_key] = (times + 1, self._clock())
            while len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)

    def succeeded(self, access_key: str) -> None:
        if access_key in self._failed:
            with self._lock:
                self._failed.pop(access_key, None)


class Access:
    """Checks requests of one process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock_out = LockOut(self._now)

    def _now(self) -> datetime:
        return self._app.context.clock()

    def caller(self, received: Received, visit: Visit, project_id: str | None) -> Caller:
        """Who asks. This API is the users' side only, so a key of people acts here as its own project's user.

        Args:
            project_id: that the path names, if it does. It has to be the key's own, as `X-Project-Id` has.

        Raises:
            NotAdmitted, TooManyRequests.
            Fault: of another project, or with a header that cannot be.
        """
        caller = visit.sign_in(lambda: self._caller(received), NotAdmitted)
        for named in (project_id, _told(received, "x-project-id")):
            if named is not None and named != caller.project_id:
                raise errors.other_project(named, caller.project_id)
        user_id = _told(received, "x-app-userid")
        if user_id is not None and not 1 <= len(user_id) <= _USER_ID_LIMIT:
            raise errors.bad_header(f"X-App-UserId has {len(user_id)} characters; 1 to {_USER_ID_LIMIT} are allowed")
        return caller.as_user(user_id)

    def _caller(self, received: Received) -> Caller:
        try:
            return self._signed_in(received)
        except NotSigned as exc:
            log.info("signature refused", why=str(exc))
            raise errors.refused_by_gateway("verify aksk signature fail") from exc

    def _signed_in(self, received: Received) -> Caller:
        token = received.header("x-auth-token")
        authorization = received.header("authorization")
        if authorization is None and token is None:
            raise errors.not_authenticated()
        if token is not None and not (authorization or "").startswith(f"{signing.ALGORITHM} "):
            return self._of_token(token)
        return self._of_either(received, authorization or "", token)

    def _of_either(self, received: Received, authorization: str, token: str | None) -> Caller:
        """By the signature; one that fails beside a token leaves the word to the token."""
        if token is None:
            return self._of_signature(received, authorization)
        try:
            return self._of_signature(received, authorization)
        except (NotAdmitted, NotSigned):
            return self._of_token(token)

    def _of_token(self, token: str) -> Caller:
        try:
            return self._app.keys.caller_of_token(token)
        except Unauthenticated as exc:
            raise errors.refused_by_gateway("decrypt token fail") from exc

    def _of_signature(self, received: Received, value: str) -> Caller:
        authorization = signing.Authorization.parse(value)
        key = authorization.access_key
        at = signing.signed_at(received)
        if not signing.is_fresh(at, self._app.context.clock()):
            raise NotSigned(f"it was signed at {at:%Y-%m-%d %H:%M:%S}, more than 15 minutes from now")
        if self._lock_out.is_locked(key):
            raise errors.refused_by_gateway("AK access failed to reach the limit,forbidden")
        try:
            held = self._app.keys.signing_key(key)
        except Unauthenticated as exc:
            raise errors.refused_by_gateway("Get secretKey failed") from exc
        if not signing.is_signed_with(held.secret, received, authorization):
            self._lock_out.failed(key)
            raise NotSigned(f"the signature of key {key} is wrong")
        self._lock_out.succeeded(key)
        if not held.admits(received.header("x-security-token")):
            raise errors.refused_by_gateway("decrypt token fail")
        return held.caller


def _told(received: Received, name: str) -> str | None:
    """A header that a token does not prove. Raises Fault for two of them."""
    try:
        return received.header(name)
    except NotSigned as exc:
        raise errors.bad_header(str(exc)) from exc
