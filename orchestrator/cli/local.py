"""For commands that run beside the API: the settings of this installation, and the use cases built from them."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.cli.connection import find_dev
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.options import Globals
from orchestrator.domain.actors import Caller, Role

if TYPE_CHECKING:
    from orchestrator.app.app import App
    from orchestrator.settings import Settings

SETTINGS_FILE: Final = "understudy.toml"
"""What `understudy dev` writes into its data directory, so that such commands find its parts."""


def config_path(told: Globals) -> Path | None:
    """The settings file: as told, else the one of a local `understudy dev`; None leaves it to UNDERSTUDY_CONFIG.

    Variables win over a `dev` that only happens to be in the current directory.
    """
    if told.config is not None:
        return told.config
    configured = os.environ.get("UNDERSTUDY_CONFIG") or os.environ.get("UNDERSTUDY_DATABASE__URL")
    if configured and told.dev is None:
        return None
    data_dir = find_dev(told.dev)
    if data_dir is None:
        return None
    path = data_dir / SETTINGS_FILE
    return path if told.dev is not None or path.exists() else None


def settings_of(told: Globals) -> Settings:
    """Raises BadSettings, with everything that is wrong at once."""
    from orchestrator.settings import load

    keep_output_clean()
    return load(config_path(told))


def database_url(settings: Settings) -> str:
    """Raises CliError when there is none."""
    url = settings.database.url.get_secret_value()
    if not url:
        raise CliError("database.url is not set", Exit.USAGE, hint="Set UNDERSTUDY_DATABASE__URL, or give --config")
    return url


def keep_output_clean() -> None:
    """Only warnings are logged, to standard error: standard output is for results."""
    from orchestrator.logs import configure_logging

    configure_logging("warning", "console")


def app_of(told: Globals) -> App:
    """The use cases of this installation, with no API between. Raises BadSettings."""
    from orchestrator.bootstrap import build_app

    return build_app(settings_of(told))


def me() -> Caller:
    """Who sits at the command line, for the audit log."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        name = str(os.getuid())
    return Caller("", Role.OPERATOR, f"{name} (command line)")
