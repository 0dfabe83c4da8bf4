"""Profiles as TOML files: wire in, `domain.profile.Profile` out."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.media import MediaKind, MediaRules
from orchestrator.domain.model import FileKind
from orchestrator.domain.profile import SWITCHES, Material, Profile, StageSettings
from orchestrator.domain.retry import FailureClass, RetryPolicy
from orchestrator.domain.stages import STAGE_BY_NAME
from orchestrator.domain.states import JobState
from orchestrator.settings.load import BadSettings
from orchestrator.settings.schema import Count, Section
from orchestrator.settings.words import Bytes, Duration

SHIPPED: Final = Path(__file__).parent.parent / "config" / "profiles"


def _frame(value: object) -> object:
    """A picture size such as "1920x1080"."""
    if not isinstance(value, str):
        return value
    width, separator, height = value.partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"{value!r} is no picture size; write width x height, such as 1920x1080")
    return int(width), int(height)


Frame = Annotated[tuple[int, int], BeforeValidator(_frame)]


class MaterialTable(Section):
    """[materials.KIND]: one kind of file."""

    judged_as: MediaKind
    required: bool = False
    waived_by: tuple[str, ...] = ()
    max_bytes: Bytes | None = None
    containers: tuple[str, ...] = MediaRules().containers
    sizes: tuple[Frame, ...] = ()
    min_duration: Duration | None = None
    max_duration: Duration | None = None
    tolerance: Duration = Field(default="0s")  # type: ignore[assignment]  # validated, as everything here
    alpha: bool | None = None
    alpha_from: str = ""
    required_when: dict[str, str] = Field(default_factory=dict)
    sound_required: bool = False
    image_formats: tuple[str, ...] = MediaRules().image_formats
    square: bool = False
    min_side: Count | None = None
    max_side: Count | None = None
    document_formats: tuple[str, ...] = MediaRules().document_formats
    audio_formats: tuple[str, ...] = MediaRules().audio_formats

    def material(self, kind: FileKind, profile: str) -> Material:
        rules = MediaRules(
            name=profile,
            max_bytes=self.max_bytes,
            containers=self.containers,
            sizes=self.sizes,
            min_duration_s=None if self.min_duration is None else self.min_duration.total_seconds(),
            max_duration_s=None if self.max_duration is None else self.max_duration.total_seconds(),
            tolerance_s=self.tolerance.total_seconds(),
            alpha=self.alpha,
            sound_required=self.sound_required,
            image_formats=self.image_formats,
            square=self.square,
            min_side=self.min_side,
            max_side=self.max_side,
            document_formats=self.document_formats,
            audio_formats=self.audio_formats,
        )
        return Material(kind, self.judged_as, self.required, self.waived_by, rules, self.alpha_from, self.required_when)


class StageTable(Section):
    """[stages.NAME]: how one stage is run."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    pool: str = "local"
    timeout: Duration = Field(default="24h")  # type: ignore[assignment]  # validated, as everything here
    gpus: Annotated[int, Field(ge=0)] = 0

    def settings(self) -> StageSettings:
        return StageSettings(self.command, self.pool, self.timeout, self.gpus)


class RetryTable(Section):
    """[retry]: which failures are tried again."""

    limits: dict[FailureClass, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    first_delay: Duration = RetryPolicy().first_delay
    longest_delay: Duration = RetryPolicy().longest_delay

    def policy(self) -> RetryPolicy:
        return RetryPolicy({**RetryPolicy().limits, **self.limits}, self.first_delay, self.longest_delay)


class ProfileFile(Section):
    """One file. The attributes mean what those of `Profile` mean."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    title: str
    switches: tuple[str, ...] = ()
    repairs: Annotated[int, Field(ge=0, le=10)] = 0
    name_limit: Annotated[int, Field(ge=1, le=256)] = 256
    upload_lifetime: Duration = Field(default="7d")  # type: ignore[assignment]  # validated, as everything here
    model_file: str = "model.npz"
    thumbnail_file: str = "thumbnail.png"
    materials: dict[FileKind, MaterialTable]
    stages: dict[str, StageTable]
    retry: RetryTable = RetryTable()
    deadlines: dict[JobState, Duration] = Field(default_factory=dict)

    def profile(self) -> Profile:
        return Profile(
            name=self.name,
            title=self.title,
            materials=tuple(table.material(kind, self.name) for kind, table in self.materials.items()),
            stages={name: table.settings() for name, table in self.stages.items()},
            switches=frozenset(self.switches),
            retry=self.retry.policy(),
            deadlines=self.deadlines,
            upload_lifetime=self.upload_lifetime,
            repairs=self.repairs,
            name_limit=self.name_limit,
            model_file=self.model_file,
            thumbnail_file=self.thumbnail_file,
        )


# What a mistyped key could have meant, by the table it stands in.
_WORDS: Final[Mapping[str, Iterable[str]]] = {
    "": ProfileFile.model_fields,
    "materials": [kind.value for kind in FileKind],
    "materials.*": MaterialTable.model_fields,
    "stages": STAGE_BY_NAME,
    "stages.*": StageTable.model_fields,
    "retry": RetryTable.model_fields,
    "retry.limits": [each.value for each in FailureClass],
    "deadlines": [state.value for state in JobState],
}


def load_profiles(dirs: Iterable[Path] = ()) -> dict[str, Profile]:
    """The shipped profiles and those of `dirs`, by name; a later one replaces an earlier one of the same name.

    Raises:
        BadSettings: unreadable files, unknown keys (with a suggestion), wrong values; everything at once.
    """
    found: dict[str, Profile] = {}
    problems: list[str] = []
    for folder in (SHIPPED, *dirs):
        if not folder.is_dir():
            problems.append(f"{folder}: there is no such folder of profiles")
            continue
        for path in sorted(folder.glob("*.toml")):
            try:
                profile = load_profile(path)
            except BadSettings as exc:
                problems += exc.problems
            else:
                found[profile.name] = profile
    if problems:
        raise BadSettings(problems)
    return found


def load_profile(path: Path) -> Profile:
    """One profile. Raises BadSettings."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise BadSettings([f"{path}: cannot be read: {exc.strerror}"]) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadSettings([f"{path}: is no TOML: {exc}"]) from exc
    try:
        checked = ProfileFile.model_validate(tree)
    except ValidationError as exc:
        raise BadSettings([f"{path}: {_told(error)}" for error in exc.errors()]) from exc
    problems = [
        f"{path}: materials.{kind}.waived_by: there is no switch {switch!r}; there are {sorted(SWITCHES)}"
        for kind, table in checked.materials.items()
        for switch in table.waived_by
        if switch not in SWITCHES
    ]
    if problems:
        raise BadSettings(problems)
    try:
        return checked.profile()
    except Invalid as exc:
        raise BadSettings([f"{path}: {exc.message}"]) from exc


def _told(error: Any) -> str:  # noqa: ANN401  pydantic's ErrorDetails
    path = [str(part) for part in error["loc"] if part != "[key]"]
    name = ".".join(path)
    if error["type"] in {"extra_forbidden", "enum"}:
        table = ".".join(
            "*" if depth and path[0] in {"materials", "stages"} else p for depth, p in enumerate(path[:-1])
        )
        close = difflib.get_close_matches(path[-1], list(_WORDS.get(table, ())), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        if error["type"] == "extra_forbidden" or "[key]" in error["loc"]:
            return f"{name}: there is no such key{hint}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}, found {error['input']!r}"
