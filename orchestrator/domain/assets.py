"""Assets: the model a finished job leaves behind, and whatever else people keep; their files, states and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from orchestrator.domain.errors import CommandNotAllowed, Conflict, NotFound
from orchestrator.domain.media_facts import MediaKind


class AssetState(StrEnum):
    """MetaStudio's words: `unactived` is up but not in use, `deleting` is in the recycle bin."""

    CREATING = "creating"
    FAILED = "failed"
    UNACTIVED = "unactived"
    ACTIVED = "actived"
    DELETING = "deleting"
    DELETED = "deleted"
    BLOCK = "block"
    WAITING_DELETE = "waiting_delete"


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `type` is HUMAN_MODEL_2D for what a training job publishes.

    Attributes:
        attributes: fields that only a dialect knows, JSON-ready.
        version: counts writes; every write is a compare-and-set on it.
        order: place in the owner's lists; of equal ones the newest is first.
        due_at: when the sweep looks at it: the end of the recycle bin, or an operation that its owner planned.
    """

    id: str
    project_id: str
    job_id: str | None
    type: str
    state: AssetState
    name: str
    description: str
    attributes: Mapping[str, object]
    created_at: datetime
    updated_at: datetime
    version: int = 0
    app_user_id: str | None = None
    tags: Sequence[str] = ()
    asset_order: int = 0
    due_at: datetime | None = None
    deleted_at: datetime | None = None


class AssetFileState(StrEnum):
    """MetaStudio's words: `created` is up and checked."""

    CREATING = "creating"
    UPLOADED = "uploaded"
    CREATED = "created"
    REVIEW = "review"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETING = "deleting"
    DELETED = "deleted"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file of an asset; `category` is MAIN for the model, COVER for the thumbnail, OTHER for the rest.

    Attributes:
        size_bytes: 0 while nobody has told it.
        md5: what its owner says it is, in Base64.
        facts: what the probe measured, JSON-ready; `reasons` where it could not be read.
    """

    id: str
    category: str
    name: str
    key: str
    content_type: str
    size_bytes: int
    sha256: str | None
    state: AssetFileState = AssetFileState.CREATED
    md5: str | None = None
    file_type: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""


class Delivery(NamedTuple):
    """A file of a model on its way to an address of its owner's. `key` is where it lies in our store."""

    asset_id: str
    project_id: str
    url: str
    key: str
    content_type: str
    tries: int
    due_at: datetime


class AssetNotFound(NotFound):
    code = "asset_not_found"


class AssetNameTaken(Conflict):
    code = "asset_name_taken"


class AssetMainExists(Conflict):
    code = "asset_main_exists"


class AssetCoverExists(Conflict):
    code = "asset_cover_exists"


class AssetFileTooLarge(Conflict):
    code = "asset_file_too_large"


class AssetCommand(StrEnum):
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    RECYCLE = "recycle"  # into the bin
    RESTORE = "restore"
    ERASE = "erase"
    FREEZE = "freeze"  # planned by its owner
    MAIN_READY = "main_ready"
    MAIN_FAILED = "main_failed"
    MAIN_GONE = "main_gone"
    EDIT = "edit"
    TAKE_FILE = "take_file"


class AssetRule(NamedTuple):
    """From which states a command is legal, and where it leads; None: the asset stays where it is."""

    sources: frozenset[AssetState]
    target: AssetState | None


_A = AssetState
_USABLE: Final = frozenset({_A.UNACTIVED, _A.ACTIVED, _A.WAITING_DELETE})
_THERE: Final = frozenset({_A.CREATING, _A.FAILED, *_USABLE})
ASSET_RULES: Final[Mapping[AssetCommand, AssetRule]] = {
    AssetCommand.ACTIVATE: AssetRule(_USABLE, _A.ACTIVED),
    AssetCommand.DEACTIVATE: AssetRule(_USABLE, _A.UNACTIVED),
    AssetCommand.RECYCLE: AssetRule(_THERE, _A.DELETING),
    AssetCommand.RESTORE: AssetRule(frozenset({_A.DELETING}), _A.UNACTIVED),
    AssetCommand.ERASE: AssetRule(frozenset({*_THERE, _A.DELETING, _A.BLOCK}), _A.DELETED),
    AssetCommand.FREEZE: AssetRule(_USABLE, _A.BLOCK),
    AssetCommand.MAIN_READY: AssetRule(_THERE, _A.ACTIVED),
    AssetCommand.MAIN_FAILED: AssetRule(frozenset({_A.CREATING, _A.FAILED}), _A.FAILED),
    AssetCommand.MAIN_GONE: AssetRule(_THERE, _A.CREATING),
    AssetCommand.EDIT: AssetRule(_THERE, None),
    AssetCommand.TAKE_FILE: AssetRule(_THERE, None),
}


