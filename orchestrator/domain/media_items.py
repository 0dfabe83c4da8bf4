"""Media that people keep for their jobs: uploaded here, or registered where they lie in the store. Values and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.media_facts import MediaKind
from orchestrator.domain.model import FileKind

PREPARE_MEDIA: Final = "prepare_media"
"""The name of the work: what is woken when media become due."""

INBOX: Final = "inbox"
"""Only what lies in the store below `inbox/<project>/` can be registered by that project: everything else in the bucket
(sealed files, models, uploads on their way) belongs to the machine or to other projects."""

MAX_KEY_BYTES: Final = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


class MediaType(StrEnum):
    VIDEO = "video"
    IMAGE = "image"
    AUDIO = "audio"
    TEXT = "text"  # subtitles, fonts: kept, not looked into
    OTHER = "other"


class MediaStatus(StrEnum):
    """Init and preparing media are due to somebody; the others rest."""

    INIT = "init"  # the bytes are not here yet
    PREPARING = "preparing"  # the bytes are sealed, nobody has looked at them
    PREPARE_FAIL = "prepare_fail"
    NORMAL = "normal"


PROBED_AS: Final[Mapping[MediaType, MediaKind]] = {
    MediaType.VIDEO: MediaKind.VIDEO, MediaType.IMAGE: MediaKind.IMAGE, MediaType.AUDIO: MediaKind.AUDIO,
}  # fmt: skip

_ENDINGS: Final[Mapping[MediaType, Sequence[str]]] = {
    MediaType.VIDEO: ("mp4", "mov", "webm", "mkv", "m4v", "avi", "flv", "mpg", "mpeg", "ts", "wmv", "3gp"),
    MediaType.IMAGE: ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "heic"),
    MediaType.AUDIO: ("mp3", "wav", "m4a", "aac", "flac", "ogg", "oga", "opus", "wma"),
    MediaType.TEXT: ("srt", "ass", "vtt", "txt", "ttf", "otf", "ttc"),
}
_TYPE_OF: Final = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings}


NAMED_BY: Final[Mapping[FileKind, str]] = {FileKind.TRAINING_VIDEO: "video", FileKind.PORTRAIT: "portrait"}
"""The attributes of a job that name media as its material, until the job is submitted."""


class MediaNotFound(NotFound):
    code = "media_not_found"


class MediaExists(Conflict):
    """The place is registered already."""

    code = "media_exists"


class ReferenceTaken(Conflict):
    code = "reference_taken"


class MediaInUse(Conflict):
    """A job that waits or trains was submitted with it."""

    code = "media_in_use"


class MediaNotReady(Conflict):
    """The bytes are not here yet; asked again later it may be otherwise."""

    code = "media_not_ready"


class MediaNotUsable(Invalid):
    """Of another type than is wanted, or its bytes could not be had."""

    code = "media_not_usable"


class PlaceNotAllowed(Invalid):
    """Not a place that this project may register."""

    code = "place_not_allowed"


@dataclass(frozen=True, slots=True)
class Media:
    """One item of a project's media library.

    Attributes:
        type: what its owner says it is; the probe reads it as that.
        place: the key that its address names in the store. Of registered media: below the project's inbox, copied from
            there once and never read again. Of uploaded ones: a name only, nothing lies there.
        file_id: of the file that holds the bytes, or will hold them; None until registered ones are copied.
        facts: what the probe measured, JSON-ready.
        reason: why it could not be prepared, in a sentence.
        version: counts writes; every write of a person is a compare-and-set on it.
        tries: preparations that broke off, one after another.
        attributes: fields that only a dialect knows.
    """

    id: str
    project_id: str
    type: MediaType
    status: MediaStatus
    title: str
    input_url: str
    place: str | None
    created_at: datetime
    updated_at: datetime
    file_id: str | None = None
    reference_id: str | None = None
    business_type: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] | None = None
    reason: str = ""
    version: int = 0
    tries: int = 0

    @property
    def is_registered(self) -> bool:
        return self.place is not None and self.place.startswith(f"{INBOX}/")


@dataclass(frozen=True, slots=True)
class MediaQuery:
    """Which media of a project, in which order, which page.

    Attributes:
        project_id: None: all projects (people only).
        since: created after it.
        until: created then or before.
        after: the id of the last one of the page before.
    """

    project_id: str | None
    types: Sequence[MediaType] = ()
    statuses: Sequence[MediaStatus] = ()
    business_type: str = ""
    id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    oldest_first: bool = False
    limit: int = 20


def type_of(name: str) -> MediaType | None:
    """What a file is by the ending of its name; None where the ending says nothing."""
    return _TYPE_OF.get(name.rpartition(".")[2].lower())


def inbox_of(project_id: str) -> str:
    """Where a project's own objects lie that it may register."""
    return f"{INBOX}/{project_id}/"


def check_place(key: str, project_id: str) -> None:
    """Raises PlaceNotAllowed for a key that a project may not register, and for one that could name another object."""
    prefix = inbox_of(project_id)
    parts = key.split("/")
    odd = any(part in {"", ".", ".."} for part in parts) or "\\" in key or not key.isprintable()
    if odd or len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES or not key.startswith(prefix):
        raise PlaceNotAllowed(f"only objects below {prefix} can be registered by this project", field="input_url")
