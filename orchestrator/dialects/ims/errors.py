"""Errors in the vendor's form: our errors to its codes, and the answers of its gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from orchestrator.dialects.common import faults
from orchestrator.dialects.common.faults import SERVER_ERROR, Fault, NotAdmitted, Words, shortened
from orchestrator.domain.errors import UnderstudyError

MESSAGE_LIMIT: Final = 1024
INVALID: Final = "InvalidParameter"
THROTTLED: Final = "Throttling.User"
_WRONG_STATE: Final = "InvalidParameter.InvalidState"

_LOOK_AT_THE_MESSAGE: Final = "The Message says what was found and what is allowed."
_LOOK_AT_THE_LOG: Final = "Try again later; the log of the server has more under this RequestId."
_ADVICE: Final[Mapping[str, str]] = {
    "SignatureDoesNotMatch": "Check the secret of the key, and that no proxy rewrites the Host, headers or query.",
    "SignatureNonceUsed": "Sign every request anew, retries too, with a nonce of its own.",
    "InvalidTimeStamp.Expired": "Set the clock of the client; 15 minutes are allowed in either direction.",
    "InvalidAccessKeyId.NotFound": "Keys are made by `understudy key create`.",
    "InvalidAccessKeyId.Inactive": "Keys are made by `understudy key create`.",
    THROTTLED: "Ask again after the milliseconds in x-acs-retry-after.",
}


def body(fault: Fault, request_id: str, host: str) -> dict[str, object]:
    """A fault as it is written."""
    usual = _LOOK_AT_THE_LOG if fault.status >= SERVER_ERROR else _LOOK_AT_THE_MESSAGE
    return {
        "RequestId": request_id, "HostId": host, "Code": fault.code,
        "Message": shortened(fault.message, MESSAGE_LIMIT), "Recommend": _ADVICE.get(fault.code, usual),
    }  # fmt: skip


# the gateway


def no_such_action(name: str) -> Fault:
    said = f"The specified action {name[:64]!r} is not found." if name else "The parameter Action is missing."
    return Fault(404, "InvalidAction.NotFound", said) if name else Fault(400, "MissingAction", said)


def no_such_version(version: str, known: str) -> Fault:
    if not version:
        return missing("Version")
    return Fault(400, "InvalidVersion", f"The specified version {version[:32]!r} is not valid: only {known} is served.")


def no_such_method(method: str) -> Fault:
    return Fault(405, "UnsupportedHTTPMethod", f"The HTTP method {method[:16]!r} is not supported: use POST.")


def incomplete(why: str) -> NotAdmitted:
    return NotAdmitted(400, "IncompleteSignature", f"The request signature does not conform to the standard: {why}.")


def wrong_signature(string_to_sign: str = "") -> NotAdmitted:
    """As the vendor does, with what the server has signed, which holds no secret."""
    ending = f" Server string to sign is: {string_to_sign}" if string_to_sign else ""
    return NotAdmitted(400, "SignatureDoesNotMatch", f"The specified signature does not match our calculation.{ending}")


def bad_time(name: str) -> NotAdmitted:
    said = f"The specified time stamp {name} is not of the form YYYY-MM-DDThh:mm:ssZ."
    return NotAdmitted(400, "InvalidTimeStamp.Format", said)


def expired(name: str, told: str, now: str) -> NotAdmitted:
    said = f"The specified time stamp {name} is {told}, more than 15 minutes from the server's {now}."
    return NotAdmitted(400, "InvalidTimeStamp.Expired", said)


def nonce_used() -> NotAdmitted:
    return NotAdmitted(400, "SignatureNonceUsed", "The request signature nonce has been used.")


def unknown_key() -> NotAdmitted:
    return NotAdmitted(404, "InvalidAccessKeyId.NotFound", "The specified access key is not found.")


def disabled_key() -> NotAdmitted:
    return NotAdmitted(400, "InvalidAccessKeyId.Inactive", "The specified access key is disabled.")


def foreign_token() -> NotAdmitted:
    said = "The specified security token does not belong to the access key."
    return NotAdmitted(400, "InvalidSecurityToken.MismatchWithAccessKey", said)


def internal() -> Fault:
    return Fault(500, "InternalError", "The request processing has failed due to some unknown error.")


# parameters


def missing(parameter: str) -> Fault:
    return Fault(400, f"Missing{parameter}", f"The input parameter {parameter!r} that is mandatory is missing.")


def invalid(parameter: str, why: str) -> Fault:
    return Fault(400, INVALID, f'The specified parameter "{parameter}" is not valid: {why}.')


def of_parameters(error: ValidationError) -> Fault:
    """The first thing that is wrong with the parameters, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    where = ".".join(str(step) for step in first["loc"])
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return missing(where)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return invalid(where, first["msg"].removeprefix("Value error, ") + more)


# No seconds to wait go with what is unavailable: the vendor's SDK would take it for throttling, whatever its code.
_WORDS: Final[Mapping[str, Words]] = {
    "error": Words(400, INVALID),
    "not_found": Words(404, "InvalidParameter.ResourceNotFound"),
    "refused": Words(400, _WRONG_STATE),
    "upload_error": Words(400, _WRONG_STATE),
    "unauthenticated": Words(404, "InvalidAccessKeyId.NotFound"),
    "forbidden": Words(403, "Forbidden"),
    "too_many_requests": Words(400, THROTTLED, "Request was denied due to user flow control"),
    "unavailable": Words(503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
}


def fault_of(error: UnderstudyError) -> Fault:
    """Our error in the vendor's words."""
    return faults.fault_of(error, _WORDS)
