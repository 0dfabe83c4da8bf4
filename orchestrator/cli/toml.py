"""Settings back into a file: only what differs from the defaults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from orchestrator.settings.load import flat
from orchestrator.settings.words import duration_text

if TYPE_CHECKING:
    from orchestrator.settings import Settings


def settings_text(settings: Settings) -> str:
    """A TOML file that `load()` makes `settings` from. It has the secrets: keep it private."""
    defaults = flat(type(settings)())
    changed = {name: value for name, value in flat(settings).items() if value != defaults.get(name, ...)}
    return "".join(f"{name} = {written(value)}\n" for name, value in sorted(changed.items()))


def written(value: object) -> str:
    """One value as TOML writes it. JSON's strings are TOML's."""
    if isinstance(value, SecretStr):
        return written(value.get_secret_value())
    if isinstance(value, timedelta):
        return written(duration_text(value))
    if isinstance(value, Path):
        return written(str(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(written(each) for each in value) + "]"
    return json.dumps(value)
