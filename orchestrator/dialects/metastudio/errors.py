"""Errors in the vendor's form: our codes to its codes, and the answers of its gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import ValidationError

from orchestrator.dialects.common import faults
from orchestrator.dialects.common.faults import Fault, NotAdmitted, Words, shortened
from orchestrator.domain.errors import UnderstudyError

MESSAGE_LIMIT: Final = 256
UNAVAILABLE_FOR_S: Final = 2


class Group(NamedTuple):
    """What a group of operations calls its faults.

    Attributes:
        missing: an unknown object named by the path.
        query: a value of the path or the query that is not valid.
        body: a value of the body that is not valid, and every refusal that has no word of its own.
    """

    missing: Words
    query: Words
    body: Words


_INVALID: Final = Words(400, "MSS.00000003", "Invalid parameter")
_PARAMETERS: Final = Words(400, "MSS.10000003", "Parameter validation abnormal")
_URL: Final = Words(400, "MSS.10001002", "Illegal URL parameter, please check")
ASSET_MISSING: Final = Words(400, "MSS.10001001", "Asset not found")
_FILE_MISSING: Final = Words(400, "MSS.10001004", "The file not found")

# No codes of the training group are public but the general one.
TRAINING: Final = Group(_INVALID, _INVALID, _INVALID)
ASSETS: Final = Group(ASSET_MISSING, _URL, _PARAMETERS)
FILES: Final = Group(_FILE_MISSING, _URL, _PARAMETERS)


def bad_header(why: str) -> Fault:
    return _INVALID.fault(why)


def no_such_url() -> Fault:
    return Fault(400, "MSS.00010003", "SR.api not found")


def no_such_method() -> Fault:
    return Fault(400, "MSS.00010004", "SR.method not allowed")


def other_project(named: str, own: str) -> Fault:
    """Args: named: by the request; own: the key's."""
    said = f"urlTenantId is not equal tokenTenantId: the request is for project {named!r}, the key of {own!r}"
    if named == "{project_id}":  # as the vendor's SDK sends it that was given none
        said += "; give the SDK's credentials a project_id"
    return Fault(400, "MSS.00010009", said)


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


# Errors of ours that have a word of their own, whatever the group.
_OWN: Final[Mapping[str, Words]] = {
    "too_many_requests": Words(429, "APIGW.0308", "The throttling threshold has been reached"),
    "unavailable": Words(503, "MSS.00000004", "Internal Error", UNAVAILABLE_FOR_S),
    "unauthenticated": Words(401, "MSS.00000001", "Not authenticated"),
    "asset_not_found": ASSET_MISSING,
    "asset_name_taken": Words(400, "MSS.10001005", "Asset name already exists"),
    "asset_main_exists": Words(400, "MSS.10001008", "Asset main file already exists"),
    "asset_cover_exists": Words(400, "MSS.10001009", "Asset cover file already exists"),
    "asset_file_too_large": Words(400, "MSS.10001007", "Asset file too large, please do not exceed 5242880 bytes"),
}


def fault_of(error: UnderstudyError, group: Group) -> Fault:
    """Our error in the words of a group."""
    return faults.fault_of(error, {"not_found": group.missing, "error": group.body, **_OWN})


def body(fault: Fault) -> dict[str, object]:
    """A fault as it is written, alone or beside the assets that it is about."""
    return {"error_code": fault.code, "error_msg": shortened(fault.message, MESSAGE_LIMIT)}


def invalid_body(error: ValidationError, group: Group) -> Fault:
    """The first thing that is wrong with a body, and how many more there are."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    first = problems[0]
    if first["type"] == "json_invalid":
        return bad_json(first["msg"].removeprefix("Invalid JSON: "))
    said = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return group.body.fault(said) if first["type"] == "value_error" else bad_body("a JSON object is expected")
    where = ".".join(str(step) for step in first["loc"])
    if where.endswith("file_type") and first["type"] in {"missing", "string_too_short"}:
        return Fault(400, "MSS.10001003", "The file type are empty, please check")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return group.body.fault(f"{where}: {said}{more}")
