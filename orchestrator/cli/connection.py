"""Which API to speak to, and as whom: options, environment, or the `dev.json` of a running `understudy dev`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.cli.failures import CliError, Exit
from orchestrator.domain.actors import Role

DEFAULT_DATA_DIR: Final = Path(".understudy")
DEV_FILE: Final = "dev.json"
ENDPOINT_VARIABLE: Final = "UNDERSTUDY_ENDPOINT"
TOKEN_VARIABLE: Final = "UNDERSTUDY_TOKEN"  # noqa: S105  the name of a variable
DEV_VARIABLE: Final = "UNDERSTUDY_DEV"

_TOKEN_OF: Final = {
    Role.USER: "user_token",
    Role.REVIEWER: "reviewer_token",
    Role.ADMIN: "admin_token",
    Role.OPERATOR: "admin_token",
}


@dataclass(frozen=True, slots=True)
class Connection:
    endpoint: str
    token: str = field(repr=False)


def find_dev(dev: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The data directory of `understudy dev`: as told, else the variable's, else `./.understudy` where there is one."""
    told = dev or (Path(environment[DEV_VARIABLE]) if environment.get(DEV_VARIABLE) else None)
    if told is not None:
        return told
    return DEFAULT_DATA_DIR if DEFAULT_DATA_DIR.is_dir() else None


def read_dev(data_dir: Path) -> dict[str, object]:
    """What a running `understudy dev` wrote down.

    Raises:
        CliError: it is not running, or the file is not ours to read.
    """
    path = data_dir / DEV_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        hint = f"Start it: understudy dev --data-dir {data_dir}"
        raise CliError(f"nothing runs on {data_dir}: there is no {DEV_FILE}", Exit.UNREACHABLE, hint=hint) from exc
    except (OSError, ValueError) as exc:
        raise CliError(f"{path} cannot be read: {exc}", Exit.UNREACHABLE) from exc
    if not isinstance(found, dict):
        raise CliError(f"{path} holds no JSON object", Exit.UNREACHABLE)
    return found


def connect(
    role: Role,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    dev: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Connection:
    """Where to go and with which token.

    Args:
        role: which of the tokens in `dev.json` the command needs; a token that is told is taken as it is.

    Raises:
        CliError: no address or no token was found anywhere.
    """
    endpoint = endpoint or (None if dev else environment.get(ENDPOINT_VARIABLE))
    token = token or (None if dev else environment.get(TOKEN_VARIABLE))
    if endpoint and token:
        return Connection(endpoint.rstrip("/"), token)
    data_dir = find_dev(dev, environment)
    if data_dir is None:
        missing = "an API address" if not endpoint else "a token"
        hint = f"Give --endpoint and --token, set {ENDPOINT_VARIABLE} and {TOKEN_VARIABLE}, or run `understudy dev`"
        raise CliError(f"no command reaches the API without {missing}", Exit.USAGE, hint=hint)
    known = read_dev(data_dir)
    local = str(known["endpoint"])
    if endpoint and endpoint.rstrip("/") != local:  # never send a local token somewhere else
        hint = f"Give --token, or set {TOKEN_VARIABLE}"
        raise CliError(f"the tokens of {data_dir} are for {local}, not for {endpoint}", Exit.USAGE, hint=hint)
    return Connection(local, token or str(known[_TOKEN_OF[role]]))
