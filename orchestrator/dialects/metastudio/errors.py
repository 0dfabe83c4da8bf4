"""Errors in the vendor's form: our codes to its codes, and the answers of its gateway."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from pydantic import ValidationError

from orchestrator.domain.errors import TooManyRequests, UnderstudyError

MESSAGE_LIMIT: Final = 256
UNAVAILABLE_FOR_S: Final = 2


class Fault(Exception):
    """An answer that is no success, ready to be sent."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        self.message = message if len(message) <= MESSAGE_LIMIT else f"{message[: MESSAGE_LIMIT - 1]}…"

    def body(self) -> dict[str, object]:
        return {"error_code": self.code, "error_msg": self.message}


class NotAdmitted(Fault):
    """Whoever asks is not let in."""


class Words(NamedTuple):
    """What a group of operations calls its faults.

    Attributes:
        missing: an unknown object named by the path.
        query: a value of the path or the query that is not valid.
        body: a value of the body that is not valid.
    """

    missing: tuple[str, str]
    query: tuple[str, str]
    body: tuple[str, str]


_INVALID: Final = ("MSS.00000003", "Invalid parameter")
_PARAMETERS: Final = ("MSS.10000003", "Parameter validation abnormal")
_URL: Final = ("MSS.10001002", "Illegal URL parameter, please check")
ASSET_MISSING: Final = ("MSS.10001001", "Asset not found")

# No codes of the training group are public but the general one.
TRAINING: Final = Words(_INVALID, _INVALID, _INVALID)
ASSETS: Final = Words(ASSET_MISSING, _URL, _PARAMETERS)
FILES: Final = Words(("MSS.10001004", "The file not found"), _URL, _PARAMETERS)


def no_such_url() -> Fault:
    return Fault(400, "MSS.00010003", "SR.api not found")


def no_such_method() -> Fault:
    return Fault(400, "MSS.00010004", "SR.method not allowed")


def other_project() -> Fault:
    return Fault(400, "MSS.00010009", "urlTenantId is not equal tokenTenantId")


def not_authenticated() -> NotAdmitted:
    return NotAdmitted(401, "MSS.00000001", "Not authenticated: neither a signature nor a token came with the request")


def refused_by_gateway(ending: str) -> NotAdmitted:
    return NotAdmitted(401, "APIGW.0301", f"Incorrect IAM authentication information: {ending}")


def internal() -> Fault:
    return Fault(500, "MSS.00000004", "Internal Error")


def bad_json(why: str) -> Fault:
    return Fault(400, "MSS.10000002", f"Request JSON exception: {why}")


def bad_body(why: str) -> Fault:
    return Fault(400, "MSS.00000002", f"Invalid body: {why}")


# Ours that have an own word; every other refusal is the group's general one.
_OWN: Final[Mapping[str, tuple[int, str, str]]] = {
    "too_many_requests": (429, "APIGW.0308", "The throttling threshold has been reached"),
    "unavailable": (503, "MSS.00000004", "Internal Error"),
    "storage_unavailable": (503, "MSS.00000004", "Internal Error"),
    "trainer_unavailable": (503, "MSS.00000004", "Internal Error"),
    "database_unavailable": (503, "MSS.00000004", "Internal Error"),
    "asset_not_found": (400, *ASSET_MISSING),
    "asset_name_taken": (400, "MSS.10001005", "Asset name already exists"),
    "asset_main_exists": (400, "MSS.10001008", "Asset main file already exists"),
    "asset_cover_exists": (400, "MSS.10001009", "Asset cover file already exists"),
    "asset_file_too_large": (400, "MSS.10001007", "Asset file too large, please do not exceed 5242880 bytes"),
    "unauthenticated": (401, "MSS.00000001", "Not authenticated"),
}


def fault_of(error: UnderstudyError, words: Words) -> Fault:
    """Our error in the words of a group; the facts go into the message, never secrets."""
    own = _OWN.get(error.code)
    if own is not None:
        status, code, text = own
        told = text if status >= 500 else f"{text}: {error.message}"  # noqa: PLR2004  a class of HTTP
        return Fault(status, code, told, retry_after_s=_retry_after_s(error, status))
    code, text = words.missing if error.code == "not_found" else words.body
    return Fault(400, code, f"{text}: {error.message}")


def _retry_after_s(error: UnderstudyError, status: int) -> int | None:
    if isinstance(error, TooManyRequests):
        return int(str(error.details["retry_after_s"]))
    return UNAVAILABLE_FOR_S if status == HTTPStatus.SERVICE_UNAVAILABLE else None


def invalid_body(error: ValidationError, words: Words) -> Fault:
    """The first thing that is wrong with a body, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    if first["type"] == "json_invalid":
        return bad_json(first["msg"].removeprefix("Invalid JSON: "))
    code, text = words.body
    if first["type"] == "value_error" and not first["loc"]:
        return Fault(400, code, f"{text}: {first['msg'].removeprefix('Value error, ')}")
    if not first["loc"]:
        return bad_body("a JSON object is expected")
    where = ".".join(str(step) for step in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if where.endswith("file_type") and first["type"] in {"missing", "string_too_short"}:
        return Fault(400, "MSS.10001003", "The file type are empty, please check")
    return Fault(400, code, f"{text}: {where}: {first['msg']}{more}")
