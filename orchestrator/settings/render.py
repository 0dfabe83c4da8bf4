"""The settings as text: default.toml, and the table of config/README.md. Both are held equal to the code by a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, SecretStr

from orchestrator.settings.load import field_of, flat, is_secret, variable_of
from orchestrator.settings.schema import Settings
from orchestrator.settings.words import Rate, duration_text, rate_text, size, size_text

_HEAD = """\
# Every setting with its default. Generated from orchestrator/settings/schema.py by `./run docs`; do not edit, but copy
# what you need to a file of your own and name that with --config or UNDERSTUDY_CONFIG.
#
# Order: command-line flag, UNDERSTUDY_SECTION__NAME variable (..._FILE names a file with a secret), configuration file,
# default. Unknown keys are errors.
"""


def default_toml() -> str:
    """The text of config/default.toml."""
    lines = [_HEAD]
    section = ""
    for name, value in flat(Settings()).items():
        table, _, key = name.rpartition(".")
        if table != section:
            lines += ["", f"# {_section_doc(table)}", f"[{table}]"]
            section = table
        lines.append(f"{key} = {toml_value(name, value)}  # {field_of(name).description}")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def settings_table() -> str:
    """Markdown: every setting, its default, its variable and its meaning."""
    lines = ["| setting | default | variable | meaning |", "| --- | --- | --- | --- |"]
    for name, value in flat(Settings()).items():
        default = "" if is_secret(field_of(name)) else f"`{toml_value(name, value)}`"
        lines.append(f"| `{name}` | {default} | `{variable_of(name)}` | {field_of(name).description} |")
    return "\n".join(lines)


def toml_value(name: str, value: object) -> str:
    """A setting's value as TOML writes it."""
    if isinstance(value, timedelta):
        return json.dumps(duration_text(value))
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and any(_converts_sizes(m) for m in field_of(name).metadata)
    ):
        return json.dumps(size_text(value))
    if value is None or isinstance(value, Rate):
        return json.dumps(rate_text(value))
    if isinstance(value, SecretStr | Path):
        return json.dumps(value.get_secret_value() if isinstance(value, SecretStr) else str(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {json.dumps(each)}" for key, each in value.items()) + " }" if value else "{}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _converts_sizes(metadata: object) -> bool:
    return getattr(metadata, "func", None) is size


def _section_doc(table: str) -> str:
    model: type[BaseModel] = Settings
    for key in table.split("."):
        if key not in model.model_fields:
            break  # the name that the user chose
        annotation = model.model_fields[key].annotation
        model = next(t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel))
    return (model.__doc__ or "").strip().splitlines()[0]
