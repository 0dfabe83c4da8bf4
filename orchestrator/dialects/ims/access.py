"""Who asks: a signature of one of our keys, fresh, and seen for the first time."""

from __future__ import annotations

from dataclasses import replace

import structlog

from orchestrator.app.app import App
from orchestrator.dialects.common.received import NotSigned, Received
from orchestrator.dialects.common.wire import time_text
from orchestrator.dialects.ims import errors, signing
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.errors import KeyDisabled, Unauthenticated

log = structlog.get_logger()


def caller_of(app: App, received: Received, action: str, version: str) -> Caller:
    """Who asks. Raises NotAdmitted.

    This API is the users' side only, so a key of people acts here as its own project's user and sees nothing of others.
    """
    try:
        claim = signing.claim_of(received, action, version)
    except NotSigned as exc:
        raise errors.incomplete(str(exc)) from exc
    now = app.context.clock()
    if abs(now - claim.signed_at) > signing.WINDOW:
        raise errors.expired(claim.time_name, str(time_text(claim.signed_at)), str(time_text(now)))
    try:
        held = app.keys.signing_key(claim.access_key)
    except KeyDisabled as exc:
        raise errors.disabled_key() from exc
    except Unauthenticated as exc:
        raise errors.unknown_key() from exc
    if not claim.is_signed_with(held.secret):
        log.info("signature refused", access_key=claim.access_key)
        raise errors.wrong_signature(claim.string_to_sign)
    if not held.admits(claim.security_token):
        raise errors.foreign_token()
    # last, so that nobody but the owner of the key can use up its nonces
    if not app.nonces.is_first_use(claim.access_key, claim.nonce, claim.signed_at + signing.WINDOW):
        raise errors.nonce_used()
    return replace(held.caller, role=Role.USER)