def decide(asset: Asset, command: AssetCommand) -> AssetState:
    """The state that `command` leads to. Raises CommandNotAllowed."""
    rule = ASSET_RULES[command]
    if asset.state not in rule.sources:
        raise CommandNotAllowed(
            f"asset {asset.id} is {asset.state}: {command} is allowed in {sorted(rule.sources)}", asset_id=asset.id
        )
    return asset.state if rule.target is None else rule.target


# What each type of asset may be made of; types that are not here take every category.
MAIN: Final = "MAIN"
COVER: Final = "COVER"
COVER_LIMIT_BYTES: Final = 5_242_880
CATEGORIES: Final[Mapping[str, frozenset[str]]] = {
    "PPT": frozenset({MAIN, COVER, "PAGE", "OTHER"}),
    "VOICE_MODEL": frozenset({MAIN, "SAMPLE", "OTHER"}),
    "HUMAN_MODEL_2D": frozenset({MAIN, COVER, "SAMPLE", "OTHER"}),
    "BUSINESS_CARD_TEMPLET": frozenset({MAIN, COVER}),
    "IMAGE": frozenset({MAIN}),
    "VIDEO": frozenset({MAIN, COVER}),
}
# Always taken: a place to put a replacement, and the packed asset.
ANY_TYPE: Final = frozenset({"TEMPORARY", "PACKAGE"})
PROBED: Final[Mapping[str, MediaKind]] = {
    "IMAGE": MediaKind.IMAGE, "VIDEO": MediaKind.VIDEO, "AUDIO": MediaKind.AUDIO, "MUSIC": MediaKind.AUDIO,
}  # fmt: skip
# Made by training only.
NOT_BY_USERS: Final = frozenset({"VOICE_MODEL", "HUMAN_MODEL_2D"})


EVERYBODY: Final = "*"
"""Stands for every project among those that an asset is shared with."""

# What a picture or a video is for, anybody may say; all other properties are the system's own.
_OWNERS_PROPERTIES: Final = frozenset({"MATERIAL_IMG", "MATERIAL_VIDEO", "BACKGROUND_IMG"})


class PropertyChange(NamedTuple):
    """A system property to set, or (`value` None) to take away."""

    key: str
    value: str | None


def with_properties(
    attributes: Mapping[str, object], changes: Iterable[PropertyChange], *, by_the_system: bool
) -> dict[str, object]:
    """Attributes of an asset after changes of its system properties, listed as shown and as searched for.

    Changes of the system's own by others are ignored, as documented.
    """
    listed = attributes.get("system_properties")
    held = {str(each["key"]): str(each["value"]) for each in listed} if isinstance(listed, list) else {}
    for change in changes:
        if not by_the_system and change.key not in _OWNERS_PROPERTIES:
            continue
        if change.value is None:
            held.pop(change.key, None)
        else:
            held[change.key] = change.value
    return {
        **attributes,
        "system_properties": [{"key": key, "value": value} for key, value in held.items()],
        "property_words": [f"{key}:{value}" for key, value in held.items()],
    }


# Only these may be fetched; files of frozen assets are not shown to anybody.
_FETCHED: Final = frozenset({AssetFileState.UPLOADED, AssetFileState.CREATED, AssetFileState.REVIEW})


def may_be_fetched(asset: Asset, file: AssetFile) -> bool:
    return asset.state is not AssetState.BLOCK and file.state in _FETCHED


def has_main(files: Iterable[AssetFile]) -> bool:
    """Whether there is a main file among them that is up."""
    return any(file.category == MAIN and file.state in _FETCHED for file in files)


@dataclass(frozen=True, slots=True)
class AssetQuery:
    """Which assets, in which order, which page.

    Attributes:
        project_id: whose eyes it is seen with.
        source: own, of everybody (`system`), or both (`all`).
        role: `sharer`: own ones that others may use; `sharee`: those of others that we may use.
        tags, all_tags: one of these labels, or all of them; `exact` holds the fields that are not matched in part.
        meta: path into the attributes -> one of these texts, or a bool.
        listing: path to a list in the attributes and an item it holds, or (False) does not hold.
        properties: (key, value) of the attributes' list `system_properties`.
    """

    project_id: str
    source: str = "own"
    role: str = ""
    ids: Sequence[str] = ()
    types: Sequence[str] = ()
    states: Sequence[AssetState] = ()
    name: str = ""
    tags: Sequence[str] = ()
    all_tags: bool = False
    exact: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    app_user_id: str = ""
    meta: Sequence[tuple[tuple[str, ...], Sequence[str] | bool]] = ()
    listing: Sequence[tuple[tuple[str, ...], str, bool]] = ()
    properties: Sequence[tuple[str, str]] = ()
    sort: str = "created_at"
    descending: bool = False
    offset: int = 0
    limit: int = 10
