"""Where settings come from: flags, then UNDERSTUDY_* variables, then the configuration file, then the defaults."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from orchestrator.domain.errors import Invalid
from orchestrator.settings.schema import Settings

PREFIX: Final = "UNDERSTUDY_"
CONFIG_VARIABLE: Final = "UNDERSTUDY_CONFIG"
DEFAULTS: Final = Path(__file__).parent.parent / "config" / "default.toml"
MASK: Final = "********"


class BadSettings(Invalid):
    """The configuration is wrong; `problems` has a sentence for everything found."""

    code = "bad_settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the configuration is wrong: " + "; ".join(problems), problems=problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as it stands. `value` and `default` are masked where `secret`."""

    name: str
    value: object
    source: str
    default: object
    description: str
    secret: bool


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str


def load(
    config: Path | str | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this process.

    Args:
        config: a TOML file; None: the one that UNDERSTUDY_CONFIG names, if any.
        flags: dotted names and values, such as {"database.url": "sqlite:///x.db"}; None values are not set.
        environ: None: the environment of the process.

    Raises:
        BadSettings: unknown keys, wrong values, unreadable files; everything at once.
    """
    return _loaded(config, flags, environ)[0]


def explain(
    config: Path | str | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Explained]:
    """Every setting with its value, where it came from, its default and its meaning. Raises as `load` does."""
    settings, given = _loaded(config, flags, environ)
    plain, untouched = flat(settings), flat(Settings())
    out = []
    for name, value in plain.items():
        found = field_of(name)
        secret = is_secret(found)
        out.append(
            Explained(
                name,
                _shown(value, secret=secret),
                given[name].source if name in given else "default",
                _shown(untouched.get(name, found.get_default(call_default_factory=True)), secret=secret),
                found.description or "",
                secret,
            )
        )
    return out


def _shown(value: object, *, secret: bool) -> object:
    if not secret:
        return value
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
    return MASK if text else ""


def _loaded(
    config: Path | str | None, flags: Mapping[str, object] | None, environ: Mapping[str, str] | None
) -> tuple[Settings, dict[str, _Given]]:
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    given: dict[str, _Given] = {}
    chosen = config if config is not None else environ.get(CONFIG_VARIABLE)
    if chosen:
        given |= _of_file(Path(chosen), problems)
    given |= _of_environment(environ, problems)
    for name, value in (flags or {}).items():
        if value is not None:
            given[name] = _Given(value, "flag")
    problems += [
        f"{each.source}: there is no setting {name}{_suggestion(name)}"
        for name, each in given.items()
        if not is_known(name)
    ]
    if problems:
        raise BadSettings(problems)
    tree: dict[str, Any] = {"pools": {"local": {}}}
    for name, each in given.items():
        _put(tree, name.split("."), each.value)
    try:
        return Settings.model_validate(tree), given
    except ValidationError as exc:
        raise BadSettings([_told(error, given) for error in exc.errors()]) from None  # the cause may show a secret


def _of_file(path: Path, problems: list[str]) -> dict[str, _Given]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        problems.append(f"{path}: cannot be read: {exc.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        problems.append(f"{path}: is no TOML: {exc}")
        return {}
    return {name: _Given(value, str(path)) for name, value in _leaves(tree)}


def _leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and not (is_known(name)):
            yield from _leaves(value, f"{name}.") if value else ((name, value),)
        else:
            yield name, value


def _of_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    missed = {variable_of(name).replace("__", "_"): variable_of(name) for name in flat(Settings())}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        if "__" not in variable:
            # other programs of ours have variables too; only what is nearly a setting is a mistake
            if (meant := missed.get(variable.removesuffix("_FILE"))) is not None:
                problems.append(f"{variable} is no setting; did you mean {meant}?")
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        if name.endswith("_file") and not is_known(name) and is_known(plain := name.removesuffix("_file")):
            if not is_secret(field_of(plain)):
                problems.append(f"{variable}: {plain} is no secret, set {variable.removesuffix('_FILE')} itself")
                continue
            if variable.removesuffix("_FILE") in environ:
                problems.append(f"{variable} and {variable.removesuffix('_FILE')} are both set")
                continue
            try:
                found[plain] = _Given(Path(environ[variable]).read_text(encoding="utf-8").strip(), variable)
            except (OSError, UnicodeDecodeError) as exc:
                problems.append(f"{variable}: {environ[variable]} cannot be read: {type(exc).__name__}")
            continue
        found[name] = _Given(environ[variable], variable)
    return found


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper().replace(".", "__")


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


# Settings by name, from the schema


def flat(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted name."""
    return dict(_walk(settings, ""))


def _walk(value: BaseModel, prefix: str) -> Iterator[tuple[str, Any]]:
    for key in type(value).model_fields:
        inner = getattr(value, key)
        if isinstance(inner, BaseModel):
            yield from _walk(inner, f"{prefix}{key}.")
        elif isinstance(inner, dict) and _model_in(type(value).model_fields[key]) is not None:
            for name, each in inner.items():
                yield from _walk(each, f"{prefix}{key}.{name}.")
        else:
            yield f"{prefix}{key}", inner


def is_known(name: str) -> bool:
    try:
        field_of(name)
    except KeyError:
        return False
    return True


def field_of(name: str) -> FieldInfo:
    """The declaration of a setting. Raises KeyError for what is no setting (a whole section is none)."""
    model: type[BaseModel] | None = Settings
    path = name.split(".")
    found: FieldInfo | None = None
    while path:
        if model is None:
            raise KeyError(name)
        found = model.model_fields[path.pop(0)]
        model = _model_in(found)
        if model is not None and get_origin(found.annotation) is dict:
            if not path:
                raise KeyError(name)
            path.pop(0)  # the name that the user chose
    if found is None or model is not None:
        raise KeyError(name)
    return found


def _model_in(found: FieldInfo) -> type[BaseModel] | None:
    annotation = found.annotation
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def is_secret(found: FieldInfo) -> bool:
    return found.annotation is SecretStr


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, list(flat(Settings())), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _told(error: Any, given: Mapping[str, _Given]) -> str:  # noqa: ANN401  pydantic's ErrorDetails
    name = ".".join(str(part) for part in error["loc"])
    holder = next((n for n in given if name == n or name.startswith(f"{n}.")), name)
    source = given[holder].source if holder in given else "default"
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if is_known(holder) and is_secret(field_of(holder)) else f", found {error['input']!r}"
    return f"{source}: {name}: {message}{shown}"
