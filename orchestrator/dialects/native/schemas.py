"""What callers send."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.app.keys import MAX_LIFETIME, MAX_OVERLAP, MIN_LIFETIME
from orchestrator.dialects.common.wire import NoNul
from orchestrator.dialects.native.wire import Id, Json, Object, Wire
from orchestrator.domain.actors import Role
from orchestrator.domain.media_items import MediaType
from orchestrator.domain.model import FileKind
from orchestrator.domain.uploads import MAX_PART_BYTES, MAX_PARTS

Name = Annotated[str, Field(min_length=1, max_length=256), NoNul]
Description = Annotated[str, Field(max_length=4096), NoNul]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{6,64}$")]
Word = Annotated[str, Field(min_length=1, max_length=64), NoNul]
Tags = Annotated[tuple[Word, ...], Field(max_length=32)]
Said = Annotated[str, Field(max_length=2048), NoNul]
Reasons = Annotated[tuple[Said, ...], Field(max_length=32)]


class CreateJob(Wire):
    profile: Word
    name: Name
    description: Description = ""
    tags: Tags = ()
    batch_name: Annotated[str, Field(max_length=256), NoNul] | None = None
    attributes: Object = Field(default_factory=dict)


class EditJob(Wire):
    """Only what is sent is changed."""

    name: Name = ""
    description: Description = ""
    tags: Tags = ()
    batch_name: Annotated[str, Field(max_length=256), NoNul] | None = None
    attributes: Object = Field(default_factory=dict)


class OpenUpload(Wire):
    """One file. With `size_bytes`, every URL takes exactly its part's length."""

    kind: FileKind
    name: Name
    size_bytes: Annotated[int, Field(ge=1, le=MAX_PARTS * MAX_PART_BYTES)] | None = None
    part_count: Annotated[int, Field(ge=1, le=MAX_PARTS)] | None = None
    content_type: Annotated[str, Field(pattern=r"^[\w.+-]{1,64}/[\w.+-]{1,64}$")] | None = None


class RegisterMedia(Wire):
    """What lies below the project's inbox in the store. Without a type the ending of the name says what it is."""

    url: Annotated[str, Field(min_length=1, max_length=4096), NoNul]
    type: MediaType | None = None
    title: Annotated[str, Field(max_length=256), NoNul] = ""
    reference_id: Reference | None = None
    overwrite: bool = False


class UploadMedia(Wire):
    """A file that becomes media. Without a type the ending of its name says what it is."""

    name: Name
    type: MediaType | None = None
    title: Annotated[str, Field(max_length=256), NoNul] = ""
    reference_id: Reference | None = None
    size_bytes: Annotated[int, Field(ge=1, le=MAX_PARTS * MAX_PART_BYTES)] | None = None
    part_count: Annotated[int, Field(ge=1, le=MAX_PARTS)] | None = None


class SignParts(Wire):
    """Fresh URLs; without numbers for every missing part."""

    part_numbers: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_PARTS)] | None = None


class Ask(Wire):
    """What goes with a command; which of it counts depends on the command."""

    comment: Said = ""
    value: Json = None
    reasons: Reasons = ()


class Approve(Wire):
    comment: Said = ""


class Because(Wire):
    reasons: Reasons = ()


class Stop(Wire):
    reason: Said = ""


class Retrain(Wire):
    stage: Word
    reasons: Reasons = ()


class SetPriority(Wire):
    priority: int


class SetRetryCount(Wire):
    retry_count: int


class SetValue(Wire):
    value: Json


class Say(Wire):
    text: Said
    title: Annotated[str, Field(max_length=256), NoNul] = ""
    attachments: Annotated[tuple[Id, ...], Field(max_length=20)] = ()


class CreateProject(Wire):
    id: Id
    name: Annotated[str, Field(max_length=256), NoNul] = ""
    attributes: Object = Field(default_factory=dict)


class CreateKey(Wire):
    """With `lifetime_s` a temporary key: it ends after so long, and signs only beside its token."""

    project_id: Id
    role: Role
    name: Word
    lifetime_s: Annotated[
        int | None, Field(ge=int(MIN_LIFETIME.total_seconds()), le=int(MAX_LIFETIME.total_seconds()))
    ] = None


class ReplaceKey(Wire):
    """The old key is let in for `overlap_s` seconds more."""

    overlap_s: Annotated[int, Field(ge=0, le=int(MAX_OVERLAP.total_seconds()))] = 0
